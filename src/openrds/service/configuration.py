"""Settings from flags, the environment, a TOML file and the defaults, in this order."""

import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from openrds.domain.dns_names import is_zone
from openrds.domain.settings import Settings
from openrds.domain.texts import number_in
from openrds.hosts.forwarders import FORWARDINGS
from openrds.repository.errors import RepositoryError
from openrds.repository.objects import check_url, is_folder, lies_within

_PREFIX = "OPENRDS_"
_CHOICES = {
    "log_level": ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
    "volumes": ("folder", "xfs", "auto"),
    "limits": ("auto", "cgroup", "none"),
    "flavors": ("fitting", "scaled"),
}
_ABOVE_ZERO = (
    "worker_concurrency",
    "heartbeat_interval",
    "worker_timeout",
    "monitor_interval",
    "request_rate",
    "max_connections",
    "max_connections_per_address",
    "request_timeout",
)
_NOT_NEGATIVE = (
    "instance_quota",
    "backup_quota",
    "backup_gb_quota",
    "public_address_quota",
    "network_quota",
    "task_quota",
    "webhook_quota",
    "memory_mb",
    "spare_data_dirs",
    "min_free_mb",
    "hang_timeout",
    "first_backup_after",
    "backup_copies_rate",
)
_PATHS = {
    "data_dir",
    "log_file",
    "tls_cert",
    "tls_key",
    "tls_ca_cert",
    "tls_ca_key",
    "backup_repository_options",
    "backup_key_file",
    "backup_copies_options",
}
#: Whoever empties a repository by mistake, or in bad faith, shall have been noticed before the copies follow.
_LEAST_DELAY, _MOST_DELAY = 3600.0, 10 * 365 * 86400.0
#: Of the keys of the default project, where settings fix them: what each must look like, and in words.
_KEY_FORMS = {
    "project_id": (re.compile(r"[0-9a-f]{32}"), "32 lower-case hexadecimal digits"),
    "access_key": (re.compile(r"[A-Za-z0-9]{8,64}"), "8 to 64 letters and digits"),
    "secret_key": (re.compile(r"[!-~]{16,128}"), "16 to 128 visible ASCII characters"),
    "metrics_token": (re.compile(r"[!-~]{16,128}"), "16 to 128 visible ASCII characters"),
    "admin_password": (re.compile(r"[!-~]{8,128}"), "8 to 128 visible ASCII characters"),
}
#: Also part of the name of a file.
_PROJECT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

_IDS = re.compile(r"([0-9]{1,10})-([0-9]{1,10})")
#: Lower ones are given to what is installed. The last that there could be means none.
_FIRST_ID, _NO_ID = 1000, 2**32 - 1


class ConfigurationError(Exception):
    """A setting has a wrong value; the message names it."""


