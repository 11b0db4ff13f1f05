"""Whose log a round ships and clears, and when it asks nobody."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest

from openrds.engines.postgresql.backups import PostgreSQLBackups
from openrds.engines.postgresql.engine import PostgreSQL
from openrds.engines.protocol import EngineError, NodeSpec
from openrds.operations.instances import restart_instance
from openrds.operations.rounds import log_shipping
from openrds.operations.rounds.log_shipping import LogShipping
from openrds.operations.rounds.roster import Roster
from openrds.repository.place import Place
from support.prepared import Prepared
from support.scenarios import active_instance, done, submit_replica
from support.workbench import Workbench

HALF_AN_HOUR = 1800.0
FIVE_MINUTES = 300.0


@dataclass(frozen=True)
class Shipping(PostgreSQLBackups):
    """Of an engine that would not archive by itself: what it is asked for."""

    ships_log = True
    asked: list[tuple[str, ...]] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)

    def ship_log(self, node: NodeSpec) -> None:
        if node.node_id in self.broken:
            raise EngineError("the archive is full")
        self.asked.append(("ship", node.node_id))

    def archive_log(self, node: NodeSpec) -> None:
        self.asked.append(("archive", node.node_id))

    def clear_log(self, node: NodeSpec, keep_hours: int, *, archived: bool) -> None:
        self.asked.append(("clear", node.node_id, str(keep_hours), "archived" if archived else "as it is"))


@dataclass
class Round:
    bench: Workbench
    backups: Shipping
    now: float = 1000.0
    written: int = 1

    def __post_init__(self) -> None:
        roster = Roster(self.bench.resources)
        self.shipping = LogShipping(self.bench.resources, roster, clock=lambda: self.now)
        self.refresh = roster.refresh

    def asked(self) -> list[tuple[str, ...]]:
        """What a round asks for."""
        self.refresh()
        self.backups.asked.clear()
        assert self.shipping.ship()
        return sorted(self.backups.asked)


@pytest.fixture(scope="module")
def bench(workbench: Workbench) -> Iterator[Workbench]:
    yield workbench
    Prepared(workbench).clean_up()


@pytest.fixture(scope="module")
def instance(bench: Workbench) -> str:
    return active_instance(bench)


@pytest.fixture
def round_(bench: Workbench, instance: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Round]:
    before, host, settings = bench.resources, bench.resources.host, bench.resources.settings
    engine = PostgreSQL(settings.data_dir, host.owners.users, settings.engine_dirs, 0, host.limits)
    engine.backups = Shipping(host.engines[engine.name].backups.programs)  # type: ignore[attr-defined]
    bench.resources = replace(before, host=replace(host, engines={engine.name: engine}))
    found = Round(bench, engine.backups)
    monkeypatch.setattr(log_shipping, "written_by", lambda _record: found.written)
    yield found
    bench.resources = before
    bench.store.rows(
        b"update instance set backup_keep_days = 7, log_retention_hours = 0 where replica_of is null"
    )


def node_of(bench: Workbench, instance_id: str) -> str:
    return str(bench.resources.view.primary(instance_id).id)


def test_it_is_asked_when_it_has_written_something_and_now_and_then(round_: Round, instance: str) -> None:
    node = node_of(round_.bench, instance)
    all_of_it = [("clear", node, "0", "archived"), ("ship", node)]
    assert round_.asked() == all_of_it
    assert round_.asked() == []
    round_.written += 1
    assert round_.asked() == all_of_it
    round_.now += HALF_AN_HOUR - 1
    assert round_.asked() == []
    round_.now += 1
    assert round_.asked() == all_of_it


def test_where_backups_outlive_the_machine_its_log_is_finished_every_few_minutes(
    round_: Round, instance: str
) -> None:
    bench = round_.bench
    place = Place("file:///nowhere", None, bench.resources.settings.repository_key_file)
    bench.resources = replace(bench.resources, host=replace(bench.resources.host, repository=place))
    server, round_ = round_, Round(bench, round_.backups)
    node = node_of(bench, instance)
    clear = ("clear", node, "0", "archived")
    assert round_.asked() == [("archive", node), clear]
    server.written += 1
    assert round_.asked() == [clear, ("ship", node)]
    round_.now += FIVE_MINUTES - 1
    assert round_.asked() == []
    round_.now += 1
    assert round_.asked() == [("archive", node), clear], "also what it had written before it was last asked"
    round_.now += FIVE_MINUTES
    assert round_.asked() == [], "it has written nothing since"


def test_without_backups_it_is_only_cleared(round_: Round, instance: str) -> None:
    round_.bench.store.rows(b"update instance set backup_keep_days = 0, log_retention_hours = 24")
    assert round_.asked() == [("clear", node_of(round_.bench, instance), "24", "as it is")]


def test_one_that_failed_is_tried_again(round_: Round, instance: str) -> None:
    node = node_of(round_.bench, instance)
    round_.backups.broken.add(node)
    assert round_.asked() == []
    round_.backups.broken.clear()
    assert ("ship", node) in round_.asked()


def test_one_that_a_task_holds_is_left_to_it(round_: Round, instance: str) -> None:
    bench = round_.bench
    task_id = bench.submit(
        lambda intake: restart_instance.submit(intake, instance, restart_instance.Restart())
    )
    round_.refresh()
    assert not round_.shipping.ship()
    assert round_.backups.asked == []
    done(bench, instance, task_id)
    assert round_.asked()


def test_one_that_follows_keeps_its_log_for_a_while_and_ships_none(round_: Round, instance: str) -> None:
    bench = round_.bench
    done(bench, instance, bench.submit(lambda intake: submit_replica(intake, instance, bench)))
    (replica,) = (one.id for one in bench.instances() if one.replica_of)
    assert ("clear", node_of(bench, replica), "1", "as it is") in round_.asked()
    assert ("ship", node_of(bench, replica)) not in round_.backups.asked


def test_an_engine_that_archives_by_itself_is_never_asked(
    bench: Workbench, instance: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_question(*_: object) -> None:
        raise AssertionError("a server was looked at")

    for name in ("find", "written_by"):
        monkeypatch.setattr(log_shipping, name, no_question)
    assert not LogShipping(bench.resources, Roster(bench.resources)).ship()
    assert bench.resources.view.instance(instance).status == "ACTIVE"


def test_no_archive_is_moved_away_while_log_is_put_there(bench: Workbench, instance: str) -> None:
    folders = bench.resources.host.backups
    moved = threading.Thread(target=folders.set_archive_aside, args=(instance, "mark"))
    with folders.shipping:
        moved.start()
        moved.join(0.2)
        assert folders.archive(instance).exists()
    moved.join()
    assert not folders.archive(instance).exists()
    folders.bring_archive_back(instance, "mark")
    assert folders.archive(instance).exists()
