"""Each limit, default and constant of the domain at its edge, written out. Refusals of values are in `test_rules`."""

import datetime as dt
import uuid
from pathlib import Path
from typing import Any

import pytest

from openrds.domain import identity, rules
from openrds.domain.backup import (
    BackupStatus,
    BackupType,
    automatic_name,
    check_backup_description,
    check_backup_name,
    new_backup_id,
)
from openrds.domain.capacity import GB, is_full
from openrds.domain.engine import RULES, EngineName
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.flavor import Flavor, counterpart, find_flavor, flavors_of, is_sold_out
from openrds.domain.instance import (
    Confirmation,
    InstanceStatus,
    InstanceType,
    NodeRole,
    SwitchStrategy,
    is_instance_id,
    new_instance_id,
    new_node_id,
)
from openrds.domain.network import default_network, public_addresses, stable_id
from openrds.domain.schedule import ScheduledName, ScheduleStatus
from openrds.domain.settings import Settings
from openrds.domain.task import (
    RETENTION,
    StepStatus,
    TaskName,
    TaskStatus,
    format_time,
    lowest_id_at,
)

SETTINGS = Settings(data_dir=Path("/data"))
PROJECT = "0483b6b16e954cb88930a360d2c4e663"


def code_of(check: Any, *arguments: Any) -> ErrorCode | None:
    try:
        check(*arguments)
    except Refusal as refusal:
        return refusal.error
    return None


# --- words that clients and the store read ---


@pytest.mark.parametrize(
    ("words", "spelled"),
    [
        (TaskStatus, "Running Completed Failed"),
        (StepStatus, "Planned Running Completed Failed Undoing Undone UndoFailed"),
        (InstanceType, "Single Ha Replica"),
        (NodeRole, "master slave readreplica"),
        (Confirmation, "no asked yes"),
        (SwitchStrategy, "reliability availability"),
        (BackupType, "auto manual"),
        (BackupStatus, "BUILDING COMPLETED FAILED DELETING"),
        (ScheduledName, "REBOOT RESIZE_FLAVOR UPGRADE_DATABASE"),
        (ScheduleStatus, "Initing Pending Running Completed Failed Unauthorized Canceled"),
        (EngineName, "MySQL PostgreSQL SQLServer MariaDB"),
        (identity.TokenScope, "project domain none"),
        (identity.Credential, "signature token session"),
    ],
)
def test_words(words: Any, spelled: str) -> None:
    assert " ".join(words) == spelled


def test_instance_statuses() -> None:
    assert list(InstanceStatus) == [
        "BUILD",
        "CREATE FAIL",
        "ACTIVE",
        "FAILED",
        "FROZEN",
        "MODIFYING",
        "REBOOTING",
        "RESTORING",
        "MODIFYING INSTANCE TYPE",
        "SWITCHOVER",
        "MIGRATING",
        "BACKING UP",
        "MODIFYING DATABASE PORT",
        "STORAGE FULL",
        "SHUTDOWN",
    ]


