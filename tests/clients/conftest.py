"""One service with all engines, and one pair of each: servers are slow to start, and clients do not mind each other."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huaweicloudsdkrds.v3 import RdsClient
from huaweicloudsdkrds.v3 import model as m

from openrds.domain.engine import EngineName
from support.dialects import DIALECTS, Dialect
from support.means import WHY_NO_FORWARDING
from support.openstack import openstack_of, told
from support.pairs import Pair
from support.sdk import LONG, completed, connected, creation, listed
from support.service import ALL_ENGINES, PASSWORD, ServiceUnderTest, running_service


@pytest.fixture(scope="session")
def all_engines() -> Iterator[ServiceUnderTest]:
    with running_service(**ALL_ENGINES) as running:
        yield running


@pytest.fixture(scope="session")
def sdk(all_engines: ServiceUnderTest) -> Iterator[RdsClient]:
    with connected(all_engines) as client:
        yield client


@pytest.fixture(scope="session")
def pair(
    request: pytest.FixtureRequest,
    all_engines: ServiceUnderTest,
    sdk: RdsClient,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Pair]:
    """That of MySQL is made by `openstack rds`, the others by the SDK, which deletes them all."""
    if WHY_NO_FORWARDING:
        pytest.skip(WHY_NO_FORWARDING)
    dialect = DIALECTS[request.param]
    body = all_engines.create_body(
        dialect,
        name=f"{dialect.engine}-pair",
        flavor_ref=dialect.flavor(kind="ha"),
        availability_zone="local-1a,local-1a",
        ha={"mode": "Ha", "replication_mode": dialect.synchronous},
    )
    if dialect.engine is EngineName.MYSQL:
        id_ = _created_by_openstack(all_engines, body, tmp_path_factory.mktemp("home"))
    else:
        id_ = _created_by_sdk(sdk, dialect, body)
    yield Pair(all_engines, dialect, id_)
    deleted = sdk.delete_instance(m.DeleteInstanceRequest(instance_id=id_))
    assert completed(sdk, deleted.job_id, LONG).name == dialect.task_name("Delete{}Instance")
    assert listed(sdk, id=id_) == []


def _created_by_openstack(service: ServiceUnderTest, body: dict[str, Any], home: Path) -> str:
    datastore = body["datastore"]
    made = told(
        openstack_of(service, home)(
            *(
                "rds",
                "instance",
                "create",
                body["name"],
                body["flavor_ref"],
                "--wait",
                "--wait-interval",
                "1",
            ),
            *("--datastore-type", datastore["type"], "--datastore-version", datastore["version"]),
            *("--ha-mode", body["ha"]["replication_mode"], "--size", "40", "--volume-type", "ULTRAHIGH"),
            *("--region", body["region"], "--availability-zone", body["availability_zone"]),
            *("--router-id", "vpc-default", "--network-id", "subnet-default"),
            *("--security-group-id", "default", "--password", PASSWORD, "-f", "json"),
        )
    )
    assert (made["name"], made["status"], made["type"]) == (body["name"], "ACTIVE", "Ha")
    assert (made["flavor_ref"], made["port"]) == (body["flavor_ref"], 3306)
    assert sorted(node["role"] for node in made["nodes"]) == ["master", "slave"]
    id_: str = made["id"]
    return id_


def _created_by_sdk(sdk: RdsClient, dialect: Dialect, body: dict[str, Any]) -> str:
    answer = sdk.create_instance(m.CreateInstanceRequest(body=creation(body)))
    assert (answer.status_code, answer.instance.port) == (202, str(dialect.port))
    job = completed(sdk, answer.job_id, LONG)
    assert job.name == dialect.task_name("Create{}SingleHAInstance")
    assert job.entities.instance.type == "Ha"
    id_: str = answer.instance.id
    return id_
