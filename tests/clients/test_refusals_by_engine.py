"""What each engine lacks or forbids is refused by its own rules, before anything is written.

What is refused whatever the engine is in `tests/service/test_create_refusals.py`. Source: operations.md 3, 5 and 7.
"""

from typing import Any

import pytest

from openrds.domain.engine import EngineName
from support.backups import now, refusal
from support.dialects import DIALECTS, Dialect
from support.engines import needs_engine
from support.pairs import BINLOG_ENGINES, Pair, each_engine
from support.service import PASSWORD, ServiceUnderTest

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]

PARAMETER, NAME, PASSWORD_, MODE = "DBS.200001", "DBS.200021", "DBS.200052", "DBS.200043"
NO_VERSION, NO_FLAVOR, ZONES = "DBS.200041", "DBS.200053", "DBS.280244"
HA = {"flavor": "ha", "availability_zone": "local-1a,local-1a"}
EACH = tuple(DIALECTS)


def ha(mode: str) -> dict[str, Any]:
    return {**HA, "ha": {"mode": "Ha", "replication_mode": mode}}


#: Engines, what is changed in a body that is good for them, the error code, and what the message says. All are 400.
BAD: dict[str, tuple[tuple[EngineName, ...], dict[str, Any], str, str]] = {
    "a version of another engine": ((EngineName.MYSQL,), {"version": "10.11"}, NO_VERSION, "there is"),
    "a version that is too old": (BINLOG_ENGINES, {"version": "5.5"}, NO_VERSION, "there is"),
    "half of a version": ((EngineName.MARIADB,), {"version": "1"}, NO_VERSION, "there is"),
    "no version": (BINLOG_ENGINES, {"version": ""}, NO_VERSION, "there is"),
    "another engine's flavor": (BINLOG_ENGINES, {"flavor_ref": "rds.pg.n1.medium.2"}, NO_FLAVOR, ""),
    "a mode of PostgreSQL": (BINLOG_ENGINES, ha("sync"), MODE, "async or semisync"),
    "a mode of MySQL": ((EngineName.POSTGRESQL,), ha("semisync"), MODE, "async or sync"),
    "a mode that nobody has": (EACH, ha("quorum"), MODE, "async or"),
    "one zone for two": (EACH, {**ha("async"), "availability_zone": "local-1a"}, ZONES, "two zones"),
    "a port that is privileged": (BINLOG_ENGINES, {"port": "1023"}, PARAMETER, "1024 to 65535"),
    "a port beyond all": (BINLOG_ENGINES, {"port": "65536"}, PARAMETER, "1024 to 65535"),
    "a port that is taken": (BINLOG_ENGINES, {"port": "33071"}, PARAMETER, "12017, 33071"),
    "another port that is taken": (BINLOG_ENGINES, {"port": 12017}, PARAMETER, "12017, 33071"),
    "a port of MySQL alone": ((EngineName.POSTGRESQL,), {"port": "1024"}, PARAMETER, "2100 to 9500"),
    "a name in Chinese": (
        (EngineName.POSTGRESQL, EngineName.MARIADB),
        {"name": "订单数据库"},
        NAME,
        "letters",
    ),
    "a name that is too short": (EACH, {"name": "订单a"}, NAME, "4 to 64"),
    "a password with a dollar": (
        (EngineName.POSTGRESQL,),
        {"password": "Sup3r$S3cret"},
        PASSWORD_,
        "characters",
    ),
    "a password with a quote": (EACH, {"password": "Sup3r'S3cret"}, PASSWORD_, "characters"),
    "a password with a backslash": (EACH, {"password": "Sup3r\\S3cret"}, PASSWORD_, "characters"),
    "a password with a semicolon": (EACH, {"password": "Sup3r;S3cret"}, PASSWORD_, "characters"),
    "a password that is the user's": (EACH, {"password": "Root-1234567"}, PASSWORD_, "guessed"),
    "a password too long": (EACH, {"password": "Aa1-" * 8 + "x"}, PASSWORD_, "8 to 32"),
    "names of tables in a third way": (
        BINLOG_ENGINES,
        {"unchangeable_param": {"lower_case_table_names": "2"}},
        PARAMETER,
        "must be 0 or 1",
    ),
    "names of tables as a number": (
        BINLOG_ENGINES,
        {"unchangeable_param": {"lower_case_table_names": 1}},
        PARAMETER,
        "lower_case_table_names",
    ),
    "names of tables in PostgreSQL": (
        (EngineName.POSTGRESQL,),
        {"unchangeable_param": {"lower_case_table_names": "0"}},
        PARAMETER,
        "is not for PostgreSQL",
    ),
    "an unknown character set": (BINLOG_ENGINES, {"character_set": "klingon"}, PARAMETER, "must be one of"),
    "a character set with a quote": (
        BINLOG_ENGINES,
        {"character_set": "utf8mb4'"},
        PARAMETER,
        "must be one of",
    ),
    "a collation of another set": (
        BINLOG_ENGINES,
        {"character_set": "latin1", "collation": "utf8mb4_bin"},
        PARAMETER,
        "latin1_swedish_ci",
    ),
    "a collation of MySQL alone": (
        (EngineName.MARIADB,),
        {"collation": "utf8mb4_0900_ai_ci"},
        PARAMETER,
        "utf8mb4_general_ci",
    ),
}
CASES = [
    pytest.param(case, engine, marks=(needs_engine(engine), pytest.mark.xdist_group(f"clients of {engine}")))
    for case, (engines, *_) in BAD.items()
    for engine in engines
]

