"""Where a client's credentials come from: a file as `openrds serve` writes it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from openrds.cli.errors import UsageError

FILE_NAME = "credentials.json"
FILE_VARIABLE = "OPENRDS_CREDENTIALS"
DATA_DIR_VARIABLE = "OPENRDS_DATA_DIR"


class CredentialsMissing(UsageError):  # noqa: N818 - says what happened
    """The file that is meant is not there, or not yet."""


@dataclass(frozen=True)
class Credentials:
    """What of the file a client needs; `endpoint` without a slash at its end."""

    endpoint: str
    region: str
    project_id: str
    access_key: str
    secret_key: str = field(repr=False)


def find_credentials(file: Path | None, data_dir: Path | None, environment: Mapping[str, str]) -> Credentials:
    """The credentials that flags name, else those that the environment names.

    Of both, a file goes before a data directory.

    Raises:
        UsageError: nothing names any, or the file cannot be used.
    """
    return read_credentials(file or _in(data_dir) or _from_environment(environment))


def read_credentials(path: Path) -> Credentials:
    """
    Raises:
        UsageError: the file cannot be read, or something is missing in it.
    """
    try:
        values = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise CredentialsMissing(
            f"There is no credentials file {path}; `openrds serve` writes it when it starts."
        ) from None
    except OSError as error:
        raise UsageError(f"The credentials file {path} cannot be read: {error.strerror}.") from None
    except ValueError:
        raise UsageError(f"The credentials file {path} is not JSON.") from None
    return _checked(values, path)


def _checked(values: object, path: Path) -> Credentials:
    found = values if isinstance(values, dict) else {}
    wanted = [field.name for field in fields(Credentials)]
    missing = [name for name in wanted if not isinstance(found.get(name), str) or not found[name]]
    if missing:
        raise UsageError(f"The credentials file {path} lacks {', '.join(missing)}.")
    picked = {name: found[name] for name in wanted}
    return Credentials(**{**picked, "endpoint": picked["endpoint"].rstrip("/")})


def _in(data_dir: Path | str | None) -> Path | None:
    return Path(data_dir) / FILE_NAME if data_dir else None


def _from_environment(environment: Mapping[str, str]) -> Path:
    file = environment.get(FILE_VARIABLE)
    found = Path(file) if file else _in(environment.get(DATA_DIR_VARIABLE))
    if found is None:
        raise UsageError(
            "No credentials: give --credentials FILE or --data-dir DIR, "
            f"or set {FILE_VARIABLE} or {DATA_DIR_VARIABLE}."
        )
    return found
