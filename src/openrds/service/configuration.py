"""Settings from flags, the environment, a TOML file and the defaults, in this order."""

import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from openrds.domain.settings import Settings
from openrds.hosts.forwarders import FORWARDINGS

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
)
_NOT_NEGATIVE = (
    "instance_quota",
    "backup_quota",
    "backup_gb_quota",
    "public_address_quota",
    "task_quota",
    "memory_mb",
    "spare_data_dirs",
    "min_free_mb",
    "hang_timeout",
    "first_backup_after",
)
#: Also part of the name of a file.
_PROJECT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


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
    if "data_dir" not in values:
        raise ConfigurationError("data_dir is required: give --data-dir or set OPENRDS_DATA_DIR.")
    values["data_dir"] = str(Path(values["data_dir"]).absolute())
    try:
        settings = msgspec.convert(values, Settings, strict=False, dec_hook=decode_path)
        return _checked(settings)
    except (msgspec.ValidationError, ValueError) as error:
        raise ConfigurationError(f"A setting is wrong: {error}") from None


def _from_file(config_file: Path | None, data_dir: str | None) -> dict[str, Any]:
    default = Path(data_dir) / "openrds.toml" if data_dir else None
    path = config_file or (default if default and default.is_file() else None)
    if path is None:
        return {}
    try:
        values = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
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
    if not host or not port.isdecimal() or not 0 < int(port) <= 65535:
        raise ValueError(f"listen must be HOST:PORT, not {settings.listen!r}")
    if not settings.availability_zones:
        raise ValueError("availability_zones must have at least one")
    for name, choices in _CHOICES.items():
        if getattr(settings, name) not in choices:
            raise ValueError(f"{name} must be one of {', '.join(choices)}, not {getattr(settings, name)!r}")
    _check_projects(settings)
    _check_networks(settings)
    _check_numbers(settings)
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


def _check_networks(settings: Settings) -> None:
    if settings.forwarding not in FORWARDINGS:
        raise ValueError(f"forwarding must be one of {', '.join(FORWARDINGS)}, not {settings.forwarding!r}")
    for name in ("private_cidr", "public_cidr"):
        try:
            ipaddress.IPv4Network(getattr(settings, name))
        except ValueError as error:
            raise ValueError(f"{name} must be an IPv4 network: {error}") from None


def _check_numbers(settings: Settings) -> None:
    for name in _ABOVE_ZERO:
        if getattr(settings, name) <= 0:
            raise ValueError(f"{name} must be above 0")
    for name in _NOT_NEGATIVE:
        if getattr(settings, name) < 0:
            raise ValueError(f"{name} must not be negative")
    if settings.worker_timeout <= settings.heartbeat_interval:
        raise ValueError("worker_timeout must be longer than heartbeat_interval")


def decode_path(type_: type, value: Any) -> Any:
    """A `dec_hook` for values with paths in them."""
    if type_ is Path:
        return Path(value)
    raise NotImplementedError