@pytest.mark.parametrize(
    ("name", "postgresql", "mysql"),
    [
        ("CREATE", "CreatePostgresqlSingleHAInstance", "CreateMysqlSingleHAInstance"),
        ("RESTART", "RestartPostgresqlInstance", "RestartMysqlInstance"),
        ("DELETE", "DeletePostgresqlInstance", "DeleteMysqlInstance"),
        ("RESET_PASSWORD", "ResetPostgresqlPassword", "ResetMysqlPassword"),
        ("CREATE_DATABASE", "CreatePostgresqlDatabase", "CreateMysqlDatabase"),
        ("CHANGE_DATABASE", "ModifyPostgresqlDatabase", "ModifyMysqlDatabase"),
        ("DELETE_DATABASE", "DeletePostgresqlDatabase", "DeleteMysqlDatabase"),
        ("CREATE_SCHEMAS", "CreatePostgresqlSchema", "CreateMysqlSchema"),
        ("CREATE_EXTENSION", "CreatePostgresqlExtension", "CreateMysqlExtension"),
        ("UPDATE_EXTENSION", "UpdatePostgresqlExtension", "UpdateMysqlExtension"),
        ("DELETE_EXTENSION", "DeletePostgresqlExtension", "DeleteMysqlExtension"),
        ("CREATE_ACCOUNT", "CreatePostgresqlUser", "CreateMysqlUser"),
        ("CHANGE_ACCOUNT", "ModifyPostgresqlUser", "ModifyMysqlUser"),
        ("DELETE_ACCOUNT", "DeletePostgresqlUser", "DeleteMysqlUser"),
        ("CHANGE_PRIVILEGES", "ModifyPostgresqlPrivilege", "ModifyMysqlPrivilege"),
        ("CREATE_REPLICA", "CreatePostgresqlReplicaInstance", "CreateMysqlReplicaInstance"),
        ("SINGLE_TO_HA", "ModifyPostgresqlSingleToHAInstance", "ModifyMysqlSingleToHAInstance"),
        ("SWITCHOVER", "SwitchoverPostgresqlInstance", "SwitchoverMysqlInstance"),
        ("REBUILD_STANDBY", "RebuildPostgresqlSlave", "RebuildMysqlSlave"),
        ("CHANGE_REPLICATION_MODE", "ModifyPostgresqlReplicationMode", "ModifyMysqlReplicationMode"),
        ("ENLARGE_VOLUME", "EnlargePostgresqlVolume", "EnlargeMysqlVolume"),
        ("RESIZE_FLAVOR", "ResizePostgresqlFlavor", "ResizeMysqlFlavor"),
        ("BIND_PUBLIC_ADDRESS", "PostgresqlBindEIP", "MysqlBindEIP"),
        ("UNBIND_PUBLIC_ADDRESS", "PostgresqlUnbindEIP", "MysqlUnbindEIP"),
        ("CHANGE_PORT", "ModifyPostgresqlPort", "ModifyMysqlPort"),
        ("CHANGE_ADDRESS", "ModifyPostgresqlDataIP", "ModifyMysqlDataIP"),
        ("CREATE_DNS_NAME", "CreatePostgresqlDnsName", "CreateMysqlDnsName"),
        ("CHANGE_DNS_NAME", "ModifyPostgresqlDnsName", "ModifyMysqlDnsName"),
        ("SET_READ_ONLY", "SetPostgresqlReadOnlySwitch", "SetMysqlReadOnlySwitch"),
        ("CHANGE_ACCESS", "ModifyPostgresqlHbaConf", "ModifyMysqlHbaConf"),
        ("STOP", "StopPostgresqlInstance", "StopMysqlInstance"),
        ("START", "StartPostgresqlInstance", "StartMysqlInstance"),
        ("FREEZE", "FreezePostgresqlInstance", "FreezeMysqlInstance"),
        ("UNFREEZE", "UnfreezePostgresqlInstance", "UnfreezeMysqlInstance"),
        ("UPGRADE_MINOR", "UpgradePostgresqlDatabaseVersion", "UpgradeMysqlDatabaseVersion"),
        ("UPGRADE_MAJOR", "UpgradePostgresqlMajorVersion", "UpgradeMysqlMajorVersion"),
        ("INSPECT_UPGRADE", "InspectPostgresqlMajorVersion", "InspectMysqlMajorVersion"),
        ("BACK_UP", "BackupPostgresqlInInstance", "BackupMysqlInInstance"),
        ("RESTORE_NEW", "RestorePostgresqlNewInstance", "RestoreMysqlNewInstance"),
        ("RESTORE_ONTO", "RestorePostgresqlInInstance", "RestoreMysqlInInstance"),
        ("RESTORE_TABLES", "RestoreTablePostgresql", "RestoreTableMysql"),
        ("RESTORE_DATABASES", "RestoreDatabasePostgresql", "RestoreDatabaseMysql"),
    ],
)
def test_names_of_tasks(name: str, postgresql: str, mysql: str) -> None:
    assert TaskName[name].on(EngineName.POSTGRESQL) == postgresql
    assert TaskName[name].on(EngineName.MYSQL) == mysql


# --- engines ---


