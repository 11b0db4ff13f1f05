"""The cloud's own Python SDK, unmodified: backups, and what is restored from them."""

import datetime as dt
import time
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkrds.v3 import RdsClient
from huaweicloudsdkrds.v3 import model as m

from support.means import WHY_NO_FORWARDING
from support.sdk import completed, connected
from support.service import PASSWORD, ServiceUnderTest, wait_for

pytestmark = pytest.mark.clients


@pytest.fixture(scope="module")
def client(service: ServiceUnderTest) -> Iterator[RdsClient]:
    with connected(service) as client:
        yield client


def rows(instance: m.InstanceResponse, table: str) -> int:
    address, port = instance.private_ips[0], instance.port
    with psycopg.connect(
        f"host={address} port={port} user=root dbname=postgres", password=PASSWORD
    ) as connection:
        ((count,),) = connection.execute(f"select count(*) from {table}").fetchall()
        return count


def shown(client: RdsClient, instance_id: str) -> m.InstanceResponse:
    (instance,) = client.list_instances(m.ListInstancesRequest(id=instance_id)).instances
    return instance


def listed(client: RdsClient, instance_id: str, backup_id: str) -> list[m.BackupForList]:
    return client.list_backups(m.ListBackupsRequest(instance_id=instance_id, backup_id=backup_id)).backups


def test_what_is_backed_up_is_restored(client: RdsClient, service: ServiceUnderTest) -> None:
    source = service.create(name="sdk-source")
    target = service.create(name="sdk-target")
    backup = client.create_manual_backup(
        m.CreateManualBackupRequest(
            body=m.CreateManualBackupRequestBody(
                instance_id=source["id"], name=f"sdk-{uuid.uuid4().hex[:8]}", description="by the SDK"
            )
        )
    ).backup
    assert (backup.status, backup.type) == ("BUILDING", "manual")
    (finished,) = wait_for(
        lambda: [one for one in listed(client, source["id"], backup.id) if one.status == "COMPLETED"],
        60,
        "the backup",
    )
    assert finished.size > 1024
    assert finished.datastore.type == "PostgreSQL"
    wait_for(lambda: shown(client, source["id"]).status == "ACTIVE")
    with pytest.raises(ClientRequestException) as none_runs:
        client.stop_backup(m.StopBackupRequest(instance_id=source["id"]))
    assert none_runs.value.error_code == "DBS.200086"
    with psycopg.connect(
        f"host={source['private_ips'][0]} user=root dbname=postgres", password=PASSWORD
    ) as connection:
        connection.execute("create table orders as select generate_series(1, 10) as id")
    time.sleep(0.01)
    moment = int(dt.datetime.now(dt.UTC).timestamp() * 1000)

    (range_,) = wait_for(
        lambda: client.list_restore_times(m.ListRestoreTimesRequest(instance_id=source["id"])).restore_time
    )
    assert range_.start_time < moment <= range_.end_time

    # What there is to choose from
    body: Any = {"instance_ids": [source["id"]], "restore_time": moment}
    databases = client.list_history_database(
        m.ListHistoryDatabaseRequest(engine="postgresql", body=m.PostgreSQLHistoryDatabaseRequest(**body))
    )
    assert [(one.name, one.total_tables) for one in databases.instances[0].databases] == [("postgres", 1)]
    tables = client.list_postgresql_list_history_tables(
        m.ListPostgresqlListHistoryTablesRequest(
            database_name="postgresql", body=m.PostgreSQLHistoryTableRequest(**body, table_name_like="ord")
        )
    ).instances[0]
    (schema,) = tables.databases[0].schemas
    assert (tables.total_tables, schema.name, schema.tables[0].name) == (1, "public", "orders")
    at = dt.datetime.fromtimestamp(moment / 1000, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f+0000")
    (fast,) = client.list_instances_support_fast_restore(
        m.ListInstancesSupportFastRestoreRequest(
            body=m.ListInstancesSupportFastRestoreRequestBody(restore_time=at, instance_ids=[source["id"]])
        )
    ).support_fast_restore_list
    assert (fast.instance_id, fast.is_support_fast_table_restore) == (source["id"], False)

    # Tables of the instance itself
    result = client.batch_restore_postgre_sql_tables(
        m.BatchRestorePostgreSqlTablesRequest(
            body=m.PostgreSQLRestoreTableRequest(
                instances=[
                    m.PostgreSQLRestoreTableInstance(
                        instance_id=source["id"],
                        restore_time=moment,
                        databases=[
                            m.PostgreSQLRestoreDatabase(
                                database="postgres",
                                schemas=[
                                    m.PostgreSQLRestoreSchema(
                                        schema="public",
                                        tables=[
                                            m.PostgreSQLRestoreTable(old_name="orders", new_name="orders_old")
                                        ],
                                    )
                                ],
                            )
                        ],
                    )
                ]
            )
        )
    ).restore_result
    assert [one.instance_id for one in result] == [source["id"]]
    completed(client, result[0].job_id, 120)
    assert rows(shown(client, source["id"]), "orders_old") == 10
    restored_tables = client.show_restore_tables(
        m.ShowRestoreTablesRequest(
            instance_id=source["id"],
            body=m.ShowRestoreTablesRequestBody(
                workflow_id=result[0].job_id, workflow_name="RestoreTablePostgresql"
            ),
        )
    ).data_list
    assert [(one.database_name, one.table_name) for one in restored_tables] == [
        ("postgres", "public.orders_old")
    ]

    # Onto another instance
    recovery = client.restore_to_existing_instance(
        m.RestoreToExistingInstanceRequest(
            body=m.RestoreToExistingInstanceRequestBody(
                source=m.RestoreToExistingInstanceRequestBodySource(
                    instance_id=source["id"], type="timestamp", restore_time=moment
                ),
                target=m.RestoreToExistingInstanceRequestBodyTarget(instance_id=target["id"]),
            )
        )
    )
    completed(client, recovery.job_id, 120)
    assert rows(shown(client, target["id"]), "orders") == 10

    # To a new one, which has a standby where there can be one
    pair: dict[str, Any] = {"flavor_ref": "rds.pg.n1.medium.2.ha", "availability_zone": "local-1a,local-1a"}
    ha = None if WHY_NO_FORWARDING else m.Ha(mode="Ha", replication_mode="async")
    body = service.create_body(name="sdk-restored", **(pair if ha else {}))
    created = client.create_restore_instance(
        m.CreateRestoreInstanceRequest(
            body=m.CreateRestoreInstanceRequestBody(
                name=body["name"],
                flavor_ref=body["flavor_ref"],
                ha=ha,
                volume=m.Volume(type="CLOUDSSD", size=40),
                region=body["region"],
                availability_zone=body["availability_zone"],
                vpc_id=body["vpc_id"],
                subnet_id=body["subnet_id"],
                security_group_id=body["security_group_id"],
                restore_point=m.RestorePoint(instance_id=source["id"], type="backup", backup_id=backup.id),
            )
        )
    )
    completed(client, created.job_id, 120)
    restored = shown(client, created.instance.id)
    assert (restored.status, len(restored.nodes)) == ("ACTIVE", 2 if ha else 1)

    for instance_id in (source["id"], target["id"], created.instance.id):
        service.delete(instance_id)
    client.delete_manual_backup(m.DeleteManualBackupRequest(backup_id=backup.id))
    wait_for(lambda: listed(client, source["id"], backup.id) == [], 30, "it has left the list")