#: What is good for one engine, though it is bad for another.
GOOD: dict[EngineName, list[dict[str, Any]]] = {
    EngineName.MYSQL: [
        {"name": "订单数据库", "port": "1024", "password": "Sup3r$(S3cret)&"},
        {"port": "65535", "unchangeable_param": {"lower_case_table_names": "0"}, "character_set": "gb18030"},
        ha("semisync"),
        ha("async"),
    ],
    EngineName.MARIADB: [
        {"port": "33070", "password": "Sup3r$(S3cret)&", "collation": "utf8mb4_nopad_bin"},
        {"unchangeable_param": {"lower_case_table_names": "1"}, "character_set": "latin1"},
        ha("semisync"),
    ],
    EngineName.POSTGRESQL: [{"port": "9500"}, ha("sync"), ha("async")],
}
GOOD_CASES = [
    pytest.param(
        engine,
        changes,
        marks=(needs_engine(engine), pytest.mark.xdist_group(f"clients of {engine}")),
        id=f"{engine}-{number}",
    )
    for engine, bodies in GOOD.items()
    for number, changes in enumerate(bodies)
]


def body_for(service: ServiceUnderTest, dialect: Dialect, changes: dict[str, Any]) -> dict[str, Any]:
    """`flavor` among the changes is the kind of one, and `version` is the datastore's."""
    changes = {**changes}
    flavor = dialect.flavor(kind=changes.pop("flavor", ""))
    version = changes.pop("version", service.newest_version(dialect))
    datastore = {"type": dialect.engine.value, "version": version}
    return service.create_body(dialect, **{"flavor_ref": flavor, "datastore": datastore, **changes})


def written(service: ServiceUnderTest) -> tuple[int, int]:
    return service.get("instances")["total_count"], service.get("tasklist")["total_count"]


@pytest.mark.parametrize(("case", "engine"), CASES)
def test_a_body_is_refused_by_the_rules_of_its_engine(
    all_engines: ServiceUnderTest, case: str, engine: EngineName
) -> None:
    _, changes, code, said = BAD[case]
    before = written(all_engines)
    body = body_for(all_engines, DIALECTS[engine], changes)
    status, answered, message = refusal(all_engines, "POST", "instances", body)
    assert (status, answered) == (400, code), message
    assert said in message
    assert written(all_engines) == before


@pytest.mark.parametrize(("engine", "changes"), GOOD_CASES)
def test_a_body_is_good_by_the_rules_of_its_engine(
    all_engines: ServiceUnderTest, engine: EngineName, changes: dict[str, Any]
) -> None:
    body = {**body_for(all_engines, DIALECTS[engine], changes), "dry_run": True}
    answer = all_engines.call("POST", "instances", body)
    assert (answer.status_code, answer.json()) == (202, {}), answer.text


# --- Of an instance that there is ---