def load(
    flags: Mapping[str, Any], config_file: Path | None = None, environment: Mapping[str, str] | None = None
) -> Settings:
    """The settings of a service.

    `flags` are given by name, None for those not given. The file is `config_file`, or `openrds.toml` in the data
    directory if there is one. Environment variables are `OPENRDS_` and the setting's name in upper case; lists
    are parted by commas.

    Raises:
        ConfigurationError: a setting is unknown or has a wrong value, or there is no data directory.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    environment = os.environ if environment is None else environment
    from_environment = _from_environment(environment)
    data_dir = given.get("data_dir") or from_environment.get("data_dir")
    values = {**_from_file(config_file, data_dir), **from_environment, **given}
    if not values.get("data_dir"):
        raise ConfigurationError("data_dir is required: give --data-dir or set OPENRDS_DATA_DIR.")
    for name in _PATHS & values.keys():
        values[name] = str(Path(values[name]).absolute()) if values[name] else None
    try:
        settings = msgspec.convert(values, Settings, strict=False, dec_hook=_decode_path)
        return _checked(settings)
    except (msgspec.ValidationError, ValueError) as error:
        raise ConfigurationError(f"A setting is wrong: {error}") from None


def _from_file(config_file: Path | None, data_dir: str | None) -> dict[str, Any]:
    path = config_file or (Path(data_dir) / "openrds.toml" if data_dir else None)
    if path is None:
        return {}
    try:
        values = tomllib.loads(path.read_text())
    except OSError as error:
        if config_file is None and isinstance(error, FileNotFoundError | NotADirectoryError):
            return {}
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from None
    for name in values:
        if name not in Settings.__dataclass_fields__:
            raise ConfigurationError(f"{path}: there is no setting {name}.")
    return values


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, field in Settings.__dataclass_fields__.items():
        text = environment.get(_PREFIX + name.upper())
        if text is not None:
            is_list = str(field.type).startswith("tuple")
            values[name] = [part.strip() for part in text.split(",") if part.strip()] if is_list else text
    return values


def _checked(settings: Settings) -> Settings:
    """What types do not say."""
    host, _, port = settings.listen.rpartition(":")
    if not host or not 0 < (number_in(port) or 0) <= 65535:
        raise ValueError(f"listen must be HOST:PORT, not {settings.listen!r}")
    if (settings.tls_cert is None) != (settings.tls_key is None):
        raise ValueError("tls_cert and tls_key go together: give both, or none")
    if not settings.availability_zones:
        raise ValueError("availability_zones must have at least one")
    for name, choices in _CHOICES.items():
        if getattr(settings, name) not in choices:
            raise ValueError(f"{name} must be one of {', '.join(choices)}, not {getattr(settings, name)!r}")
    _check_projects(settings)
    _check_keys(settings)
    _check_networks(settings)
    _check_names(settings)
    _check_numbers(settings)
    if settings.os_uids:
        _check_ids(settings.os_uids)
    if settings.backup_repository:
        _check_repository("backup_repository", settings.backup_repository)
    _check_copies(settings)
    return settings


def _check_projects(settings: Settings) -> None:
    names = settings.project_names
    for name in names:
        if not _PROJECT_NAME.fullmatch(name):
            raise ValueError(
                f"projects may have letters, digits, dots, underscores and hyphens, not {name!r}"
            )
    if len(set(names)) != len(names):
        raise ValueError("projects must differ from one another")


def _check_keys(settings: Settings) -> None:
    for name, (form, words) in _KEY_FORMS.items():
        value = getattr(settings, name)
        if value and not form.fullmatch(value):
            # Not what it is: some of them are secrets.
            raise ValueError(f"{name} must have {words}")
    if bool(settings.access_key) != bool(settings.secret_key):
        raise ValueError("access_key and secret_key go together: give both, or none")


def _check_networks(settings: Settings) -> None:
    if settings.forwarding not in FORWARDINGS:
        raise ValueError(f"forwarding must be one of {', '.join(FORWARDINGS)}, not {settings.forwarding!r}")
    for name in ("private_cidr", "public_cidr"):
        try:
            ipaddress.IPv4Network(getattr(settings, name))
        except ValueError as error:
            raise ValueError(f"{name} must be an IPv4 network: {error}") from None
    for network in settings.webhook_allowed_networks:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise ValueError(f"webhook_allowed_networks must be networks: {error}") from None
    for address in settings.trusted_proxies:
        try:
            ipaddress.ip_address(address)
        except ValueError as error:
            raise ValueError(f"trusted_proxies must be addresses: {error}") from None


def _check_names(settings: Settings) -> None:
    """The name server says in its zone at which address it is."""
    host, _, port = settings.dns_listen.rpartition(":")
    if settings.dns_listen and not (_is_ipv4(host) and 0 < (number_in(port) or 0) <= 65535):
        raise ValueError(
            f"dns_listen must be an IPv4 address and a port, such as 10.0.0.1:53, or empty, not {settings.dns_listen!r}"
        )
    if not is_zone(settings.dns_zone):
        raise ValueError(
            "dns_zone must be a DNS name of at most 189 characters in lower case, without a dot at its end, such as "
            f"rds.internal, not {settings.dns_zone!r}"
        )


def _is_ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def _check_ids(text: str) -> None:
    """Above those of the machine's own users: what may be named is seen where the machine is known."""
    match = _IDS.fullmatch(text)
    first, last = map(int, match.groups()) if match else (0, 0)
    if not _FIRST_ID <= first < last < _NO_ID:
        raise ValueError(f"os_uids must be FIRST-LAST, two or more ids from {_FIRST_ID} on, not {text!r}")


def _check_repository(name: str, url: str) -> None:
    try:
        check_url(url)
    except RepositoryError as error:
        raise ValueError(f"{name}: {error}") from None


def _check_copies(settings: Settings) -> None:
    if not _LEAST_DELAY <= settings.backup_copies_delay <= _MOST_DELAY:
        raise ValueError(f"backup_copies_delay must be {_LEAST_DELAY:.0f} to {_MOST_DELAY:.0f} seconds")
    if not settings.backup_copies:
        return
    _check_repository("backup_copies", settings.backup_copies)
    if not settings.backup_repository:
        raise ValueError("backup_copies needs backup_repository: it is what is copied")
    places = settings.backup_copies, settings.backup_repository
    # Other options may lead to another storage, which may have a bucket of the same name.
    if settings.backup_copies_options != settings.backup_repository_options and not is_folder(places[0]):
        return
    if lies_within(*places) or lies_within(*reversed(places)):
        raise ValueError(
            "backup_copies must be another place than backup_repository, and neither within the other"
        )


def _check_numbers(settings: Settings) -> None:
    for name in _ABOVE_ZERO:
        if getattr(settings, name) <= 0:
            raise ValueError(f"{name} must be above 0")
    for name in _NOT_NEGATIVE:
        if getattr(settings, name) < 0:
            raise ValueError(f"{name} must not be negative")
    if settings.worker_timeout <= settings.heartbeat_interval:
        raise ValueError("worker_timeout must be longer than heartbeat_interval")


def _decode_path(type_: type, value: Any) -> Any:
    """A `dec_hook` for values with paths in them."""
    if type_ is Path:
        return Path(value)
    raise NotImplementedError
