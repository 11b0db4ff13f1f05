"""Random sequences of operations, with workers and servers killed at random moments, against a simple model.

`make chaos` runs it for as long as wanted; `make test` runs at least 200 operations, 52 in each of four runs, of which
one is on MariaDB.
"""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from fleet import SETTLE_SECONDS, TASK_SECONDS, Backup, Expected, Fleet, Kill
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    rule,
    run_state_machine_as_test,
)

from openrds.domain.engine import EngineName
from openrds.domain.recovery import AT_ONCE
from openrds.hosts import processes
from support.backups import tables_of
from support.dialects import DIALECTS, Dialect
from support.engines import found
from support.means import WHY_NO_IMAGES, needs_forwarding
from support.service import ALL_ENGINES, free_port, fresh, running_service, wait_for

#: Operations of one run, each with a check of everything.
OPERATIONS = int(os.environ.get("OPENRDS_CHAOS_OPERATIONS", "40"))
RUNS = int(os.environ.get("OPENRDS_CHAOS_RUNS", "4"))
FIRST_SEED = int(os.environ.get("OPENRDS_CHAOS_SEED", "1"))

pytestmark = [pytest.mark.grouped_by("number"), needs_forwarding]

_MOST_PRIMARIES = 3
_MOST_REPLICAS = 2
_MOST_BACKUPS = 2
_SIZES = ("medium.2", "medium.4", "large.2")
#: Which a run has instances of: `make chaos` says all, which takes longer.
ENGINES = os.environ.get("OPENRDS_CHAOS_ENGINES")
#: Of the engines that are here, the faster ones more often.
_ENGINES = [
    name
    for name, weight in ((EngineName.POSTGRESQL, 3), (EngineName.MARIADB, 2), (EngineName.MYSQL, 1))
    if found(name) and name in (ENGINES or EngineName.POSTGRESQL).split(",")
    for _ in range(weight)
]

worker_dies = st.builds(Kill, st.floats(0.0, 0.8))
everything_dies = st.builds(Kill, st.floats(0.0, 2.0), st.just(True))
#: Most operations run undisturbed, or with `make chaos EVERYTHING=1` none.
kills = (
    everything_dies
    if os.environ.get("OPENRDS_CHAOS_EVERYTHING")
    else st.one_of(*[st.none()] * 5, worker_dies, worker_dies, everything_dies)
)
picks = st.integers(0, 999)
#: What a server may suffer: it dies, or it hangs until it is killed.
faults = st.sampled_from((signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGSTOP))


@dataclass(frozen=True)
class Operation:
    """What may be run when something holds, with arguments that are drawn; one of more weight is run more often."""

    when: Callable[["Chaos"], Any]
    arguments: dict[str, st.SearchStrategy[Any]]
    body: Callable[..., None]

    def __repr__(self) -> str:
        return self.body.__name__


_operations: list[Operation] = []


def operation(
    when: Callable[["Chaos"], Any], weight: int = 2, **arguments: st.SearchStrategy[Any]
) -> Callable[[Any], Any]:
    def register(body: Callable[..., None]) -> Callable[..., None]:
        _operations.extend([Operation(when, arguments, body)] * weight)
        return body

    return register


