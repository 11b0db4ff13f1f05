"""The checks of single values in a request. Each raises `Refusal` with the contract's code.

Source: operations.md 3 and reads.md 1.3, unless said otherwise.
"""

import re
import string
from collections.abc import Collection, Sequence

from openrds.domain.engine import RULES, EngineName
from openrds.domain.errors import ErrorCode, Refusal

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{3,63}")
_CHINESE = "\u4e00-\u9fff"
_NAME_MYSQL = re.compile(rf"[A-Za-z{_CHINESE}][A-Za-z0-9_{_CHINESE}-]{{3,63}}")
_ALIAS = re.compile(rf"[A-Za-z0-9._{_CHINESE}-]{{0,64}}")
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)", re.ASCII)
_TIME_ZONE = re.compile(r"UTC([+-])(\d\d):00", re.ASCII)

VOLUME_TYPES = (
    "COMMON",
    "HIGH",
    "ULTRAHIGH",
    "ULTRAHIGHPRO",
    "CLOUDSSD",
    "LOCALSSD",
    "ESSD",
    "GPSSD2",
    "ESSD2",
)
VOLUME_SIZES = range(40, 4001)
MAX_TAGS = 20
DAY = 24 * 60
#: Of a maintenance window (clients.md, Values).
WINDOW_MINUTES = range(60, 241)


def check_name(name: str, engine: EngineName) -> None:
    pattern = _NAME_MYSQL if engine is EngineName.MYSQL else _NAME
    if not pattern.fullmatch(name):
        raise Refusal(
            ErrorCode.NAME,
            "The instance name must have 4 to 64 characters, begin with a letter and hold only letters, "
            "digits, hyphens and underscores.",
        )


def check_alias(alias: str) -> None:
    if not _ALIAS.fullmatch(alias):
        raise Refusal(
            ErrorCode.PARAMETER, "alias must have at most 64 letters, digits, dots, underscores or hyphens."
        )


def password_rules(engine: EngineName) -> str:
    """What the password of an account must be, in words."""
    return (
        "The password must have 8 to 32 characters of at least three kinds: upper-case letters, "
        f"lower-case letters, digits and {RULES[engine].password_specials}"
    )


def check_password(password: str, engine: EngineName, *, user: str) -> None:
    check_composition(password, engine)
    if _is_name(password, user):
        raise Refusal(
            ErrorCode.PASSWORD, f"The password is easily guessed: it is no more than {user}; choose another."
        )


def check_composition(password: str, engine: EngineName) -> None:
    """Its length and its characters alone."""
    specials = RULES[engine].password_specials
    kinds = (string.ascii_uppercase, string.ascii_lowercase, string.digits, specials)
    found = sum(any(c in kind for c in password) for kind in kinds)
    stray = set(password).difference(*kinds)
    if not 8 <= len(password) <= 32 or found < 3 or stray:
        raise Refusal(ErrorCode.PASSWORD, password_rules(engine))


_USUAL_WORDS = (
    "password",
    "passw0rd",
    "p@ssword",
    "p@ssw0rd",
    "qwerty",
    "admin",
    "welcome",
    "letmein",
    "abc",
    "test",
    "huawei",
)


def is_weak(password: str, engine: EngineName, *, user: str) -> bool:
    """Whether a password is refused, or is a usual word with only digits and specials around it.

    Such a one is taken all the same: scripts that were written for the cloud have them (clients.md, Values).
    """
    try:
        check_password(password, engine, user=user)
    except Refusal:
        return True
    return _core(password) in _USUAL_WORDS


def _is_name(password: str, user: str) -> bool:
    """Whether it is the user's name, or its reverse, with only digits and specials around it."""
    name = user.lower()
    return _core(password) in (name, name[::-1]) or password.lower() == name


def _core(password: str) -> str:
    return re.sub(r"^[^a-z@]+|[^a-z]+$", "", password.lower())


def check_port(port: int, engine: EngineName) -> None:
    rules = RULES[engine]
    if not rules.allows_port(port):
        ranges = " or ".join(
            f"{ports.start} to {ports.stop - 1}" if len(ports) > 1 else str(ports.start)
            for ports in rules.port_ranges
        )
        barred = (
            f", except {', '.join(map(str, sorted(rules.forbidden_ports)))}" if rules.forbidden_ports else ""
        )
        raise Refusal(ErrorCode.PARAMETER, f"port of {engine} must be {ranges}{barred}.")


