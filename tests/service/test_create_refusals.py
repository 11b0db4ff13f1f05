"""Every way in which `POST instances` is refused: the answer, and that nothing was written. Source: operations.md 3."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from support.service import ServiceUnderTest, private_cidr, running_service

TAG = {"key": "team", "value": "orders"}
UNKNOWN = "11111111-2222-3333-4444-555555555555"
NO_INSTANCE = "0" * 32 + "in03"
TWO_ZONES = {"availability_zone": "local-1a,local-1a"}
PAIR = {**TWO_ZONES, "flavor_ref": "rds.pg.n1.medium.2.ha"}

#: What is changed in a valid body; HTTP status, error code, and what the message must say.
CASES: dict[str, tuple[dict[str, Any], int, str, str]] = {
    # name
    "name too short": ({"name": "abc"}, 400, "DBS.200021", "4 to 64"),
    "name too long": ({"name": "a" * 65}, 400, "DBS.200021", "4 to 64"),
    "name begins with a digit": ({"name": "1orders"}, 400, "DBS.200021", "letter"),
    "name with a space": ({"name": "orders db"}, 400, "DBS.200021", "hyphens"),
    "name with Chinese characters": ({"name": "订单数据库"}, 400, "DBS.200021", "letters"),
    "name with a newline at its end": ({"name": "orders\n"}, 400, "DBS.200021", "hyphens"),
    "name empty": ({"name": ""}, 400, "DBS.200021", "name"),
    "name missing": ({"name": None}, 400, "DBS.200001", "name"),
    "name not a string": ({"name": 12345}, 400, "DBS.200001", "name"),
    # datastore
    "engine unknown": ({"datastore": {"type": "Oracle", "version": "19"}}, 400, "DBS.200042", "PostgreSQL"),
    "version unknown": ({"datastore": {"type": "PostgreSQL", "version": "9"}}, 400, "DBS.200041", "there is"),
    "version not a string": (
        {"datastore": {"type": "PostgreSQL", "version": 16}},
        400,
        "DBS.200001",
        "version",
    ),
    "version missing": ({"datastore": {"type": "PostgreSQL"}}, 400, "DBS.200001", "version"),
    "datastore missing": ({"datastore": None}, 400, "DBS.200001", "datastore"),
    "datastore not an object": ({"datastore": "PostgreSQL"}, 400, "DBS.200001", "datastore"),
    "SQL Server is not on this host": (
        {"datastore": {"type": "SQLServer", "version": "2022_SE"}, "flavor_ref": "rds.mssql.n1.medium.2"},
        400,
        "DBS.200040",
        "No host has a SQLServer server",
    ),
    # flavor
    "flavor unknown": ({"flavor_ref": "rds.pg.none"}, 400, "DBS.200053", "rds.pg.none"),
    "flavor of another engine": ({"flavor_ref": "rds.mysql.n1.medium.2"}, 400, "DBS.200053", "PostgreSQL"),
    "flavor of primary and standby": ({"flavor_ref": "rds.pg.n1.medium.2.ha"}, 400, "DBS.200053", "single"),
    "flavor of a replica": ({"flavor_ref": "rds.pg.n1.medium.2.rr"}, 400, "DBS.200053", "single"),
    "flavor missing": ({"flavor_ref": None}, 400, "DBS.200001", "flavor_ref"),
    # volume
    "volume type unknown": ({"volume": {"type": "FLOPPY", "size": 40}}, 400, "DBS.200026", "CLOUDSSD"),
    "volume type in lower case": (
        {"volume": {"type": "cloudssd", "size": 40}},
        400,
        "DBS.200026",
        "CLOUDSSD",
    ),
    "volume too small": ({"volume": {"type": "CLOUDSSD", "size": 30}}, 400, "DBS.200023", "40"),
    "volume too large": ({"volume": {"type": "CLOUDSSD", "size": 4010}}, 400, "DBS.200023", "4000"),
    "volume size negative": ({"volume": {"type": "CLOUDSSD", "size": -40}}, 400, "DBS.200023", "40"),
    "volume size not a multiple": ({"volume": {"type": "CLOUDSSD", "size": 45}}, 400, "DBS.200027", "10"),
    "volume size missing": ({"volume": {"type": "CLOUDSSD"}}, 400, "DBS.200001", "volume.size"),
    "volume size not a number": ({"volume": {"type": "CLOUDSSD", "size": "big"}}, 400, "DBS.200001", "size"),
    "volume size a fraction": ({"volume": {"type": "CLOUDSSD", "size": 40.5}}, 400, "DBS.200001", "size"),
    "volume missing": ({"volume": None}, 400, "DBS.200001", "volume"),
    # place
    "region unknown": ({"region": "mars-1"}, 400, "DBS.200024", "local-1"),
    "availability zone unknown": ({"availability_zone": "local-1z"}, 400, "DBS.200025", "local-1a"),
    "two zones for one server": (TWO_ZONES, 400, "DBS.280244", "one zone"),
    "availability zone missing": ({"availability_zone": None}, 400, "DBS.200001", "availability_zone"),
    "vpc unknown": ({"vpc_id": UNKNOWN}, 400, "DBS.200048", "vpc_id"),
    "vpc missing": ({"vpc_id": None}, 400, "DBS.200001", "vpc_id"),
    "subnet unknown": ({"subnet_id": UNKNOWN}, 400, "DBS.200049", "subnet_id"),
    "subnet missing": ({"subnet_id": None}, 400, "DBS.200001", "subnet_id"),
    "security group unknown": ({"security_group_id": UNKNOWN}, 404, "DBS.200050", "security_group_id"),
    "security group missing": ({"security_group_id": None}, 400, "DBS.200001", "security_group_id"),
    # password
    "password too short": ({"password": "Abc12_-"}, 400, "DBS.200052", "8 to 32"),
    "password too long": ({"password": "Abcd_" * 6 + "xyz"}, 400, "DBS.200052", "8 to 32"),
    "password of two kinds": ({"password": "abcdefgh12345"}, 400, "DBS.200052", "three kinds"),
    "password with a space": ({"password": "Sup3r S3cret_"}, 400, "DBS.200052", "characters"),
    "password with a dollar": ({"password": "Sup3r$S3cret_"}, 400, "DBS.200052", "characters"),
    "password not ASCII": ({"password": "Sup3r-Sécret_"}, 400, "DBS.200052", "characters"),
    "password is the user's name": ({"password": "Root-1234567"}, 400, "DBS.200052", "guessed"),
    "password empty": ({"password": ""}, 400, "DBS.200052", "8 to 32"),
    "password not a string": ({"password": 1234567890}, 400, "DBS.200001", "password"),
    # port
    "port too low": ({"port": "2099"}, 400, "DBS.200001", "2100 to 9500"),
    "port too high": ({"port": 9501}, 400, "DBS.200001", "2100 to 9500"),
    "port not a number": ({"port": "5432x"}, 400, "DBS.200001", "port"),
    "port negative": ({"port": -5432}, 400, "DBS.200001", "port"),
    "port a list": ({"port": [5432]}, 400, "DBS.200001", "port"),
    # backup strategy
    "backup window too long": (
        {"backup_strategy": {"start_time": "01:00-03:00"}},
        400,
        "DBS.280253",
        "one hour",
    ),
    "backup window off the quarters": (
        {"backup_strategy": {"start_time": "01:10-02:10"}},
        400,
        "DBS.280253",
        "00, 15, 30 or 45",
    ),
    "backup window not one": ({"backup_strategy": {"start_time": "night"}}, 400, "DBS.280253", "hh:mm"),
    "backup window in digits of another script": (
        {"backup_strategy": {"start_time": "0\N{ARABIC-INDIC DIGIT ONE}:00-02:00"}},
        400,
        "DBS.280253",
        "hh:mm",
    ),
    "enterprise project too long": (
        {"enterprise_project_id": "e" * 65},
        400,
        "DBS.200001",
        "enterprise_project_id",
    ),
    "backup window missing": ({"backup_strategy": {"keep_days": 3}}, 400, "DBS.200001", "start_time"),
    "backups kept too long": (
        {"backup_strategy": {"start_time": "01:00-02:00", "keep_days": 733}},
        400,
        "DBS.280250",
        "732",
    ),
    "backups kept for less than nothing": (
        {"backup_strategy": {"start_time": "01:00-02:00", "keep_days": -1}},
        400,
        "DBS.280250",
        "732",
    ),
    # tags
    "too many tags": (
        {"tags": [{"key": f"k{number}", "value": ""} for number in range(21)]},
        400,
        "DBS.200087",
        "20",
    ),
    "a tag key twice": ({"tags": [TAG, TAG]}, 400, "DBS.280272", "twice"),
    "a tag key too long": ({"tags": [{"key": "k" * 129, "value": ""}]}, 400, "DBS.200001", "128"),
    "a tag key empty": ({"tags": [{"key": "", "value": ""}]}, 400, "DBS.200001", "128"),
    "a tag value too long": ({"tags": [{"key": "k", "value": "v" * 256}]}, 400, "DBS.200001", "255"),
    "a tag without key": ({"tags": [{"value": "v"}]}, 400, "DBS.200001", "key"),
    "tags an object": ({"tags": TAG}, 400, "DBS.200001", "tags"),
    # what this openrds does not offer
    "ha mode unknown": ({"ha": {"mode": "Twin", "replication_mode": "async"}}, 400, "DBS.200051", "Ha"),
    "replication mode of another engine": (
        {**PAIR, "ha": {"mode": "Ha", "replication_mode": "semisync"}},
        400,
        "DBS.200043",
        "async or sync",
    ),
    "replication mode missing": ({**PAIR, "ha": {"mode": "Ha"}}, 400, "DBS.200001", "replication_mode"),
    "one zone for two servers": (
        {"ha": {"mode": "ha", "replication_mode": "sync"}},
        400,
        "DBS.280244",
        "two zones",
    ),
    "read replica of nothing": ({"replica_of_id": NO_INSTANCE}, 404, "DBS.200002", NO_INSTANCE),
    "restore": ({"restore_point": {"instance_id": "x"}}, 400, "DBS.280404", "An instance id is"),
    "restore of nothing": ({"restore_point": {"backup_id": "x"}}, 400, "DBS.200001", "instance_id"),
    "how names of tables are compared": (
        {"unchangeable_param": {"lower_case_table_names": "1"}},
        400,
        "DBS.200001",
        "lower_case_table_names is not for PostgreSQL",
    ),
    "character set": ({"character_set": "utf8mb4"}, 400, "DBS.200001", "character_set is not for PostgreSQL"),
    "collation": ({"collation": "C"}, 400, "DBS.200001", "collation is not for PostgreSQL"),
    "serverless": ({"serverless_info": {"min_cap": "1"}}, 400, "DBS.200001", "serverless_info is not"),
    "several at once": ({"count": 2}, 400, "DBS.200001", "count"),
    "an address of one's own": ({"data_vip": "127.0.0.9"}, 400, "DBS.200001", "data_vip is not"),
    "paid in advance": ({"charge_info": {"charge_mode": "prePaid"}}, 400, "DBS.200001", "postPaid"),
    "charge mode unknown": ({"charge_info": {"charge_mode": "gold"}}, 400, "DBS.200001", "charge_mode"),
    "parameter group unknown": ({"configuration_id": UNKNOWN}, 404, "DBS.212001", UNKNOWN),
    "encryption key unknown": ({"disk_encryption_id": UNKNOWN}, 400, "DBS.200506", UNKNOWN),
    # the rest
    "time zone not whole hours": ({"time_zone": "UTC+05:30"}, 400, "DBS.200001", "time_zone"),
    "time zone too far east": ({"time_zone": "UTC+13:00"}, 400, "DBS.200001", "time_zone"),
    "time zone in digits of another script": (
        {"time_zone": "UTC+\N{ARABIC-INDIC DIGIT ONE}\N{ARABIC-INDIC DIGIT ONE}:00"},
        400,
        "DBS.200001",
        "time_zone",
    ),
    "time zone by name": ({"time_zone": "Europe/Paris"}, 400, "DBS.200001", "time_zone"),
}


def refused(service: ServiceUnderTest, body: Any, status: int, code: str, said: str) -> None:
    answer = service.call("POST", "instances", body)
    assert (answer.status_code, answer.json()["error_code"]) == (status, code), answer.text
    assert said in answer.json()["error_msg"]


def written(service: ServiceUnderTest) -> tuple[int, int, int]:
    """How much there is of what a creation leaves: instances, tasks, and quota in use."""
    quota, *_ = service.get("quotas")["quotas"]["resources"]
    return service.get("instances")["total_count"], service.get("tasklist")["total_count"], quota["used"]


@pytest.fixture(scope="module")
def body(service: ServiceUnderTest) -> dict[str, Any]:
    return service.create_body()


@pytest.fixture(autouse=True)
def nothing_written(request: pytest.FixtureRequest) -> Iterator[None]:
    """No test on the shared service leaves a trace."""
    if "service" not in request.fixturenames:
        yield
        return
    service = request.getfixturevalue("service")
    before = written(service)
    yield
    assert written(service) == before


@pytest.mark.parametrize("case", CASES)
def test_a_bad_body_is_refused(service: ServiceUnderTest, body: dict[str, Any], case: str) -> None:
    changes, status, code, said = CASES[case]
    changed = {name: value for name, value in {**body, **changes}.items() if value is not None}
    refused(service, changed, status, code, said)


def test_an_engine_without_a_server_is_refused(service: ServiceUnderTest, body: dict[str, Any]) -> None:
    for name, token in (("MySQL", "mysql"), ("mariadb", "mariadb")):
        if service.get(f"datastores/{name}")["dataStores"]:
            continue
        datastore = {"type": name, "version": "8.0"}
        changed = {**body, "datastore": datastore, "flavor_ref": f"rds.{token}.n1.medium.2"}
        refused(service, changed, 400, "DBS.200040", "Install one")


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 400, "DBS.200006"),
        (b"{", 422, "DBS.212019"),
        (b"\xff\xfe", 422, "DBS.212019"),
        (b"[]", 400, "DBS.200001"),
        (b'"orders-db"', 400, "DBS.200001"),
        (b"{}", 400, "DBS.200001"),
        (b"null", 400, "DBS.200001"),
    ],
)
def test_a_body_that_is_none_is_refused(
    service: ServiceUnderTest, content: bytes, status: int, code: str
) -> None:
    answer = service.call("POST", "instances", content=content)
    assert (answer.status_code, answer.json()["error_code"]) == (status, code), answer.text


@pytest.mark.parametrize(
    "changes",
    [
        {"unheard_of": {"deeply": ["nested"]}, "volume": {"type": "CLOUDSSD", "size": 40, "iops": 3000}},
        {"port": 2100, "time_zone": "UTC-12:00", "tags": [TAG], "configuration_id": ""},
        {"port": "9500", "backup_strategy": {"start_time": "23:00-00:00", "keep_days": 732}},
        {"charge_info": {"charge_mode": "postPaid"}, "count": 1, "restore_point": {}, "replica_of_id": ""},
        {"name": "a" * 64, "volume": {"type": "ESSD", "size": 4000}},
    ],
)
def test_a_good_body_passes_every_check(
    service: ServiceUnderTest, body: dict[str, Any], changes: dict[str, Any]
) -> None:
    """A dry run checks all of it and makes nothing. Unknown fields are ignored."""
    answer = service.call("POST", "instances", {**body, **changes, "dry_run": True})
    assert (answer.status_code, answer.json()) == (202, {}), answer.text


@pytest.fixture(scope="module")
def crowded() -> Iterator[ServiceUnderTest]:
    """Three projects of one instance each, on a host with two addresses."""
    cidr = private_cidr().replace("/24", "/30")
    with running_service(
        projects="local-1,second,third", instance_quota="1", private_cidr=cidr, spare_data_dirs="0"
    ) as service:
        yield service


def test_quota_addresses_and_disk_run_out(crowded: ServiceUnderTest) -> None:
    second, third = replace(crowded, project="second"), replace(crowded, project="third")
    first_id = created_at_once(crowded, 3)
    refused(crowded, crowded.create_body(), 413, "DBS.200046", "1 of 1 instances")
    created_at_once(second, 1)
    refused(third, third.create_body(), 413, "DBS.200046", "2 of 2")
    assert written(crowded) == (1, 1, 1)
    assert written(third) == (0, 0, 0)

    crowded.delete(first_id)
    third.delete(created_at_once(third, 1))

    crowded.stop()
    crowded.options["min_free_mb"] = str(2 * shutil.disk_usage(crowded.data_dir).total // 2**20)
    crowded.start()
    before = written(third)
    refused(third, third.create_body(), 400, "DBS.280448", "MB left")
    assert written(third) == before


def created_at_once(service: ServiceUnderTest, calls: int) -> str:
    """Ask for instances at the same moment, of which exactly one may be had, and wait for that."""
    # Of different names: one body twice in a second has one signature, and is a replay.
    bodies = [service.create_body(name=f"orders-{number}") for number in range(calls)]
    with ThreadPoolExecutor(calls) as pool:
        answers = list(pool.map(lambda body: service.call("POST", "instances", body), bodies))
    assert sorted(answer.status_code for answer in answers) == [202, *[413] * (calls - 1)]
    (answer,) = (answer.json() for answer in answers if answer.status_code == 202)
    service.completed(answer["job_id"])
    return answer["instance"]["id"]