@pytest.mark.parametrize(
    ("engine", "token", "digits", "administrator", "port", "specials", "modes", "mode"),
    [
        ("mysql", "Mysql", "01", "root", 3306, "~!@#$%^*-_=+?,()&", ("async", "semisync"), "semisync"),
        ("MARIADB", "Mariadb", "02", "root", 3306, "~!@#$%^*-_=+?,()&", ("async", "semisync"), "semisync"),
        ("PostgreSQL", "Postgresql", "03", "root", 5432, "~!@#%^*-_=+?,", ("async", "sync"), "async"),
        ("SqlServer", "Sqlserver", "04", "rdsuser", 1433, "~!@#$%^*-_+?,", ("sync",), "sync"),
    ],
)
def test_engines(
    engine: str,
    token: str,
    digits: str,
    administrator: str,
    port: int,
    specials: str,
    modes: tuple[str, ...],
    mode: str,
) -> None:
    name = EngineName.parse(engine)
    assert name is not None
    found = RULES[name]
    assert (found.task_token, found.id_digits, found.administrator) == (token, digits, administrator)
    assert (found.default_port, found.password_specials) == (port, specials)
    assert (found.replication_modes, found.default_replication_mode) == (modes, mode)
    assert new_instance_id(name)[32:] == f"in{digits}"
    assert new_node_id(name)[32:] == f"no{digits}"
    assert new_backup_id(name)[32:] == f"br{digits}"
    assert is_instance_id(new_instance_id(name))


def test_no_other_engine() -> None:
    assert EngineName.parse("Oracle") is None
    assert EngineName.parse("") is None


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("0123456789abcdef" * 2 + "in03", True),
        ("0123456789abcdef" * 2 + "in99", True),
        ("0123456789abcdef" * 2 + "in3", False),
        ("0123456789abcdef" * 2 + "in033", False),
        ("0123456789abcdef" * 2 + "no03", False),
        ("0123456789abcde" * 2 + "0in03", False),
        ("0123456789ABCDEF" * 2 + "in03", False),
        ("0123456789abcdeg" * 2 + "in03", False),
        ("0123456789abcdef" * 2 + "in03\n", False),
        ("0123456789abcdef" * 2 + "in0٣", False),
        ("", False),
    ],
)
def test_ids_of_instances(text: str, is_one: bool) -> None:
    assert is_instance_id(text) is is_one


# --- flavors ---


def test_flavors() -> None:
    sizes = {("medium", 1), ("large", 2), ("xlarge", 4), ("2xlarge", 8), ("4xlarge", 16), ("8xlarge", 32)}
    expected = {
        (f"rds.pg.{family}.{size}.{ratio}{suffix}", vcpus, vcpus * ratio, mode, group_type)
        for family, group_type in (("n1", "normal"), ("x1", "dedicated"))
        for size, vcpus in sizes
        for ratio in (2, 4, 8)
        for suffix, mode in (("", "single"), (".ha", "ha"), (".rr", "replica"))
    }
    found = flavors_of(EngineName.POSTGRESQL)
    assert {
        (one.spec_code, one.vcpus, one.memory_gb, one.instance_mode, one.group_type) for one in found
    } == expected
    assert len(found) == len(expected) == 108
    for engine, token in (("MySQL", "mysql"), ("MariaDB", "mariadb"), ("SQLServer", "mssql")):
        assert find_flavor(EngineName(engine), f"rds.{token}.n1.large.4.ha") is not None


def test_the_flavor_of_the_same_size_for_another_type() -> None:
    for suffix in ("", ".ha", ".rr"):
        spec_code = f"rds.pg.n1.large.4{suffix}"
        for kind, other in zip(InstanceType, ("", ".ha", ".rr"), strict=True):
            found = counterpart(EngineName.POSTGRESQL, spec_code, kind)
            assert found is not None
            assert found.spec_code == found.id == f"rds.pg.n1.large.4{other}"
            assert found.memory_mb == 8192
    assert counterpart(EngineName.POSTGRESQL, "rds.mysql.n1.large.4", InstanceType.HA) is None


