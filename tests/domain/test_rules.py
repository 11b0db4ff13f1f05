"""The checks of single values: what passes, and which code the rest is refused with."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openrds.domain import rules
from openrds.domain.engine import RULES, EngineName, is_version
from openrds.domain.errors import ErrorCode, Refusal

MYSQL, POSTGRESQL, SQLSERVER, MARIADB = (
    EngineName.MYSQL,
    EngineName.POSTGRESQL,
    EngineName.SQLSERVER,
    EngineName.MARIADB,
)


def code_of(check: Callable[[], object]) -> ErrorCode | None:
    """What a value is refused with; None when it passes."""
    try:
        check()
    except Refusal as refusal:
        assert str(refusal)
        return refusal.error
    return None


@pytest.mark.parametrize(
    ("name", "engine", "code"),
    [
        ("abcd", POSTGRESQL, None),
        ("A-b_9", POSTGRESQL, None),
        ("a" * 64, POSTGRESQL, None),
        ("abc", POSTGRESQL, ErrorCode.NAME),
        ("a" * 65, POSTGRESQL, ErrorCode.NAME),
        ("", POSTGRESQL, ErrorCode.NAME),
        ("9abc", POSTGRESQL, ErrorCode.NAME),
        ("-abc", POSTGRESQL, ErrorCode.NAME),
        ("_abc", POSTGRESQL, ErrorCode.NAME),
        ("ab.cd", POSTGRESQL, ErrorCode.NAME),
        ("abcd\n", POSTGRESQL, ErrorCode.NAME),
        ("äbcd", POSTGRESQL, ErrorCode.NAME),
        ("订单数据", POSTGRESQL, ErrorCode.NAME),
        ("订单数据", MARIADB, ErrorCode.NAME),
        ("订单数据", MYSQL, None),
        ("a订单数据-1", MYSQL, None),
        ("1订单数据", MYSQL, ErrorCode.NAME),
    ],
)
def test_names(name: str, engine: EngineName, code: ErrorCode | None) -> None:
    assert code_of(lambda: rules.check_name(name, engine)) is code


@pytest.mark.parametrize(
    ("alias", "code"),
    [
        ("", None),
        ("Orders.db_1-a", None),
        ("订单", None),
        ("a" * 64, None),
        ("a" * 65, ErrorCode.PARAMETER),
        ("a b", ErrorCode.PARAMETER),
    ],
)
def test_aliases(alias: str, code: ErrorCode | None) -> None:
    assert code_of(lambda: rules.check_alias(alias)) is code


@pytest.mark.parametrize(
    ("password", "engine", "code"),
    [
        ("Sup3rS3cret", POSTGRESQL, None),
        ("sup3r-s3cret", POSTGRESQL, None),
        ("Super-Secret", POSTGRESQL, None),
        ("SUP3R_S3CRET", POSTGRESQL, None),
        ("Xy1_Xy1_", POSTGRESQL, None),
        ("Xy1_" * 8, POSTGRESQL, None),
        ("Xy1_Xy1", POSTGRESQL, ErrorCode.PASSWORD),
        ("Xy1_" * 8 + "x", POSTGRESQL, ErrorCode.PASSWORD),
        ("supersecret1", POSTGRESQL, ErrorCode.PASSWORD),
        ("SUPER-SECRET", POSTGRESQL, ErrorCode.PASSWORD),
        ("12345678-90", POSTGRESQL, ErrorCode.PASSWORD),
        ("Sup3rS3cret\n", POSTGRESQL, ErrorCode.PASSWORD),
        ("Sup3rS3crèt", POSTGRESQL, ErrorCode.PASSWORD),
        ("Sup3r٣S3cret", POSTGRESQL, ErrorCode.PASSWORD),
        ("Sup3r'S3cret", POSTGRESQL, ErrorCode.PASSWORD),
        ("Sup3r$S3cret", POSTGRESQL, ErrorCode.PASSWORD),
        ("Sup3r$S3cret", MYSQL, None),
        ("Sup3r$S3cret", SQLSERVER, None),
        ("Sup3r(S3cret)&", MYSQL, None),
        ("Sup3r(S3cret)&", POSTGRESQL, ErrorCode.PASSWORD),
        ("Sup3r=S3cret", POSTGRESQL, None),
        ("Sup3r=S3cret", SQLSERVER, ErrorCode.PASSWORD),
        # no more than the user's name
        ("Root-2024", POSTGRESQL, ErrorCode.PASSWORD),
        ("2024-Toor_", POSTGRESQL, ErrorCode.PASSWORD),
        # what scripts for the cloud have
        ("Test@123", MYSQL, None),
        ("test_1234", POSTGRESQL, None),
        ("Huawei@123", POSTGRESQL, None),
        ("Abc12345!", POSTGRESQL, None),
        ("P@ssw0rd-123", POSTGRESQL, None),
        ("Rooted-2024", POSTGRESQL, None),
        ("My-Password-of-2024", POSTGRESQL, None),
    ],
)
def test_passwords(password: str, engine: EngineName, code: ErrorCode | None) -> None:
    assert code_of(lambda: rules.check_password(password, engine, user="root")) is code


@pytest.mark.parametrize(
    "word",
    [
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
        "root",
        "toor",
    ],
)
def test_usual_words_are_weak_and_taken_but_for_the_name(word: str) -> None:
    for password in (f"{word.capitalize()}-2024", f"2024-{word.capitalize()}"):
        refused = code_of(lambda p=password: rules.check_password(p, POSTGRESQL, user="root"))
        assert refused is (ErrorCode.PASSWORD if word in ("root", "toor") else None)
        assert rules.is_weak(password, POSTGRESQL, user="root")
    unusual = f"{word.capitalize()}-x-2024"
    assert code_of(lambda: rules.check_password(unusual, POSTGRESQL, user="root")) is None
    assert not rules.is_weak(unusual, POSTGRESQL, user="root")
    assert rules.is_weak("Sh0rt-", POSTGRESQL, user="root")


def test_a_name_of_a_user_is_no_password() -> None:
    for user, password in (("Xy1_Xy1_", "Xy1_Xy1_"), ("xy1_xy1_", "Xy1_Xy1_"), ("orders", "Sredro-2024")):
        assert (
            code_of(lambda u=user, p=password: rules.check_password(p, POSTGRESQL, user=u))
            is ErrorCode.PASSWORD
        )


@pytest.mark.parametrize("engine", EngineName)
@given(st.data())
def test_every_special_character_of_an_engine_is_allowed(engine: EngineName, data: st.DataObject) -> None:
    specials = RULES[engine].password_specials
    password = "xQ9" + data.draw(st.text(alphabet=specials, min_size=5, max_size=29))
    assert code_of(lambda: rules.check_password(password, engine, user="root")) is None


@pytest.mark.parametrize(
    ("engine", "allowed", "forbidden"),
    [
        (MYSQL, (1024, 3306, 65535), (0, 1023, 12017, 33071, 65536)),
        (MARIADB, (1024, 3306, 65535), (1023, 12017, 33071, 65536)),
        (POSTGRESQL, (2100, 5432, 9500), (2099, 9501, 1433, 0, 65536)),
        (SQLSERVER, (1433, 2100, 9500), (1432, 1434, 2099, 5355, 5985, 9501)),
    ],
)
def test_ports(engine: EngineName, allowed: tuple[int, ...], forbidden: tuple[int, ...]) -> None:
    for port in (*allowed, RULES[engine].default_port):
        assert code_of(lambda port=port: rules.check_port(port, engine)) is None, port
    for port in forbidden:
        assert code_of(lambda port=port: rules.check_port(port, engine)) is ErrorCode.PARAMETER, port


def test_a_refused_port_is_told_the_range_and_its_gaps() -> None:
    with pytest.raises(Refusal, match="port of SQLServer must be 1433 or 2100 to 9500, except 5355, 5985"):
        rules.check_port(80, SQLSERVER)
    with pytest.raises(Refusal, match=r"port of PostgreSQL must be 2100 to 9500\."):
        rules.check_port(80, POSTGRESQL)


@pytest.mark.parametrize(
    ("volume_type", "size", "code"),
    [
        *((volume_type, 40, None) for volume_type in rules.VOLUME_TYPES),
        ("CLOUDSSD", 4000, None),
        ("cloudssd", 40, ErrorCode.VOLUME_TYPE),
        ("", 40, ErrorCode.VOLUME_TYPE),
        ("CLOUDSSD", 39, ErrorCode.VOLUME_SIZE),
        ("CLOUDSSD", 4001, ErrorCode.VOLUME_SIZE),
        ("CLOUDSSD", 0, ErrorCode.VOLUME_SIZE),
        ("CLOUDSSD", 41, ErrorCode.VOLUME_MULTIPLE),
    ],
)
def test_volumes(volume_type: str, size: int, code: ErrorCode | None) -> None:
    assert code_of(lambda: rules.check_volume(volume_type, size)) is code


@pytest.mark.parametrize(
    ("window", "is_good"),
    [
        ("02:00-03:00", True),
        ("02:45-03:45", True),
        ("23:00-00:00", True),
        ("23:30-00:30", True),
        ("02:15-03:15", True),
        ("00:00-01:00", True),
        ("02:01-03:01", False),
        ("02:14-03:14", False),
        ("02:00-02:59", False),
        ("02:00-03:01", False),
        ("02:60-04:00", False),
        ("0\N{ARABIC-INDIC DIGIT TWO}:00-03:00", False),
        ("02:00-03:\N{FULLWIDTH DIGIT ZERO}0", False),
        ("02:10-03:10", False),
        ("02:00-04:00", False),
        ("02:00-02:00", False),
        ("03:00-02:00", False),
        ("24:00-01:00", False),
        ("2:00-3:00", False),
        ("02:00 - 03:00", False),
        ("02:00", False),
        ("", False),
    ],
)
def test_backup_windows(window: str, is_good: bool) -> None:
    expected = None if is_good else ErrorCode.BACKUP_WINDOW
    assert code_of(lambda: rules.check_backup_window(window)) is expected


@pytest.mark.parametrize(("days", "is_good"), [(0, True), (1, True), (732, True), (-1, False), (733, False)])
def test_days_to_keep(days: int, is_good: bool) -> None:
    expected = None if is_good else ErrorCode.BACKUP_KEEP_DAYS
    assert code_of(lambda: rules.check_keep_days(days)) is expected


@pytest.mark.parametrize(
    ("period", "is_good"),
    [
        ("1", True),
        ("7,1,3", True),
        ("1,2,3,4,5,6,7", True),
        ("", False),
        ("0", False),
        ("8", False),
        ("12", False),
        ("\N{ARABIC-INDIC DIGIT ONE}", False),
        ("1,", False),
        ("1,1", False),
        ("1, 2", False),
        ("Monday", False),
    ],
)
def test_backup_periods(period: str, is_good: bool) -> None:
    expected = None if is_good else ErrorCode.BACKUP_PERIOD
    assert code_of(lambda: rules.check_backup_period(period)) is expected


@pytest.mark.parametrize(
    ("start", "end", "window"),
    [
        ("02:00", "06:00", "02:00-06:00"),
        ("22:30", "02:30", "22:30-02:30"),
        ("02:00", "05:00", "02:00-05:00"),
        ("23:30", "00:30", "23:30-00:30"),
        ("02:00", "02:59", None),
        ("02:00", "02:00", None),
        ("02:00", "06:01", None),
        ("20:00", "00:00", "20:00-00:00"),
        ("02:00", "0\N{ARABIC-INDIC DIGIT SIX}:00", None),
        ("06:00", "02:00", None),
        ("2:00", "6:00", None),
        ("", "", None),
        ("20:00", "24:00", None),
    ],
)
def test_maintenance_windows(start: str, end: str, window: str | None) -> None:
    if window is None:
        assert code_of(lambda: rules.maintenance_window(start, end)) is ErrorCode.PARAMETER
    else:
        assert rules.maintenance_window(start, end) == window


@pytest.mark.parametrize(
    ("time_zone", "kept"),
    [
        ("", "UTC"),
        ("UTC", "UTC"),
        ("UTC+08:00", "UTC+08:00"),
        ("UTC-12:00", "UTC-12:00"),
        ("UTC+12:00", "UTC+12:00"),
        ("UTC+00:00", "UTC+00:00"),
        ("UTC+13:00", None),
        ("UTC-13:00", None),
        ("UTC+\N{ARABIC-INDIC DIGIT ONE}\N{ARABIC-INDIC DIGIT ONE}:00", None),
        ("UTC+05:30", None),
        ("UTC+8:00", None),
        ("utc+08:00", None),
        ("Europe/Paris", None),
        ("'; drop", None),
    ],
)
def test_time_zones(time_zone: str, kept: str | None) -> None:
    if kept is None:
        assert code_of(lambda: rules.check_time_zone(time_zone)) is ErrorCode.PARAMETER
    else:
        assert rules.check_time_zone(time_zone) == kept


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ([], None),
        ([("k" * 128, "v" * 255)], None),
        ([("team", "")], None),
        ([(f"k{number}", "v") for number in range(20)], None),
        ([(f"k{number}", "v") for number in range(21)], ErrorCode.TOO_MANY_TAGS),
        ([("", "v")], ErrorCode.PARAMETER),
        ([("k" * 129, "v")], ErrorCode.PARAMETER),
        ([("k", "v" * 256)], ErrorCode.PARAMETER),
        ([("k", "1"), ("k", "2")], ErrorCode.DUPLICATE_TAG),
        ([("k", "1"), ("K", "1")], None),
    ],
)
def test_tags(tags: list[tuple[str, str]], code: ErrorCode | None) -> None:
    assert code_of(lambda: rules.check_tags(tags)) is code


def test_one_of() -> None:
    rules.check_one_of("action", "create", ("create", "delete"))
    with pytest.raises(Refusal, match="action must be one of create, delete") as refused:
        rules.check_one_of("action", "", ("create", "delete"))
    assert refused.value.error is ErrorCode.PARAMETER


@pytest.mark.parametrize(
    ("engine", "name", "allowed"),
    [
        (POSTGRESQL, "a" * 63, True),
        (POSTGRESQL, "a" * 64, False),
        (POSTGRESQL, "ü" * 32, False),
        (POSTGRESQL, "ends with a space ", True),
        (POSTGRESQL, "", False),
        (POSTGRESQL, "a\0b", False),
        (MYSQL, "a" * 64, True),
        (MYSQL, "a" * 65, False),
        (MYSQL, "订" * 64, True),
        (MARIADB, "ends with a space ", False),
        (MARIADB, "\U0001f418", False),
        (MYSQL, "", False),
        (MYSQL, "a\0b", False),
    ],
)
def test_names_of_databases_and_tables(engine: EngineName, name: str, allowed: bool) -> None:
    assert RULES[engine].allows_name(name) is allowed
    assert RULES[engine].name_rule.startswith("A name must have 1 to 6")


@pytest.mark.parametrize(
    ("engine", "mode", "waits"),
    [
        (POSTGRESQL, "sync", True),
        (POSTGRESQL, "async", False),
        (MYSQL, "semisync", True),
        (MARIADB, "semisync", True),
        (MYSQL, "async", False),
        (SQLSERVER, "sync", True),
        (POSTGRESQL, None, False),
    ],
)
def test_in_which_modes_commits_wait(engine: EngineName, mode: str | None, waits: bool) -> None:
    assert RULES[engine].waits_in(mode) is waits


@pytest.mark.parametrize(
    ("engine", "version", "demands"),
    [
        (MYSQL, "8.0.46", False),
        (MYSQL, "9.6", False),
        (MYSQL, "9.6.9", False),
        (MYSQL, "9.7", True),
        (MYSQL, "9.7.0", True),
        (MYSQL, "9.10.1", True),
        (MYSQL, "10.0", True),
        (MARIADB, "10.11.19", False),
        (MARIADB, "11.7.2", False),
        (MARIADB, "11.8", True),
        (MARIADB, "11.8.0", True),
        (MARIADB, "12.0.1", True),
        (POSTGRESQL, "18.4", False),
        (SQLSERVER, "2022", False),
    ],
)
def test_which_versions_demand_tls(engine: EngineName, version: str, demands: bool) -> None:
    assert RULES[engine].demands_tls(version) is demands


@pytest.mark.parametrize(
    ("version", "asked", "is_meant"),
    [
        ("16", "16", True),
        ("16", "16.14", True),
        ("16", "1", False),
        ("1", "16", False),
        ("8.0", "8.0.36", True),
        ("8.0", "8.0", True),
        ("8.0", "8", False),
        ("8.4", "8.40", False),
        ("10.6", "10.6.18-MariaDB", True),
        ("16", "", False),
    ],
)
def test_which_version_is_meant(version: str, asked: str, is_meant: bool) -> None:
    assert is_version(version, asked) is is_meant
