"""Public address, port, stop and start of a primary with its standby: both nodes follow, and so do the routes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from openrds.hosts.addresses import is_answering
from openrds.hosts.errors import HostError
from openrds.hosts.forwarders import choose_forwarder
from openrds.hosts.user import ServerUser
from support.service import ServiceUnderTest, fresh, running_service
from support.writer import connect

HA: dict[str, Any] = {
    "flavor_ref": "rds.pg.n1.medium.2.ha",
    "availability_zone": "local-1a,local-1a",
    "ha": {"mode": "Ha", "replication_mode": "sync"},
}


@pytest.fixture(scope="module", params=["nftables", "haproxy"])
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServiceUnderTest]:
    try:
        choose_forwarder(request.param, Path(tmp_path_factory.mktemp("trial")), ServerUser.choose())
    except HostError as error:
        pytest.skip(str(error))
    with running_service(forwarding=request.param) as running:
        yield running


def done(service: ServiceUnderTest, method: str, path: str, body: Any = None) -> None:
    answer = service.call(method, path, body, headers=fresh())
    assert answer.status_code == 200, answer.text
    told = answer.json()
    service.completed(told.get("job_id") or told["workflowId"])


def streams(instance: dict[str, Any]) -> int:
    with connect(instance) as connection:
        row = connection.execute("select count(*) from pg_stat_replication").fetchone()
    assert row is not None
    return int(row[0])


def test_a_pair_in_the_network(service: ServiceUnderTest) -> None:
    instance = service.create(name="pair-in-net", **HA)
    path = f"instances/{instance['id']}"
    public = service.get(f"/v1/{service.project_id}/publicips")["publicips"][0]
    given = {"public_ip": public["public_ip_address"], "public_ip_id": public["id"]}
    with connect(instance) as connection:
        connection.execute("create table kept as select 42 as answer")

    done(service, "PUT", f"{path}/public-ip", {"is_bind": True, **given})
    done(service, "PUT", f"{path}/failover", {})
    check(service, instance["id"], given["public_ip"], 5432)

    done(service, "PUT", f"{path}/port", {"port": 5433})
    check(service, instance["id"], given["public_ip"], 5433)
    assert not is_answering(given["public_ip"], 5432)
    assert not is_answering(instance["private_ips"][0], 5432)

    done(service, "POST", f"{path}/action/shutdown")
    assert service.instance(instance["id"])["status"] == "SHUTDOWN"
    done(service, "POST", f"{path}/action/startup")
    check(service, instance["id"], given["public_ip"], 5433)

    service.delete(instance["id"])
    assert not is_answering(given["public_ip"], 5433)


def check(service: ServiceUnderTest, instance_id: str, public: str, port: int) -> None:
    """At the endpoint and at the public address the data is there and can be changed, and the standby hears of it."""
    instance = service.instance(instance_id)
    assert (instance["status"], instance["port"], instance["public_ips"]) == ("ACTIVE", port, [public])
    for address in (instance["private_ips"][0], public):
        with connect({**instance, "private_ips": [address]}) as connection:
            assert connection.execute("select answer from kept").fetchone() == (42,)
            connection.execute("update kept set answer = 42")
    assert streams(instance) == 1