@pytest.mark.parametrize(
    ("hosts", "flavors", "sold_out"),
    [
        ([8192], "fitting", False),
        ([8191], "fitting", True),
        ([1, 8192], "fitting", False),
        ([None], "fitting", False),
        ([], "fitting", True),
        ([1], "scaled", False),
    ],
)
def test_a_flavor_is_sold_out_where_no_host_has_its_memory(
    hosts: list[int | None], flavors: str, sold_out: bool
) -> None:
    flavor = Flavor("rds.pg.n1.large.4", 2, 8, InstanceType.SINGLE, "normal")
    settings = Settings(data_dir=Path("/data"), flavors=flavors)
    assert is_sold_out(flavor, hosts, settings) is sold_out


# --- volumes, backups ---


@pytest.mark.parametrize(
    ("size", "free", "was_full", "full"),
    [
        (100, 3 * GB, False, False),
        (100, 3 * GB - 1, False, True),
        (100, int(4.5 * GB), True, False),
        (100, int(4.5 * GB) - 1, True, True),
        (600, 18 * GB, False, False),
        (600, 18 * GB - 1, False, True),
        (4000, 18 * GB, False, False),
        (4000, 18 * GB - 1, False, True),
        (4000, 27 * GB, True, False),
        (4000, 27 * GB - 1, True, True),
    ],
)
def test_when_a_volume_is_full(size: int, free: int, was_full: bool, full: bool) -> None:
    assert GB == 1073741824
    assert is_full(size, free, was_full=was_full) is full


def test_volumes_of_the_contract() -> None:
    types = "COMMON HIGH ULTRAHIGH ULTRAHIGHPRO CLOUDSSD LOCALSSD ESSD GPSSD2 ESSD2"
    assert " ".join(rules.VOLUME_TYPES) == types
    assert (rules.VOLUME_SIZES.start, rules.VOLUME_SIZES.stop - 1) == (40, 4000)


@pytest.mark.parametrize(
    ("size", "present", "code"),
    [
        (50, 40, None),
        (40, 40, ErrorCode.VOLUME_NOT_LARGER),
        (30, 40, ErrorCode.VOLUME_NOT_LARGER),
        (41, 40, ErrorCode.VOLUME_MULTIPLE),
        (4000, 3990, None),
        (4010, 4000, ErrorCode.VOLUME_SIZE),
    ],
)
def test_a_volume_only_grows(size: int, present: int, code: ErrorCode | None) -> None:
    assert code_of(rules.check_larger_volume, size, present) is code


def test_a_volume_that_does_not_grow_is_told_the_least_size() -> None:
    with pytest.raises(Refusal, match="The volume has 40 GB; size must be at least 50"):
        rules.check_larger_volume(40, 40)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("abcd", None),
        ("a" * 64, None),
        ("a-B_9", None),
        ("abc", ErrorCode.BACKUP_NAME),
        ("a" * 65, ErrorCode.BACKUP_NAME),
        ("9abc", ErrorCode.BACKUP_NAME),
        ("ab c", ErrorCode.BACKUP_NAME),
        ("abcd\n", ErrorCode.BACKUP_NAME),
        ("abc٣", ErrorCode.BACKUP_NAME),
    ],
)
def test_names_of_backups(name: str, code: ErrorCode | None) -> None:
    assert code_of(check_backup_name, name) is code


@pytest.mark.parametrize(
    ("description", "code"),
    [
        ("", None),
        ("d" * 256, None),
        ("d" * 257, ErrorCode.BACKUP_DESCRIPTION),
        *((f"a{character}b", ErrorCode.BACKUP_DESCRIPTION) for character in "<>!\"&'="),
        ("all else; even ünïcode #1", None),
    ],
)
def test_descriptions_of_backups(description: str, code: ErrorCode | None) -> None:
    assert code_of(check_backup_description, description) is code


def test_automatic_backups_are_named_by_instance_and_second() -> None:
    east = dt.timezone(dt.timedelta(hours=8))
    assert automatic_name("orders", dt.datetime(2026, 2, 3, 4, 5, 6, tzinfo=east)) == "orders-20260202200506"
    assert automatic_name("a" * 64, dt.datetime(2026, 2, 3, tzinfo=dt.UTC)) == "a" * 49 + "-20260203000000"


