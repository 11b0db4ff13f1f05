"""What is noted of each server once a minute."""

import datetime as dt
import math
from typing import Any

import pytest

from openrds.domain.capacity import GB
from openrds.domain.metrics import KEPT, KEPT_CLOSE
from openrds.engines.postgresql.sessions import superuser_session
from openrds.operations.instances import instance_changes as changes
from openrds.operations.instances import stop_instance
from openrds.operations.rounds.close_looks import CloseLooks
from openrds.operations.rounds.metrics import Metrics
from openrds.operations.rounds.roster import Roster
from openrds.store.queries import Queries
from support.scenarios import active_instance
from support.service import wait_for
from support.workbench import Workbench

_sql = Queries("metrics")


def noted(bench: Workbench, instance_id: str) -> list[dict[str, Any]]:
    Metrics(bench.resources, Roster(bench.resources)).note()
    return bench.store.rows(b"select * from node_sample where instance_id = %s order by at", [instance_id])


def test_a_server_has_a_sample_a_minute_for_seven_days(workbench: Workbench) -> None:
    instance_id = active_instance(workbench)
    first = noted(workbench, instance_id)[-1]
    assert first["node_id"] == workbench.resources.view.primary(instance_id).id
    assert first["cpu_seconds"] > 0 and first["memory_bytes"] > 10 * 2**20
    assert first["volume_bytes"] == workbench.resources.view.instance(instance_id).volume_size * GB
    assert (first["connections_active"], first["connections_idle"]) == (0, 0)
    assert first["transactions"] > 0 and first["cache_hits"] > 0
    assert (first["lag_seconds"], first["backup_age_seconds"]) == (None, None)
    assert (first["at"].second, first["at"].microsecond) == (0, 0)
    again = noted(workbench, instance_id)
    assert len({row["at"] for row in again}) == len(again) <= 2

    move = b"update node_sample set at = at - %s where instance_id = %s"
    for age, left in ((KEPT - dt.timedelta(minutes=10), True), (dt.timedelta(minutes=11), False)):
        workbench.store.rows(move, [age, instance_id])
        workbench.store.rows(_sql.delete_expired, [KEPT])
        found = workbench.store.rows(b"select from node_sample where instance_id = %s", [instance_id])
        assert bool(found) is left


def test_an_idle_server_is_asked_now_and_then_and_one_that_works_each_time(workbench: Workbench) -> None:
    instance_id = active_instance(workbench)
    now = [0.0]
    metrics = Metrics(workbench.resources, Roster(workbench.resources), clock=lambda: now[0])

    def transactions() -> int:
        workbench.store.rows(b"delete from node_sample")
        metrics.note()
        (row,) = workbench.store.rows(
            b"select transactions from node_sample where instance_id = %s", [instance_id]
        )
        return int(row["transactions"])

    first = transactions()
    assert transactions() == first

    def asked_again() -> int:
        now[0] += 300
        return max(transactions() - first, 0)

    later = first + wait_for(asked_again)
    server = workbench.resources.primary_server(instance_id)
    with superuser_session(server.node) as connection:
        for _ in range(100):
            connection.execute("select count(*) from generate_series(1, 10000)")
    assert wait_for(lambda: transactions() >= later + 100)


def test_of_a_server_that_does_not_run_less_is_known(workbench: Workbench) -> None:
    instance_id = active_instance(workbench)
    task = workbench.run(workbench.submit(lambda intake: stop_instance.submit(intake, instance_id)))
    assert task["status"] == "Completed"
    last = noted(workbench, instance_id)[-1]
    assert last["volume_bytes"] > 0
    assert (last["cpu_seconds"], last["transactions"]) == (None, None)


def test_it_is_measured_each_second_where_that_was_switched_on(workbench: Workbench) -> None:
    watched, other = active_instance(workbench), active_instance(workbench)

    def switch(interval: int | None) -> None:
        request = changes.SetMonitoring(interval is not None, interval)
        workbench.submit(lambda intake: changes.set_monitoring(intake, watched, request))

    now = [1_800_000_000.4]
    roster = Roster(workbench.resources)
    looks = CloseLooks(workbench.resources, roster, clock=lambda: now[0])
    assert looks.look() == math.inf
    switch(1)
    roster.refresh()
    server = workbench.resources.primary_server(watched)
    for _ in range(3):
        with superuser_session(server.node) as connection:
            connection.execute("select count(*) from generate_series(1, 10000)")
        assert looks.look() == pytest.approx(0.6)
        assert looks.look() == pytest.approx(0.6), "once for each second"
        now[0] += 1
    rows = workbench.store.rows(b"select * from node_close_sample order by at")
    assert [row["at"].timestamp() for row in rows] == [1_800_000_000 + second for second in range(3)]
    assert {row["instance_id"] for row in rows} == {watched} and other
    assert all(row["cpu_seconds"] > 0 and row["volume_bytes"] > 0 for row in rows)
    counted = [row["transactions"] for row in rows]
    assert counted == sorted(set(counted)), "it was asked each time"

    switch(5)
    roster.refresh()
    assert looks.look() == pytest.approx(1.6)
    (last,) = workbench.store.rows(b"select max(at) as at from node_close_sample")
    assert last["at"].timestamp() == 1_800_000_002, "in the same five seconds there is nothing to add"
    switch(None)
    roster.refresh()
    assert looks.look() == math.inf

    workbench.store.rows(
        b"update node_close_sample set at = at - (select max(at) - now() from node_close_sample)"
    )
    move = b"update node_close_sample set at = at - %s"
    for age, left in ((KEPT_CLOSE - dt.timedelta(minutes=5), True), (dt.timedelta(minutes=6), False)):
        workbench.store.rows(move, [age])
        workbench.store.rows(_sql.delete_expired_close, [KEPT_CLOSE])
        assert bool(workbench.store.rows(b"select from node_close_sample")) is left
