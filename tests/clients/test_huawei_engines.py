"""The cloud's own Python SDK, unmodified: what happens in the life of a pair, on each engine."""

import datetime as dt
import time
from typing import Any

import pytest
from huaweicloudsdkrds.v3 import RdsClient
from huaweicloudsdkrds.v3 import model as m

from support.dialects import POSTGRESQL
from support.pairs import Pair, each_engine
from support.sdk import LONG, completed, listed, next_second, switch_over
from support.service import wait_for

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]


@each_engine()
def test_a_pair_is_listed_by_its_engine(sdk: RdsClient, pair: Pair) -> None:
    engine = pair.dialect.engine.value
    (one,) = [found for found in listed(sdk, datastore_type=engine) if found.id == pair.id]
    assert (one.type, one.status, one.port) == ("Ha", "ACTIVE", pair.dialect.port)
    assert (one.datastore.type, one.datastore.version) == (engine, pair.service.newest_version(pair.dialect))
    assert (one.db_user_name, one.ha.replication_mode) == ("root", pair.dialect.synchronous)
    assert sorted(node.role for node in one.nodes) == ["master", "slave"]
    assert pair.id not in [found.id for found in listed(sdk, datastore_type="SQLServer")]
    versions = sdk.list_datastores(m.ListDatastoresRequest(database_name=engine.lower())).data_stores
    assert one.datastore.version in [version.name for version in versions]
    flavors = sdk.list_flavors(
        m.ListFlavorsRequest(database_name=engine, version_name=one.datastore.version, spec_code="")
    )
    assert one.flavor_ref in [flavor.spec_code for flavor in flavors.flavors]


@each_engine()
def test_how_often_its_log_is_archived(sdk: RdsClient, pair: Pair) -> None:
    """There is no backup repository."""
    policy = sdk.show_incre_backup_policy1(m.ShowIncreBackupPolicy1Request(instance_id=pair.id))
    expected = 5 if pair.dialect is POSTGRESQL else 0
    assert policy.incre_backup_policy.interval == expected


@each_engine()
def test_a_pair_is_switched_over(sdk: RdsClient, pair: Pair) -> None:
    with pair.session() as client:
        client.execute("CREATE TABLE before_switch (x INT)")
        client.execute("INSERT INTO before_switch VALUES (1)")
    (standby,) = [node["id"] for node in pair.shown["nodes"] if node["role"] == "slave"]
    switched = switch_over(sdk, pair.id)
    job = completed(sdk, switched.workflow_id, LONG)
    assert job.name == pair.dialect.task_name("Switchover{}Instance")
    (primary,) = [node["id"] for node in pair.shown["nodes"] if node["role"] == "master"]
    assert primary == standby == switched.node_id
    with pair.session() as client:
        client.execute("INSERT INTO before_switch VALUES (2)")
        assert client.execute("SELECT count(*) FROM before_switch") == [(2,)]


@each_engine()
def test_a_table_is_backed_up_and_restored(sdk: RdsClient, pair: Pair) -> None:
    back_up(sdk, pair)
    with pair.session() as client:
        client.execute(pair.dialect.rows("kept", 100))
        time.sleep(pair.dialect.resolution)
        moment = milliseconds(pair.dialect.now(client))
        time.sleep(pair.dialect.resolution)
        client.execute("DELETE FROM kept WHERE x > 10")

    def reaches() -> bool:
        """Nothing else is written that would take the range further."""
        with pair.session() as client:
            client.execute("INSERT INTO kept VALUES (-1)")
        found = sdk.list_restore_times(m.ListRestoreTimesRequest(instance_id=pair.id)).restore_time
        return any(range_.start_time <= moment <= range_.end_time for range_ in found)

    wait_for(reaches, 60, "a range with the moment")
    database = history(sdk, pair, moment)
    assert (database.name, database.total_tables) == (pair.dialect.database, 2)
    job = completed(sdk, restored(sdk, pair, moment), LONG)
    assert job.name == pair.dialect.task_name("RestoreTable{}")
    (made,) = sdk.show_restore_tables(
        m.ShowRestoreTablesRequest(
            pair.id, body=m.ShowRestoreTablesRequestBody(workflow_id=job.id, workflow_name=job.name)
        )
    ).data_list
    assert (made.database_name, made.table_name) == (
        pair.dialect.database,
        ".".join(filter(None, (pair.dialect.schema, "kept_again"))),
    )
    with pair.session() as client:
        assert client.execute("SELECT count(*) FROM kept_again") == [(100,)]
        assert client.execute("SELECT count(*) FROM kept WHERE x > 10") == [(0,)]


