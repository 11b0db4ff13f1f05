"""The cloud's own Python SDK, unmodified: an instance is deleted while a client writes, and had back from the bin."""

import datetime as dt
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from huaweicloudsdkrds.v3 import RdsClient
from huaweicloudsdkrds.v3 import model as m

from openrds.domain.engine import EngineName
from support.backups import refusal
from support.dialects import DIALECTS
from support.engines import needs_engine
from support.sdk import LONG, completed, connected, listed
from support.service import ALL_ENGINES, ServiceUnderTest, running_service, session, wait_for
from support.writer import Writer

pytestmark = pytest.mark.clients

TOLD = "%Y-%m-%dT%H:%M:%S%z"


@pytest.fixture(scope="module")
def recycling() -> Iterator[ServiceUnderTest]:
    with running_service(**ALL_ENGINES, projects="local-1,other") as running:
        yield running


@pytest.fixture
def client(recycling: ServiceUnderTest) -> Iterator[RdsClient]:
    with connected(recycling) as client:
        yield client
        set_policy(client, "0")


def set_policy(client: RdsClient, days: str) -> None:
    policy = m.RecyclePolicyRequestBody(recycle_policy=m.RecyclePolicy(retention_period_in_days=days))
    assert client.start_recycle_policy(m.StartRecyclePolicyRequest(body=policy)).result == "success"


def in_bin(client: RdsClient, **page: int) -> list[m.RecycleInstsanceV3]:
    return client.list_recycle_instances(m.ListRecycleInstancesRequest(**page)).instances


def restored(service: ServiceUnderTest, client: RdsClient, one: m.RecycleInstsanceV3) -> m.InstanceResponse:
    dialect = DIALECTS[EngineName(one.engine_name)]
    body = service.create_body(dialect, name=f"{one.name}-again")
    created = client.create_restore_instance(
        m.CreateRestoreInstanceRequest(
            body=m.CreateRestoreInstanceRequestBody(
                name=body["name"],
                flavor_ref=body["flavor_ref"],
                volume=m.Volume(type=one.volume_type, size=one.volume_size),
                region=body["region"],
                availability_zone=body["availability_zone"],
                vpc_id=body["vpc_id"],
                subnet_id=body["subnet_id"],
                security_group_id=body["security_group_id"],
                restore_point=m.RestorePoint(
                    instance_id=one.id, type="backup", backup_id=one.recycle_backup_id
                ),
            )
        )
    )
    completed(client, created.job_id, LONG)
    (found,) = listed(client, id=created.instance.id)
    return found


@pytest.mark.parametrize("engine", [pytest.param(one, marks=needs_engine(one)) for one in DIALECTS])
def test_all_that_was_acknowledged_comes_back(
    recycling: ServiceUnderTest, client: RdsClient, engine: EngineName
) -> None:
    made = recycling.create(DIALECTS[engine], name=f"recycled-{engine.value.lower()}")
    set_policy(client, "2")
    assert client.show_recycle_policy(m.ShowRecyclePolicyRequest()).retention_period_in_days == 2
    with Writer(made) as writer:
        writer.wait_for_one_after(time.monotonic())
        job = client.delete_instance(m.DeleteInstanceRequest(instance_id=made["id"])).job_id
        assert completed(client, job, LONG).name == DIALECTS[engine].task_name("Delete{}Instance")
    assert listed(client, id=made["id"]) == []

    (one,) = [found for found in in_bin(client) if found.id == made["id"]]
    assert (one.name, one.ha_mode, one.engine_name) == (made["name"], "Single", engine)
    assert (one.engine_version, one.created_at) == (made["datastore"]["version"], made["created"])
    assert (one.volume_type, one.volume_size) == (made["volume"]["type"], made["volume"]["size"])
    assert (one.data_vip, one.recycle_status, one.is_serverless) == (
        made["private_ips"][0],
        "COMPLETED",
        False,
    )
    kept = dt.datetime.strptime(one.retained_until, TOLD) - dt.datetime.strptime(one.deleted_at, TOLD)
    assert kept == dt.timedelta(days=2)

    kept_backups = recycling.get(f"instances/{made['id']}/retain-backups")
    assert kept_backups["total"] == 1
    (left,) = kept_backups["backups"]
    assert (left["id"], left["type"], left["tde"]) == (one.recycle_backup_id, "Db", False)
    assert int(left["size"]) > 1024

    back = restored(recycling, client, one)
    assert recycling.get(f"instances/{back.id}/retain-backups") == {"backups": [], "total": 0}
    with session(recycling.instance(back.id), seconds=5) as asked:
        there = {row[0] for row in asked.execute("select number from written")}
    assert writer.acknowledged.keys() - there == set()
    set_policy(client, "0")
    recycling.delete(back.id)

    # Nobody else has it, and who removes its last backup has it no more.
    other = replace(recycling, project="other")
    assert other.get("recycle-instances") == {"instances": [], "total_count": 0}
    assert other.get(f"instances/{made['id']}/retain-backups") == {"backups": [], "total": 0}
    assert other.get("instances/recycle-policy") == {"retention_period_in_days": 0}
    path = f"backups/{one.recycle_backup_id}"
    assert refusal(other, "DELETE", path)[:2] == (404, "DBS.201010")
    client.delete_manual_backup(m.DeleteManualBackupRequest(backup_id=one.recycle_backup_id))
    assert [found.id for found in in_bin(client) if found.id == made["id"]] == []
    folder = recycling.data_dir / "backups" / made["id"]
    wait_for(lambda: not folder.exists(), 60, "its files are gone")


def test_what_is_wrong_is_refused(recycling: ServiceUnderTest) -> None:
    for days in ("8", "-1", "x", 1.5, [7]):
        body = {"recycle_policy": {"retention_period_in_days": days}}
        assert refusal(recycling, "PUT", "instances/recycle-policy", body)[:2] == (400, "DBS.200001")
    assert refusal(recycling, "PUT", "instances/recycle-policy", {})[0] == 400
    for page in ("limit=51", "limit=0", "offset=-1"):
        assert refusal(recycling, "GET", f"recycle-instances?{page}")[:2] == (400, "DBS.200001")
