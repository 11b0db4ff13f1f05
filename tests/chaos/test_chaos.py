"""Random sequences of operations, with workers and servers killed at random moments, against a simple model.

`make chaos` runs it for as long as wanted; `make test` runs at least 200 operations.
"""

import contextlib
import os
from typing import Any

import pytest
from fleet import SETTLE_SECONDS, TASK_SECONDS, Expected, Fleet, connect
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from openrds.hosts import processes
from support.service import fresh, running_service, wait_for

#: Operations of one run, each with a check of everything.
STEPS = int(os.environ.get("OPENRDS_CHAOS_STEPS", "60"))
RUNS = int(os.environ.get("OPENRDS_CHAOS_RUNS", "4"))
FIRST_SEED = int(os.environ.get("OPENRDS_CHAOS_SEED", "1"))

pytestmark = pytest.mark.grouped_by("number")

_MOST_PRIMARIES = 3
_MOST_REPLICAS = 2
_FLAVORS = ("rds.pg.n1.medium.2", "rds.pg.n1.medium.4", "rds.pg.n1.large.2")

#: Seconds after which the worker is killed; most operations run undisturbed.
kills = st.one_of(st.none(), st.none(), st.floats(0.0, 0.8))
picks = st.integers(0, 10**6)


class Chaos(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self._stack = contextlib.ExitStack()
        self.fleet: Fleet | None = None
        self.stirred = False

    def teardown(self) -> None:
        fleet, self.fleet = self.fleet, None
        with self._stack:
            if fleet is not None:
                print(f"{fleet.operations} operations:", *fleet.log, sep="\n  ")

    # --- the model's side ---

    def service_fleet(self) -> Fleet:
        """The service is started by the first rule that needs it: a run of nothing costs nothing."""
        if self.fleet is None:
            self.fleet = Fleet(self._stack.enter_context(running_service(volumes="folder")))
        self.stirred = True
        return self.fleet

    def some(self, pick: int, **wanted: Any) -> Expected:
        found = self.matching(**wanted)
        return found[pick % len(found)]

    def matching(self, **wanted: Any) -> list[Expected]:
        instances = self.fleet.instances if self.fleet else []
        return [
            one for one in instances if all(getattr(one, name) == value for name, value in wanted.items())
        ]

    def replicas(self, one: Expected) -> list[Expected]:
        return [other for other in self.fleet.instances if other.primary is one]

    @invariant()
    def all_is_as_it_must_be(self) -> None:
        """After each operation, and not twice after none."""
        if self.stirred:
            self.fleet.check()
            self.stirred = False

    @rule()
    def nothing(self) -> None:
        """The simplest run, which is tried first, has only these."""

    # --- operations ---

    @precondition(lambda self: len(self.matching(is_replica=False)) < _MOST_PRIMARIES)
    @rule(mode=st.sampled_from([None, "async", "sync"]), kill=kills)
    def create(self, mode: str | None, kill: float | None) -> None:
        fleet = self.service_fleet()
        fleet.created += 1
        name = f"chaos-{fleet.created}"
        changes: dict[str, Any] = {"name": name, "flavor_ref": _FLAVORS[0]}
        if mode is not None:
            changes |= {
                "flavor_ref": f"{_FLAVORS[0]}.ha",
                "ha": {"mode": "Ha", "replication_mode": mode},
                "availability_zone": "local-1a,local-1a",
            }
        body = fleet.service.create_body(**changes)
        answer = fleet.run(f"create {name} {mode}", "POST", "instances", body, status=202, kill=kill)
        kind, nodes = ("Single", 1) if mode is None else ("Ha", 2)
        fleet.instances.append(
            Expected(answer["instance"]["id"], name, kind, nodes, flavor=changes["flavor_ref"])
        )

    @precondition(
        lambda self: (
            self.matching(is_replica=False, status="ACTIVE")
            and len(self.matching(is_replica=True)) < _MOST_REPLICAS
        )
    )
    @rule(pick=picks, kill=kills)
    def replicate(self, pick: int, kill: float | None) -> None:
        fleet, primary = self.service_fleet(), self.some(pick, is_replica=False, status="ACTIVE")
        fleet.created += 1
        name = f"chaos-{fleet.created}"
        body = {
            "name": name,
            "replica_of_id": primary.id,
            "flavor_ref": f"{_FLAVORS[0]}.rr",
            "volume": {"type": "CLOUDSSD"},
            "availability_zone": "local-1a",
        }
        answer = fleet.run(f"replicate {primary.name}", "POST", "instances", body, status=202, kill=kill)
        fleet.instances.append(
            Expected(
                answer["instance"]["id"],
                name,
                "Replica",
                1,
                flavor=body["flavor_ref"],
                size=primary.size,
                port=primary.port,
                primary=primary,
            )
        )

    @precondition(lambda self: len(self.matching()) > 2)
    @rule(pick=picks, kill=kills)
    def delete(self, pick: int, kill: float | None) -> None:
        fleet, one = self.service_fleet(), self.some(pick)
        if one.is_replica and one.primary.status == "SHUTDOWN" and one.status != "SHUTDOWN":
            return
        fleet.run(f"delete {one.name}", "DELETE", f"instances/{one.id}", None, status=202, kill=kill)
        gone = [one, *self.replicas(one)]
        fleet.instances = [other for other in fleet.instances if other not in gone]

    @precondition(lambda self: self.matching(status="ACTIVE"))
    @rule(pick=picks, kill=kills)
    def restart(self, pick: int, kill: float | None) -> None:
        self.act(self.some(pick, status="ACTIVE"), {"restart": {}}, kill)

    @precondition(lambda self: self.matching(type="Single", status="ACTIVE"))
    @rule(pick=picks, kill=kills)
    def make_ha(self, pick: int, kill: float | None) -> None:
        one = self.some(pick, type="Single", status="ACTIVE")
        self.act(one, {"single_to_ha": {"az_code_new_node": "local-1a"}}, kill)
        one.type, one.nodes, one.flavor = "Ha", 2, f"{one.flavor}.ha"

    @precondition(lambda self: self.matching(type="Ha", status="ACTIVE"))
    @rule(pick=picks, kill=kills)
    def switch_over(self, pick: int, kill: float | None) -> None:
        self.put(self.some(pick, type="Ha", status="ACTIVE"), "failover", {}, kill)

    @precondition(lambda self: self.matching(type="Ha", status="ACTIVE"))
    @rule(pick=picks, mode=st.sampled_from(["async", "sync"]), kill=kills)
    def change_mode(self, pick: int, mode: str, kill: float | None) -> None:
        self.put(self.some(pick, type="Ha", status="ACTIVE"), "failover/mode", {"mode": mode}, kill)

    @precondition(lambda self: self.matching(is_replica=False, status="ACTIVE"))
    @rule(pick=picks, kill=kills)
    def enlarge(self, pick: int, kill: float | None) -> None:
        one = self.some(pick, is_replica=False, status="ACTIVE")
        self.act(one, {"enlarge_volume": {"size": one.size + 10}}, kill)
        one.size += 10

    @precondition(lambda self: self.matching(is_replica=False, status="ACTIVE"))
    @rule(pick=picks, flavor=st.sampled_from(_FLAVORS), kill=kills)
    def resize(self, pick: int, flavor: str, kill: float | None) -> None:
        one = self.some(pick, is_replica=False, status="ACTIVE")
        wanted = f"{flavor}.ha" if one.type == "Ha" else flavor
        if wanted != one.flavor:
            self.act(one, {"resize_flavor": {"spec_code": wanted}}, kill)
            one.flavor = wanted

    @precondition(lambda self: self.matching(status="ACTIVE"))
    @rule(pick=picks, port=st.sampled_from([5432, 5433, 6000]), kill=kills)
    def change_port(self, pick: int, port: int, kill: float | None) -> None:
        one = self.some(pick, status="ACTIVE")
        if port != one.port:
            self.put(one, "port", {"port": port}, kill)
            one.port = port

    @precondition(lambda self: self.matching(status="ACTIVE", public_ip=None))
    @rule(pick=picks, kill=kills)
    def bind(self, pick: int, kill: float | None) -> None:
        fleet, one = self.service_fleet(), self.some(pick, status="ACTIVE", public_ip=None)
        taken = {other.public_ip for other in fleet.instances}
        listed = fleet.service.get(f"/v1/{fleet.service.project_id}/publicips")["publicips"]
        free = next(ip for ip in listed if ip["public_ip_address"] not in taken)
        address = free["public_ip_address"]
        self.put(one, "public-ip", {"is_bind": True, "public_ip": address, "public_ip_id": free["id"]}, kill)
        one.public_ip = address

    @precondition(lambda self: [one for one in self.matching(status="ACTIVE") if one.public_ip])
    @rule(pick=picks, kill=kills)
    def unbind(self, pick: int, kill: float | None) -> None:
        bound = [one for one in self.matching(status="ACTIVE") if one.public_ip]
        one = bound[pick % len(bound)]
        self.put(one, "public-ip", {"is_bind": False}, kill)
        one.public_ip = None

    @precondition(lambda self: self.matching(is_replica=False, status="ACTIVE"))
    @rule(pick=picks, kill=kills)
    def stop(self, pick: int, kill: float | None) -> None:
        one = self.some(pick, is_replica=False, status="ACTIVE")
        self.power(one, "shutdown", "SHUTDOWN", kill)

    @precondition(lambda self: self.matching(is_replica=False, status="SHUTDOWN"))
    @rule(pick=picks, kill=kills)
    def start(self, pick: int, kill: float | None) -> None:
        one = self.some(pick, is_replica=False, status="SHUTDOWN")
        self.power(one, "startup", "ACTIVE", kill)

    @precondition(lambda self: self.matching(is_replica=False, status="ACTIVE"))
    @rule(pick=picks, kill=kills)
    def back_up(self, pick: int, kill: float | None) -> None:
        fleet, one = self.service_fleet(), self.some(pick, is_replica=False, status="ACTIVE")
        fleet.operations += 1
        fleet.log.append(f"back up {one.name}")
        body = {"instance_id": one.id, "name": f"chaos-{fleet.operations}"}
        backup = fleet.call("POST", "backups", body, status=200)["backup"]
        with fleet.killed_worker(kill):
            wait_for(lambda: self.backup_status(one, backup["id"]) == "COMPLETED", TASK_SECONDS, "the backup")
        fleet.call("DELETE", f"backups/{backup['id']}", status=200)

    def backup_status(self, one: Expected, backup_id: str) -> str:
        found = self.fleet.service.get(f"backups?instance_id={one.id}&backup_id={backup_id}")["backups"]
        return found[0]["status"] if found else ""

    # --- faults ---

    @precondition(lambda self: self.matching(status="ACTIVE"))
    @rule(pick=picks)
    def kill_server(self, pick: int) -> None:
        """It is restarted, or replaced by its standby; what was acknowledged is there."""
        fleet, one = self.service_fleet(), self.some(pick, status="ACTIVE")
        fleet.operations += 1
        fleet.log.append(f"kill the primary server of {one.name}")
        node = fleet.service.instance(one.id)["nodes"][0]["id"]
        process = processes.find(fleet.service.data_dir / "nodes" / node / processes.RECORD)
        assert process is not None
        process.send(9)
        wait_for(lambda: not process.is_alive(), SETTLE_SECONDS, "its death")
        (address,) = fleet.service.instance(one.id)["private_ips"]
        wait_for(lambda: self.serves(address, one.port), SETTLE_SECONDS, f"{one.name} to serve again")

    @staticmethod
    def serves(address: str, port: int) -> bool:
        with contextlib.suppress(Exception), connect(address, port) as connection:
            return connection.execute("select 1").fetchone() == (1,)
        return False

    @precondition(lambda self: self.matching(status="ACTIVE"))
    @rule(pick=picks)
    def ask_twice(self, pick: int) -> None:
        """Of two calls at once one is done, the other is told to try again."""
        fleet, one = self.service_fleet(), self.some(pick, status="ACTIVE")
        fleet.operations += 1
        fleet.log.append(f"restart {one.name} twice at once")
        path = f"instances/{one.id}/action"
        first = fleet.call("POST", path, {"restart": {}}, status=202)
        second = fleet.service.call("POST", path, {"restart": {}}, headers=fresh())
        if second.status_code == 202:  # the first one was that fast
            fleet.service.completed(second.json()["job_id"], TASK_SECONDS)
        else:
            assert (second.status_code, second.json()["error_code"]) == (409, "DBS.200019"), second.text
        fleet.service.completed(first["job_id"], TASK_SECONDS)

    # --- ways of asking ---

    def act(self, one: Expected, action: dict[str, Any], kill: float | None) -> None:
        fleet = self.service_fleet()
        fleet.run(
            f"{one.name}: {action}", "POST", f"instances/{one.id}/action", action, status=202, kill=kill
        )

    def put(self, one: Expected, path: str, body: dict[str, Any], kill: float | None) -> None:
        fleet = self.service_fleet()
        fleet.run(
            f"{one.name}: {path} {body}", "PUT", f"instances/{one.id}/{path}", body, status=200, kill=kill
        )

    def power(self, one: Expected, action: str, status: str, kill: float | None) -> None:
        fleet = self.service_fleet()
        path = f"instances/{one.id}/action/{action}"
        fleet.run(f"{action} {one.name}", "POST", path, None, status=200, kill=kill)
        for other in (one, *self.replicas(one)):
            other.status = status


@pytest.mark.timeout(0)
@pytest.mark.parametrize("number", range(FIRST_SEED, FIRST_SEED + RUNS))
def test_whatever_happens_all_is_as_it_must_be(number: int) -> None:
    machine = seed(number)(type(f"Chaos{number}", (Chaos,), {}))
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=2,  # the first one is the simplest there is: nothing
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