# --- tasks ---


def test_tasks_are_served_for_thirty_days() -> None:
    assert dt.timedelta(days=30) == RETENTION


@pytest.mark.parametrize(
    ("moment", "id_"),
    [
        ("1970-01-01T00:00:00.000", "00000000-0000-0000-0000-000000000000"),
        ("1970-01-01T00:00:00.001", "00000000-0001-0000-0000-000000000000"),
        ("1969-12-31T00:00:00.000", "00000000-0000-0000-0000-000000000000"),
        ("2026-02-03T04:05:06.789", "019c21ac-ec65-0000-0000-000000000000"),
    ],
)
def test_the_first_id_of_a_millisecond(moment: str, id_: str) -> None:
    assert lowest_id_at(dt.datetime.fromisoformat(moment).replace(tzinfo=dt.UTC)) == uuid.UUID(id_)


def test_times_are_written_in_utc_without_a_fraction() -> None:
    east = dt.timezone(dt.timedelta(hours=8))
    moment = dt.datetime(2026, 2, 3, 4, 5, 6, 999999, tzinfo=east)
    assert format_time(moment) == "2026-02-02T20:05:06+0000"
    assert identity.format_time(moment) == "2026-02-02T20:05:06.999999Z"


# --- callers ---


def test_keys_passwords_and_tokens() -> None:
    assert dt.timedelta(hours=24) == identity.TOKEN_LIFETIME
    assert [len(identity.new_id()), len(identity.new_access_key())] == [32, 20]
    assert [len(identity.new_secret_key()), len(identity.new_password())] == [40, 20]


# --- network and settings ---


def test_the_network_of_a_project() -> None:
    network = default_network(PROJECT, SETTINGS)
    vpc, subnet, group = network.vpc, network.subnet, network.security_group
    assert (vpc.name, subnet.name, group.name) == ("vpc-default", "subnet-default", "default")
    assert (subnet.gateway_ip, subnet.availability_zone) == ("127.64.0.1", "local-1a")
    # Ids of before, when they had other names: instances have them.
    assert vpc.id == stable_id(PROJECT, "vpc default-vpc")
    assert subnet.id == stable_id(PROJECT, "subnet default-subnet")
    assert subnet.neutron_subnet_id == stable_id(PROJECT, "neutron subnet default-subnet")
    assert group.id == stable_id(PROJECT, "security group default")
    assert stable_id("p", "n") == "31bacbcd-3633-5284-ab36-31a9e6167990"


def test_public_addresses_offered() -> None:
    offered = public_addresses(PROJECT, SETTINGS)
    assert [str(one.address) for one in offered] == [f"127.200.0.{number}" for number in range(1, 17)]
    assert offered[0].id == stable_id(PROJECT, "eip 127.200.0.1")


def test_settings_not_given() -> None:
    """Durations in seconds; what `docs/configuration.md` says of them is tested there."""
    assert (SETTINGS.worker_concurrency, SETTINGS.heartbeat_interval, SETTINGS.worker_timeout) == (10, 2, 6)
    assert (SETTINGS.monitor_interval, SETTINGS.hang_timeout, SETTINGS.first_backup_after) == (2, 60, 300)
    assert (SETTINGS.instance_quota, SETTINGS.spare_data_dirs, SETTINGS.min_free_mb) == (50, 1, 512)
    assert (SETTINGS.backup_quota, SETTINGS.backup_gb_quota, SETTINGS.public_address_quota) == (100, 1000, 16)
    assert (SETTINGS.network_quota, SETTINGS.webhook_quota, SETTINGS.webhook_allowed_networks) == (
        100,
        10,
        (),
    )
    assert (SETTINGS.task_quota, SETTINGS.request_rate, SETTINGS.memory_mb) == (100, 1000, 0)
    assert SETTINGS.project_names == ("local-1",)
    assert Settings(data_dir=Path("/data"), projects=("a", "b")).project_names == ("a", "b")