@each_engine(*BINLOG_ENGINES)
def test_what_an_instance_cannot_be_made_is_refused(pair: Pair) -> None:
    cases: list[tuple[str, Any, str, str]] = [
        ("port", {"port": 1023}, PARAMETER, "1024 to 65535"),
        ("port", {"port": 33071}, PARAMETER, "33071"),
        ("failover/mode", {"mode": "sync"}, MODE, "async or semisync"),
        ("failover/mode", {"mode": ""}, MODE, "async or semisync"),
        ("name", {"name": "no"}, NAME, "4 to 64"),
        ("binlog/clear-policy", {"binlog_retention_hours": -1}, PARAMETER, "binlog_retention_hours"),
        ("binlog/clear-policy", {"binlog_retention_hours": 10**6}, PARAMETER, "binlog_retention_hours"),
        ("remote-connection", {"is_open": "perhaps"}, PARAMETER, "is_open"),
    ]
    before = pair.shown
    for path, body, code, said in cases:
        status, answered, message = refusal(pair.service, "PUT", f"instances/{pair.id}/{path}", body)
        assert (status, answered) == (400, code), (path, body, message)
        assert said in message, (path, body)
    weak = refusal(pair.service, "POST", f"instances/{pair.id}/password", {"db_user_pwd": "Sup3r'S3cret"})
    assert weak[:2] == (400, PASSWORD_)
    assert {**pair.shown, "updated": ""} == {**before, "updated": ""}


@each_engine(*BINLOG_ENGINES)
def test_a_moment_that_cannot_be_had_is_refused(pair: Pair) -> None:
    """Before the first backup there is none at all; a moment to come is never in a range."""
    tables = [{"old_name": "orders", "new_name": "orders_old"}]
    for moment in (1, now() + 3_600_000, 2**62):
        for path, body in (
            (
                f"/v3.1/{pair.service.project_id}/instances/{pair.id}/restore/tables",
                of_tables(moment, tables),
            ),
            ("instances/recovery", onto_itself(pair, moment)),
            ("instances", to_new(pair, moment)),
        ):
            status, code, message = refusal(pair.service, "POST", path, body)
            assert (status, code) == (400, PARAMETER), (moment, path, message)
    assert pair.shown["status"] == "ACTIVE"


@each_engine(*BINLOG_ENGINES)
@pytest.mark.parametrize(
    ("names", "code"),
    [
        ([], PARAMETER),
        ([("orders", "")], PARAMETER),
        ([("", "orders_old")], PARAMETER),
        ([("orders", "a" * 65)], PARAMETER),
        ([("orders", "ends with a space ")], PARAMETER),
        ([("orders", "with a dolphin 🐬")], PARAMETER),
        ([("orders", "nul\0")], PARAMETER),
        ([("orders", "same"), ("early", "same")], "DBS.201035"),
        ([("orders", "Same"), ("early", "sAME")], "DBS.201035"),
    ],
)
def test_bad_names_of_tables_are_refused(pair: Pair, names: list[tuple[str, str]], code: str) -> None:
    tables = [{"old_name": old, "new_name": new} for old, new in names]
    path = f"/v3.1/{pair.service.project_id}/instances/{pair.id}/restore/tables"
    status, answered, message = refusal(pair.service, "POST", path, of_tables(now(), tables))
    assert (status, answered) == (400, code), message


@each_engine(*BINLOG_ENGINES)
def test_tables_are_named_without_schemas(pair: Pair) -> None:
    tables = [{"old_name": "orders", "new_name": "orders_old"}]
    named = [{"database": pair.dialect.database, "schemas": [{"schema": "public", "tables": tables}]}]
    wanted = {"instance_id": pair.id, "restore_time": now(), "databases": named}
    path = "instances/batch/restore/tables"
    status, code, message = refusal(pair.service, "POST", path, {"instances": [wanted]})
    assert (status, code) == (400, PARAMETER)
    assert "databases[].tables[]" in message


def of_tables(moment: int, tables: list[dict[str, str]]) -> dict[str, Any]:
    return {"restore_time": moment, "restore_tables": [{"database": "app", "tables": tables}]}


def onto_itself(pair: Pair, moment: int) -> dict[str, Any]:
    source = {"instance_id": pair.id, "type": "timestamp", "restore_time": moment}
    return {"source": source, "target": {"instance_id": pair.id}}


def to_new(pair: Pair, moment: int) -> dict[str, Any]:
    point = {"instance_id": pair.id, "type": "timestamp", "restore_time": moment}
    return {**pair.service.create_body(pair.dialect, password=PASSWORD), "restore_point": point}