def check_volume(volume_type: str, size: int) -> None:
    if volume_type not in VOLUME_TYPES:
        raise Refusal(ErrorCode.VOLUME_TYPE, f"volume.type must be one of {', '.join(VOLUME_TYPES)}.")
    check_volume_size(size)


def check_volume_size(size: int) -> None:
    if size not in VOLUME_SIZES:
        raise Refusal(
            ErrorCode.VOLUME_SIZE, f"volume.size must be {VOLUME_SIZES.start} to {VOLUME_SIZES.stop - 1} GB."
        )
    if size % 10:
        raise Refusal(ErrorCode.VOLUME_MULTIPLE, "volume.size must be a multiple of 10 GB.")


def check_larger_volume(size: int, present: int) -> None:
    """A volume that exists only grows, by 10 GB at least (operations.md 8)."""
    if size <= present:
        raise Refusal(
            ErrorCode.VOLUME_NOT_LARGER, f"The volume has {present} GB; size must be at least {present + 10}."
        )
    check_volume_size(size)


def check_backup_window(window: str) -> None:
    """`hh:mm-HH:MM` in UTC, one hour long, on a quarter of an hour."""
    start, _, end = window.partition("-")
    begins, ends = _minutes(start), _minutes(end)
    if begins is None or ends is None or (ends - begins) % DAY != 60 or begins % 15:
        raise Refusal(
            ErrorCode.BACKUP_WINDOW,
            "The backup start_time must be a window hh:mm-HH:MM of exactly one hour, with minutes 00, 15, 30 or 45.",
        )


def check_keep_days(days: int) -> None:
    if not 0 <= days <= 732:
        raise Refusal(ErrorCode.BACKUP_KEEP_DAYS, "keep_days must be 0 to 732.")


def check_backup_period(period: str) -> None:
    days = period.split(",")
    if not all(day in "1234567" and len(day) == 1 for day in days) or len(set(days)) != len(days):
        raise Refusal(ErrorCode.BACKUP_PERIOD, "period must be days 1 (Monday) to 7, parted by commas.")


def maintenance_window(start: str, end: str) -> str:
    """The window `HH:MM-HH:MM` of one to four hours, which may pass midnight."""
    begins, ends = _minutes(start), _minutes(end)
    if begins is None or ends is None or (ends - begins) % DAY not in WINDOW_MINUTES:
        raise Refusal(
            ErrorCode.PARAMETER, "start_time and end_time must be HH:MM in UTC and one to four hours apart."
        )
    return f"{start}-{end}"


def check_time_zone(time_zone: str) -> str:
    """The zone as it is kept: `UTC` or `UTC±hh:00`."""
    if time_zone in ("", "UTC"):
        return "UTC"
    match = _TIME_ZONE.fullmatch(time_zone)
    if match is None or int(match[2]) > 12:
        raise Refusal(ErrorCode.PARAMETER, "time_zone must be UTC or UTC±hh:00, from UTC-12:00 to UTC+12:00.")
    return time_zone


def check_tags(tags: Sequence[tuple[str, str]]) -> None:
    if len(tags) > MAX_TAGS:
        raise Refusal(ErrorCode.TOO_MANY_TAGS, f"An instance may have {MAX_TAGS} tags.")
    for key, value in tags:
        if not 1 <= len(key) <= 128 or len(value) > 255:
            raise Refusal(
                ErrorCode.PARAMETER, "A tag key must have 1 to 128 characters and a value at most 255."
            )
    if len({key for key, _ in tags}) != len(tags):
        raise Refusal(ErrorCode.DUPLICATE_TAG)


def check_one_of(field: str, value: str, allowed: Collection[str]) -> None:
    if value not in allowed:
        raise Refusal(ErrorCode.PARAMETER, f"{field} must be one of {', '.join(allowed)}.")


def _minutes(clock: str) -> int | None:
    match = _CLOCK.fullmatch(clock)
    return int(match[1]) * 60 + int(match[2]) if match else None
