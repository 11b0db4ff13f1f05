"""When the monitor looks at what: after what it heard, and no more."""

import select
import signal
from collections.abc import Iterator

import pytest

from openrds.hosts import processes
from openrds.hosts.deaths import Deathwatch
from openrds.hosts.processes import Process
from openrds.operations.instances import delete_instance, restart_instance
from openrds.operations.rounds.monitor import Monitor
from openrds.operations.rounds.roster import Roster
from openrds.store.database import Row
from support.scenarios import active_instance
from support.workbench import Workbench

#: The longest time between looks at all servers, with the default interval.
ALL = 30.0


@pytest.fixture(scope="module")
def instances(workbench: Workbench) -> Iterator[tuple[str, str]]:
    created = active_instance(workbench), active_instance(workbench)
    yield created
    for id_ in created:
        workbench.run(workbench.submit(lambda intake, id_=id_: delete_instance.submit(intake, id_)))


class Watched:
    """A monitor with a clock that stands still, and what it asked the store for."""

    def __init__(self, bench: Workbench) -> None:
        self.now = 1000.0
        self.asked: list[list[str] | None] = []
        self.deaths = Deathwatch()
        roster = Roster(bench.resources)
        refresh = roster.refresh

        def noted(ids=None):
            self.asked.append(None if ids is None else sorted(ids))
            return refresh(ids)

        roster.refresh = noted  # type: ignore[method-assign]
        self.monitor = Monitor(bench.resources, bench.queue, roster, self.deaths, clock=lambda: self.now)

    def look(self, *heard: str) -> float:
        return self.monitor.look(heard)

    def told(self) -> set[str]:
        """Of whose deaths there is news within some seconds."""
        return self.deaths.take() if select.select([self.deaths], [], [], 10)[0] else set()


@pytest.fixture
def watched(workbench: Workbench) -> Iterator[Watched]:
    found = Watched(workbench)
    found.monitor.look(None)
    yield found
    found.deaths.close()


def running_task(bench: Workbench, instance_id: str) -> Row:
    (task,) = bench.store.rows(
        b"select * from task where instance_id = %s and status = 'Running'", [instance_id]
    )
    return task


def process_of(bench: Workbench, instance_id: str) -> Process:
    process = processes.find(bench.resources.host.record(bench.resources.view.primary(instance_id).id))
    assert process is not None
    return process


def test_when_all_is_well_nothing_is_asked_for_long(watched: Watched, instances: tuple[str, str]) -> None:
    assert watched.look() == pytest.approx(ALL)
    assert watched.look(instances[0]) == pytest.approx(ALL)
    watched.now += ALL - 1
    assert watched.look() == pytest.approx(1)
    assert watched.asked == [None, [], [instances[0]], []]

    watched.now += 1
    assert watched.look() == pytest.approx(ALL)
    assert watched.asked[-1] is None


def test_a_death_is_told_and_the_server_started_again(
    workbench: Workbench, watched: Watched, instances: tuple[str, str]
) -> None:
    process_of(workbench, instances[0]).send(signal.SIGKILL)
    assert watched.told() == {instances[0]}

    # Its task has only begun: it is looked at again soon.
    assert watched.look(instances[0]) == workbench.resources.settings.monitor_interval

    task = running_task(workbench, instances[0])
    assert task["name"].startswith("Restart")
    assert watched.look() == pytest.approx(ALL)
    workbench.run(task["id"])
    # As the end of the task is told of.
    watched.look(instances[0])
    process_of(workbench, instances[0]).send(signal.SIGKILL)
    assert watched.told() == {instances[0]}
    watched.look(instances[0])
    workbench.run(running_task(workbench, instances[0])["id"])


def test_one_that_an_operation_has_is_not_watched(
    workbench: Workbench, watched: Watched, instances: tuple[str, str]
) -> None:
    task = workbench.submit(
        lambda intake: restart_instance.submit(intake, instances[1], restart_instance.Restart())
    )
    watched.look(instances[1])
    assert watched.deaths.names() == {instances[0]}
    workbench.run(task)
    watched.look(instances[1])
    assert watched.deaths.names() == set(instances)


def test_one_that_is_not_well_is_looked_at_until_it_is(
    workbench: Workbench, watched: Watched, instances: tuple[str, str]
) -> None:
    """Here one that failed, though its server runs: the look finds that it serves."""
    workbench.store.rows(b"update instance set status = 'FAILED' where id = %s", [instances[1]])
    interval = workbench.resources.settings.monitor_interval
    assert watched.look(instances[1]) == interval
    assert workbench.resources.view.instance(instances[1]).status == "ACTIVE"
    assert watched.look() == pytest.approx(ALL)
    assert watched.asked[-1] == [instances[1]]
    assert watched.look() == pytest.approx(ALL)
    assert watched.asked[-1] == []