@each_engine()
def test_the_flavor_of_a_pair_is_changed(sdk: RdsClient, pair: Pair) -> None:
    with pair.session() as client:
        ((before,),) = client.execute(pair.dialect.buffers_mb)
    wanted = pair.dialect.flavor("large.2", "ha")
    next_second()
    answer = sdk.start_resize_flavor_action(
        m.StartResizeFlavorActionRequest(
            instance_id=pair.id, body=m.ResizeFlavorRequest(m.ResizeFlavorObject(wanted))
        )
    )
    job = completed(sdk, answer.job_id, LONG)
    assert job.name == pair.dialect.task_name("Resize{}Flavor")
    (one,) = listed(sdk, id=pair.id)
    assert (one.status, one.flavor_ref, one.cpu, one.mem) == ("ACTIVE", wanted, "2", "4")
    with pair.session() as client:
        assert client.execute(pair.dialect.buffers_mb) == [(2 * before,)]


def back_up(sdk: RdsClient, pair: Pair) -> None:
    body = m.CreateManualBackupRequestBody(instance_id=pair.id, name=f"sdk-{pair.dialect.engine}")
    backup = sdk.create_manual_backup(m.CreateManualBackupRequest(body=body)).backup
    request = m.ListBackupsRequest(instance_id=pair.id, backup_id=backup.id)
    (done,) = wait_for(
        lambda: [one for one in sdk.list_backups(request).backups if one.status != "BUILDING"],
        LONG,
        "a backup",
    )
    assert (done.status, done.datastore.type) == ("COMPLETED", pair.dialect.engine.value)
    wait_for(lambda: listed(sdk, id=pair.id)[0].status == "ACTIVE", LONG)


def history(sdk: RdsClient, pair: Pair, moment: int) -> Any:
    """The database of the clients, as the list of the moment has it; that of tables has it too."""
    engine, body = str(pair.dialect.engine).lower(), {"instance_ids": [pair.id], "restore_time": moment}
    of_tables = m.ListPostgresqlListHistoryTablesRequest(
        database_name=engine, body=m.PostgreSQLHistoryTableRequest(**body, table_name_like="kept")
    )
    assert sdk.list_postgresql_list_history_tables(of_tables).instances[0].total_tables == 1
    of_databases = m.ListHistoryDatabaseRequest(
        engine=engine, body=m.PostgreSQLHistoryDatabaseRequest(**body)
    )
    (database,) = sdk.list_history_database(of_databases).instances[0].databases
    return database


def restored(sdk: RdsClient, pair: Pair, moment: int) -> str:
    """The job of the restore of `kept` as `kept_again`, by the call that is for the engine."""
    names: dict[str, Any] = {"old_name": "kept", "new_name": "kept_again"}
    if not pair.dialect.rules.has_schemas:
        table = m.RestoreTableInfoNew(**names)
        of_database = m.RestoreDatabasesInfoNew(database=pair.dialect.database, tables=[table])
        body = m.RestoreTablesNewRequestBody(restore_time=moment, restore_tables=[of_database])
        request = m.RestoreTablesNewRequest(instance_id=pair.id, body=body)
        new: str = sdk.restore_tables_new(request).job_id
        return new
    tables = [m.PostgreSQLRestoreTable(**names)]
    schema = m.PostgreSQLRestoreSchema(schema=pair.dialect.schema, tables=tables)
    database = m.PostgreSQLRestoreDatabase(database=pair.dialect.database, schemas=[schema])
    of_instance = m.PostgreSQLRestoreTableInstance(
        instance_id=pair.id, restore_time=moment, databases=[database]
    )
    batch = m.PostgreSQLRestoreTableRequest(instances=[of_instance])
    answer = sdk.batch_restore_postgre_sql_tables(m.BatchRestorePostgreSqlTablesRequest(body=batch))
    job_id: str = answer.restore_result[0].job_id
    return job_id


def milliseconds(moment: dt.datetime) -> int:
    return int(moment.timestamp() * 1000)