class Chaos(RuleBasedStateMachine):
    #: What volumes are, of which engine all instances are, where not of those that are drawn, how many operations the
    #: longest run had, and what went wrong first.
    volumes = "folder"
    engine: EngineName | None = None
    operations = 0
    failure: Exception | None = None

    def __init__(self) -> None:
        super().__init__()
        self._stack = contextlib.ExitStack()
        self.fleet: Fleet | None = None
        self.awake: bool | None = None

    def teardown(self) -> None:
        fleet, self.fleet = self.fleet, None
        with self.noted_failure(), self._stack:
            if fleet is not None:
                type(self).operations = max(self.operations, fleet.operations)
                print(f"{fleet.operations} operations:", *fleet.log, sep="\n  ")
                print(f"After everything had died it took at most {fleet.longest:.1f} s until all was well.")

    @contextlib.contextmanager
    def noted_failure(self) -> Iterator[None]:
        """Hypothesis does not hear of it: it would run all of it again, and hide it where that ends otherwise."""
        try:
            yield
        except Exception as error:
            type(self).failure = self.failure or error
            self.awake = False
            if self.fleet is not None:
                print("The end of the service's log:", self.fleet.service.log_text()[-8000:], sep="\n")

    # --- the model's side ---

    def service_fleet(self) -> Fleet:
        """The service is started by the first rule that needs it: a run of nothing costs nothing."""
        if self.fleet is None:
            self.fleet = Fleet(
                self._stack.enter_context(
                    running_service(
                        volumes=self.volumes,
                        hang_timeout="6",
                        dns_listen=f"127.0.0.1:{free_port()}",
                        **ALL_ENGINES,
                    )
                )
            )
        return self.fleet

    @property
    def backups(self) -> list[Backup]:
        return self.fleet.backups if self.fleet else []

    def some(self, pick: int, **wanted: Any) -> Expected:
        found = self.matching(**wanted)
        return found[pick % len(found)]

    def matching(self, **wanted: Any) -> list[Expected]:
        instances = self.fleet.instances if self.fleet else []
        return [
            one for one in instances if all(getattr(one, name) == value for name, value in wanted.items())
        ]

    def replicas(self, one: Expected) -> list[Expected]:
        return [other for other in self.service_fleet().instances if other.primary is one]

    @rule(data=st.data())
    def operate(self, data: st.DataObject) -> None:
        """The one rule: of several, hypothesis would leave out some for a whole run, and end it where no other may run.

        The simplest run, which it tries first, does nothing; nor does any after one that has done all.
        """
        if self.awake is None:
            is_wanted = self.failure is None and self.operations < OPERATIONS
            self.awake = data.draw(st.integers(0, 7)) > 0 and is_wanted
        if self.awake:
            chosen = data.draw(st.sampled_from([one for one in _operations if one.when(self)]))
            arguments = {name: data.draw(wanted) for name, wanted in chosen.arguments.items()}
            with self.noted_failure():
                chosen.body(self, **arguments)
                fleet = self.service_fleet()
                fleet.check()
                if fleet.operations == OPERATIONS:
                    fleet.check_in_the_end()

    # --- operations ---

    @operation(
        lambda self: len(self.matching(is_replica=False)) < _MOST_PRIMARIES,
        engine=st.sampled_from(_ENGINES),
        mode=st.sampled_from([None, "async", "sync"]),
        kill=kills,
    )
    def create(self, engine: EngineName, mode: str | None, kill: Kill | None) -> None:
        engine = self.engine or engine
        self.make(f"create {engine} {mode}", DIALECTS[engine], mode, kill)

    @operation(
        lambda self: (
            self.matching(is_replica=False, status="ACTIVE")
            and len(self.matching(is_replica=True)) < _MOST_REPLICAS
        ),
        pick=picks,
        kill=kills,
    )
    def replicate(self, pick: int, kill: Kill | None) -> None:
        fleet, primary = self.service_fleet(), self.some(pick, is_replica=False, status="ACTIVE")
        name = fleet.new_name()
        body = {
            "name": name,
            "replica_of_id": primary.id,
            "flavor_ref": primary.dialect.flavor(_SIZES[0], "rr"),
            "volume": {"type": "CLOUDSSD"},
            "availability_zone": "local-1a",
        }
        answer = fleet.run(f"replicate {primary.name}", "POST", "instances", body, status=202, kill=kill)
        fleet.instances.append(
            Expected(
                answer["instance"]["id"],
                name,
                primary.dialect,
                "Replica",
                1,
                flavor=str(body["flavor_ref"]),
                size=primary.size,
                port=primary.port,
                primary=primary,
            )
        )

    @operation(lambda self: len(self.matching()) > 2, pick=picks, kill=kills)
    def delete(self, pick: int, kill: Kill | None) -> None:
        fleet, one = self.service_fleet(), self.some(pick)
        fleet.run(f"delete {one.name}", "DELETE", f"instances/{one.id}", None, status=202, kill=kill)
        gone = [one, *self.replicas(one)]
        fleet.instances = [other for other in fleet.instances if other not in gone]

    @operation(lambda self: self.matching(status="ACTIVE"), pick=picks, kill=kills)
    def restart(self, pick: int, kill: Kill | None) -> None:
        self.act(self.some(pick, status="ACTIVE"), {"restart": {}}, kill)

    @operation(lambda self: self.matching(type="Single", status="ACTIVE"), pick=picks, kill=kills)
    def make_ha(self, pick: int, kill: Kill | None) -> None:
        one = self.some(pick, type="Single", status="ACTIVE")
        self.act(one, {"single_to_ha": {"az_code_new_node": "local-1a"}}, kill)
        one.type, one.nodes, one.flavor = "Ha", 2, f"{one.flavor}.ha"

    @operation(lambda self: self.matching(type="Ha", status="ACTIVE"), pick=picks, kill=kills)
    def switch_over(self, pick: int, kill: Kill | None) -> None:
        self.put(self.some(pick, type="Ha", status="ACTIVE"), "failover", {}, kill)

    @operation(
        lambda self: self.matching(type="Ha", status="ACTIVE"),
        pick=picks,
        mode=st.sampled_from(["async", "sync"]),
        kill=kills,
    )
    def change_mode(self, pick: int, mode: str, kill: Kill | None) -> None:
        one = self.some(pick, type="Ha", status="ACTIVE")
        self.put(one, "failover/mode", {"mode": _mode(one.dialect, mode)}, kill)

    @operation(lambda self: self.matching(is_replica=False, status="ACTIVE"), pick=picks, kill=kills)
    def enlarge(self, pick: int, kill: Kill | None) -> None:
        one = self.some(pick, is_replica=False, status="ACTIVE")
        self.act(one, {"enlarge_volume": {"size": one.size + 10}}, kill)
        one.size += 10

    @operation(
        lambda self: self.matching(is_replica=False, status="ACTIVE"), pick=picks, other=picks, kill=kills
    )
    def resize(self, pick: int, other: int, kill: Kill | None) -> None:
        one = self.some(pick, is_replica=False, status="ACTIVE")
        flavors = [one.dialect.flavor(size) for size in _SIZES]
        flavor = _another(flavors, one.flavor.removesuffix(".ha"), other)
        wanted = f"{flavor}.ha" if one.type == "Ha" else flavor
        self.act(one, {"resize_flavor": {"spec_code": wanted}}, kill)
        one.flavor = wanted

    @operation(lambda self: self.matching(status="ACTIVE"), pick=picks, other=picks, kill=kills)
    def change_port(self, pick: int, other: int, kill: Kill | None) -> None:
        one = self.some(pick, status="ACTIVE")
        port = _another((one.dialect.port, one.dialect.port + 1, 6000), one.port, other)
        self.put(one, "port", {"port": port}, kill)
        one.port = port

    @operation(lambda self: self.matching(status="ACTIVE"), pick=picks, kill=kills)
    def switch_ssl(self, pick: int, kill: Kill | None) -> None:
        """On again where the server can."""
        one = self.some(pick, status="ACTIVE")
        on = one.ssl is False and found(one.dialect.engine)[-1].speaks_tls
        self.put(one, "ssl", {"ssl_option": on}, kill)
        one.ssl = on

    @operation(lambda self: self.matching(status="ACTIVE"), pick=picks, kill=kills)
    def change_name(self, pick: int, kill: Kill | None) -> None:
        fleet, one = self.service_fleet(), self.some(pick, status="ACTIVE")
        label = f"chaos{fleet.operations:08}"
        self.put(one, "modify-dns", {"dns_name": label}, kill)
        one.name_of_dns = f"{label}.rds.internal"

    @operation(lambda self: self.matching(status="ACTIVE", public_ip=None), pick=picks, kill=kills)
    def bind(self, pick: int, kill: Kill | None) -> None:
        fleet, one = self.service_fleet(), self.some(pick, status="ACTIVE", public_ip=None)
        taken = {other.public_ip for other in fleet.instances}
        listed = fleet.service.get(f"/v1/{fleet.service.project_id}/publicips")["publicips"]
        free = next(ip for ip in listed if ip["public_ip_address"] not in taken)
        address = free["public_ip_address"]
        self.put(one, "public-ip", {"is_bind": True, "public_ip": address, "public_ip_id": free["id"]}, kill)
        one.public_ip = address

    @operation(
        lambda self: [one for one in self.matching(status="ACTIVE") if one.public_ip], pick=picks, kill=kills
    )
    def unbind(self, pick: int, kill: Kill | None) -> None:
        bound = [one for one in self.matching(status="ACTIVE") if one.public_ip]
        one = bound[pick % len(bound)]
        self.put(one, "public-ip", {"is_bind": False}, kill)
        one.public_ip = None

    @operation(lambda self: self.matching(is_replica=False, status="ACTIVE"), pick=picks, kill=kills)
    def stop(self, pick: int, kill: Kill | None) -> None:
        one = self.some(pick, is_replica=False, status="ACTIVE")
        self.power(one, "shutdown", "SHUTDOWN", kill)

    @operation(lambda self: self.matching(is_replica=False, status="SHUTDOWN"), pick=picks, kill=kills)
    def start(self, pick: int, kill: Kill | None) -> None:
        one = self.some(pick, is_replica=False, status="SHUTDOWN")
        self.power(one, "startup", "ACTIVE", kill)

    @operation(lambda self: self.matching(is_replica=False, status="ACTIVE"), pick=picks, kill=kills)
    def back_up(self, pick: int, kill: Kill | None) -> None:
        fleet, one = self.service_fleet(), self.some(pick, is_replica=False, status="ACTIVE")
        fleet.note(f"back up {one.name}", kill)
        body = {"instance_id": one.id, "name": f"chaos-{fleet.operations}"}
        backup = fleet.call("POST", "backups", body, status=200)["backup"]
        with fleet.disturbed(kill):
            wait_for(lambda: self.backup_status(one, backup["id"]) == "COMPLETED", TASK_SECONDS, "the backup")
        fleet.backups.append(Backup(backup["id"], one, one.rows, one.size))
        for old in fleet.backups[:-_MOST_BACKUPS]:
            fleet.call("DELETE", f"backups/{old.id}", status=200)
            fleet.backups.remove(old)
            fleet.deleted_backups.add(old)

    def backup_status(self, one: Expected, backup_id: str) -> str:
        found = self.service_fleet().service.get(f"backups?instance_id={one.id}&backup_id={backup_id}")[
            "backups"
        ]
        return found[0]["status"] if found else ""

    # --- restores ---

    @operation(
        lambda self: self.backups and len(self.matching(is_replica=False)) < _MOST_PRIMARIES,
        weight=1,
        pick=picks,
        moment=picks,
        mode=st.sampled_from([None, None, "sync"]),
        kill=kills,
    )
    def restore_to_new(self, pick: int, moment: int, mode: str | None, kill: Kill | None) -> None:
        backup = self.backups[pick % len(self.backups)]
        point, rows = self.point(backup, moment)
        what = f"restore {backup.of.name} with {rows} rows {mode}"
        size = self.room_for(backup)
        volume = {"type": "CLOUDSSD", "size": size}
        one = self.make(
            what, backup.of.dialect, mode, kill, datastore=None, volume=volume, restore_point=point
        )
        one.rows, one.size = rows, size

    @operation(lambda self: self.targets(), weight=1, pick=picks, moment=picks, kill=kills)
    def restore_onto(self, pick: int, moment: int, kill: Kill | None) -> None:
        fleet, targets = self.service_fleet(), self.targets()
        backup, target = targets[pick % len(targets)]
        point, rows = self.point(backup, moment)
        what = f"restore {backup.of.name} with {rows} rows onto {target.name}"
        body = {"source": point, "target": {"instance_id": target.id}}
        fleet.run(what, "POST", "instances/recovery", body, status=200, kill=kill)
        target.rows = rows
        target.moments.clear()  # its log of before leads nowhere any more
        fleet.backups = [
            replace(one, leads_on=one.leads_on and one.of is not target) for one in fleet.backups
        ]

    def room_for(self, backup: Backup) -> int:
        """In GB. A moment may be restored from a later backup, which may be of a larger volume."""
        return max(other.size for other in self.backups if other.of is backup.of)

    def targets(self) -> list[tuple[Backup, Expected]]:
        """What can be restored onto what."""
        primaries = self.matching(is_replica=False, status="ACTIVE")
        return [
            (backup, one)
            for backup in self.backups
            for one in primaries
            if one is not backup.of and one.dialect is backup.of.dialect and one.size >= self.room_for(backup)
        ]

    @operation(lambda self: self.continuous(), weight=1, pick=picks, moment=picks, kill=kills)
    def restore_table(self, pick: int, moment: int, kill: Kill | None) -> None:
        """It is looked at, and dropped again."""
        fleet, sources = self.service_fleet(), self.continuous()
        one = sources[pick % len(sources)].of
        moments = self.moments(one)
        when, rows = moments[moment % len(moments)]
        name = f"ledger_{fleet.operations}"
        body = {"instances": [tables_of(one.id, when, ("ledger", name), dialect=one.dialect)]}
        what = f"restore the table of {one.name} with {rows} rows"
        fleet.run(what, "POST", "instances/batch/restore/tables", body, status=200, kill=kill)
        (address,) = fleet.service.instance(one.id)["private_ips"]
        with one.connect(address) as connection:
            numbers = connection.execute(f"select number from {name} order by number")
            assert numbers == [(number,) for number in range(rows)]
            connection.execute(f"drop table {name}")

    def continuous(self) -> list[Backup]:
        """Those that moments after them can be restored from."""
        return [
            backup
            for backup in self.backups
            if backup.leads_on
            and backup.of.status == "ACTIVE"
            and backup.of in self.service_fleet().instances
        ]

    def point(self, backup: Backup, pick: int) -> tuple[dict[str, Any], int]:
        """A `restore_point`, the end of the backup or a moment after it, and how many rows there were."""
        ends = {"instance_id": backup.of.id, "type": "backup", "backup_id": backup.id}
        if pick % 2 or backup not in self.continuous():
            return ends, backup.rows
        moments = self.moments(backup.of)
        moment, rows = moments[pick // 2 % len(moments)]
        return {"instance_id": backup.of.id, "type": "timestamp", "restore_time": moment}, rows

    def moments(self, one: Expected) -> list[tuple[int, int]]:
        """Those that the service says it can restore, the last one among them, and how many rows there were then."""
        (within,) = self.service_fleet().service.get(f"instances/{one.id}/restore-time")["restore_time"]
        found = [
            (at, rows) for at, rows in one.moments.items() if within["start_time"] <= at <= within["end_time"]
        ]
        assert found, (within, one.moments)
        assert found[-1] == list(one.moments.items())[-1], (within, one.moments)
        return found

    # --- faults ---

    def mortals(self) -> list[Expected]:
        """Those whose server is brought back soon if it dies once more."""
        return [one for one in self.matching(status="ACTIVE") if one.deaths < AT_ONCE]

    @operation(lambda self: self.mortals(), pick=picks, fault=faults)
    def lose_server(self, pick: int, fault: signal.Signals) -> None:
        """It is restarted, or replaced by its standby; what was acknowledged is there."""
        fleet, mortals = self.service_fleet(), self.mortals()
        one = mortals[pick % len(mortals)]
        one.deaths += 1
        fleet.note(f"{fault.name} for the primary server of {one.name}")
        node = fleet.service.instance(one.id)["nodes"][0]["id"]
        process = processes.find(fleet.service.data_dir / "nodes" / node / processes.RECORD)
        assert process is not None
        process.send(fault)
        wait_for(lambda: not process.is_alive(), SETTLE_SECONDS, "its death")
        (address,) = fleet.service.instance(one.id)["private_ips"]
        wait_for(lambda: self.serves(one, address), SETTLE_SECONDS, f"{one.name} to serve again")

    @staticmethod
    def serves(one: Expected, address: str) -> bool:
        with contextlib.suppress(Exception), one.connect(address) as connection:
            return connection.execute("select 1") == [(1,)]
        return False

    @operation(lambda self: self.matching(), weight=1)
    def lose_everything(self) -> None:
        """While nothing is done."""
        fleet = self.service_fleet()
        fleet.note("everything is killed")
        fleet.lose_everything()

    @operation(lambda self: self.matching(status="ACTIVE"), pick=picks)
    def ask_twice(self, pick: int) -> None:
        """Of two calls at once one is done, the other is told to try again."""
        fleet, one = self.service_fleet(), self.some(pick, status="ACTIVE")
        fleet.note(f"restart {one.name} twice at once")
        path = f"instances/{one.id}/action"
        first = fleet.call("POST", path, {"restart": {}}, status=202)
        second = fleet.service.call("POST", path, {"restart": {}}, headers=fresh())
        if second.status_code == 202:  # the first one was that fast
            fleet.service.completed(second.json()["job_id"], TASK_SECONDS)
        else:
            assert (second.status_code, second.json()["error_code"]) == (409, "DBS.200019"), second.text
        fleet.service.completed(first["job_id"], TASK_SECONDS)

    # --- ways of asking ---

    def make(
        self, what: str, dialect: Dialect, mode: str | None, kill: Kill | None, **changes: Any
    ) -> Expected:
        """A new instance, single or with a standby."""
        fleet = self.service_fleet()
        name, flavor = fleet.new_name(), dialect.flavor(_SIZES[0], "" if mode is None else "ha")
        if mode is not None:
            changes["ha"] = {"mode": "Ha", "replication_mode": _mode(dialect, mode)}
            changes["availability_zone"] = "local-1a,local-1a"
        body = fleet.service.create_body(dialect, name=name, flavor_ref=flavor, **changes)
        answer = fleet.run(f"{name}: {what}", "POST", "instances", body, status=202, kill=kill)
        kind, nodes = ("Single", 1) if mode is None else ("Ha", 2)
        one = Expected(answer["instance"]["id"], name, dialect, kind, nodes, flavor, dialect.port)
        fleet.instances.append(one)
        return one

    def act(self, one: Expected, action: dict[str, Any], kill: Kill | None) -> None:
        fleet = self.service_fleet()
        fleet.run(
            f"{one.name}: {action}", "POST", f"instances/{one.id}/action", action, status=202, kill=kill
        )

    def put(self, one: Expected, path: str, body: dict[str, Any], kill: Kill | None) -> None:
        fleet = self.service_fleet()
        fleet.run(
            f"{one.name}: {path} {body}", "PUT", f"instances/{one.id}/{path}", body, status=200, kill=kill
        )

    def power(self, one: Expected, action: str, status: str, kill: Kill | None) -> None:
        fleet = self.service_fleet()
        path = f"instances/{one.id}/action/{action}"
        fleet.run(f"{action} {one.name}", "POST", path, None, status=200, kill=kill)
        for other in (one, *self.replicas(one)):
            other.status = status


def _mode(dialect: Dialect, mode: str) -> str:
    """`sync` is what each engine has for it."""
    return dialect.synchronous if mode == "sync" else mode


def _another(choices: Sequence[Any], than: Any, pick: int) -> Any:
    others = [choice for choice in choices if choice != than]
    return others[pick % len(others)]


@pytest.mark.timeout(0)
@pytest.mark.parametrize("number", range(FIRST_SEED, FIRST_SEED + RUNS))
def test_whatever_happens_all_is_as_it_must_be(number: int) -> None:
    volumes = "xfs" if number % 4 == 0 and not WHY_NO_IMAGES else "folder"
    on_mariadb = ENGINES is None and number % 4 == 3 and found(EngineName.MARIADB)
    chosen = {"volumes": volumes, "engine": EngineName.MARIADB if on_mariadb else None}
    machine: Any = seed(number)(type(f"Chaos{number}", (Chaos,), chosen))
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=10,
            stateful_step_count=OPERATIONS,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
    if machine.failure is not None:
        raise machine.failure
    assert machine.operations == OPERATIONS, "a run of so many operations ends before"
