"""Instances with a standby: made, switched over, given another flavor and failed over, beside the same done by hand.

By hand: a ready data directory, and what is in `hands`. Outages are seen by a client that keeps inserting rows.
"""

import contextlib
import itertools
import os
import signal
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

from bench.create import installation_of
from bench.figures import Figure, rounds, spread
from bench.hands import POSTGRESQL, Hand
from bench.pool import await_full_pool
from openrds.hosts import processes
from support.service import ServiceUnderTest, fresh, running_service, wait_for
from support.writer import Writer

CREATIONS = 5
SWITCHOVERS = 9
CLASS_CHANGES = 10
FAILOVERS = 20


def measure(hand: Hand = POSTGRESQL) -> Iterator[Figure]:
    with running_service(spare_data_dirs="1", **hand.options) as service:
        yield _creation(service, hand)
        yield from _switchover(service, hand)
        if hand is POSTGRESQL:
            yield from _class_change(service, hand)
        yield from _failover(service, hand)


def _creation(service: ServiceUnderTest, hand: Hand) -> Figure:
    ours, theirs = [], []
    installation = installation_of(service, hand)
    for round_ in range(rounds(CREATIONS) + 1):
        await_full_pool(service)
        with hand.bare_pair(installation) as pair:
            begun = time.perf_counter()
            pair.build()
            by_hand = time.perf_counter() - begun
        begun = time.perf_counter()
        instance_id = _create(service, hand, f"bench-{round_}", "async")
        took = time.perf_counter() - begun
        service.delete(instance_id)
        if round_ > 0:  # the first round warms the page cache
            ours.append(took)
            theirs.append(by_hand)
    return _compared("create with a standby / by hand", ours, theirs, hand.bounds.pair)


def _switchover(service: ServiceUnderTest, hand: Hand) -> Iterator[Figure]:
    bounds = hand.bounds
    ours, theirs = [], []
    instance = service.instance(_create(service, hand, "bench-switchover", "async"))
    with contextlib.ExitStack() as stack:
        pair = None
        if bounds.switchover is not None:
            pair = stack.enter_context(hand.bare_pair(installation_of(service, hand)))
            pair.build()
        for _ in range(rounds(SWITCHOVERS)):
            if pair is not None:
                theirs.append(pair.switch_over())
            ours.append(_outage(instance, lambda: _switch(service, instance)))
    service.delete(instance["id"])
    if bounds.switchover is not None:
        yield _compared("write outage of a switchover / by hand", ours, theirs, bounds.switchover)
    yield Figure("write outage of a switchover, longest", max(ours), bounds.outage, " s", detail=spread(ours))


def _class_change(service: ServiceUnderTest, hand: Hand) -> Iterator[Figure]:
    """To the larger flavor and back to the smaller one, each time after a switchover of the same pair."""
    changes, switchovers = [], []
    instance = service.instance(_create(service, hand, "bench-class-change", "async"))
    flavors = (hand.dialect.flavor(size, "ha") for size in itertools.cycle(("large.2", "medium.2")))
    for flavor in itertools.islice(flavors, rounds(CLASS_CHANGES)):
        switchovers.append(_outage(instance, lambda: _switch(service, instance)))
        changes.append(_outage(instance, lambda wanted=flavor: _resize(service, instance, wanted)))
    service.delete(instance["id"])
    ratio = statistics.median(one / other for one, other in zip(changes, switchovers, strict=True))
    detail = (
        f"larger {spread(changes[::2])}; smaller {spread(changes[1::2] or changes)}; "
        f"switchover {spread(switchovers)}"
    )
    yield Figure("class change of a pair: write outage / of a switchover", ratio, 1.5, detail=detail)
    yield Figure(
        "class change of a pair: write outage, longest", max(changes), 1, " s", detail=spread(changes)
    )


def _failover(service: ServiceUnderTest, hand: Hand) -> Iterator[Figure]:
    mode = hand.dialect.synchronous
    instance = service.instance(_create(service, hand, "bench-failover", mode))
    outages, lost = [], 0
    for _ in range(rounds(FAILOVERS)):
        lost_now: list[int] = []
        outages.append(_outage(instance, lambda: _kill(service, hand, instance), lost_now))
        lost += sum(lost_now)
    service.delete(instance["id"])
    name = "kill -9 of the primary to the next acknowledged write, median"
    yield Figure(name, statistics.median(outages), hand.bounds.failover, " s", detail=spread(outages))
    yield Figure(f"acknowledged writes lost in {len(outages)} failovers with {mode}", lost, 0)


def _compared(name: str, ours: list[float], theirs: list[float], limit: float) -> Figure:
    ratio = statistics.median(one / other for one, other in zip(ours, theirs, strict=True))
    return Figure(name, ratio, limit, detail=f"{spread(ours)}; by hand {spread(theirs)}")


def _create(service: ServiceUnderTest, hand: Hand, name: str, mode: str) -> str:
    body = service.create_body(
        hand.dialect,
        name=name,
        flavor_ref=hand.dialect.flavor(kind="ha"),
        availability_zone="local-1a,local-1a",
        ha={"mode": "Ha", "replication_mode": mode},
    )
    answer = service.call("POST", "instances", body, headers=fresh()).json()
    service.completed(answer["job_id"])
    return str(answer["instance"]["id"])


def _outage(instance: dict[str, Any], act: Callable[[], None], lost: list[int] | None = None) -> float:
    """The longest time between two acknowledged writes, while the act is done and until it is settled."""
    with Writer(instance) as writer:
        writer.wait_for_one_after(0)
        begun = time.monotonic()
        act()
        writer.wait_for_one_after(time.monotonic())
    moments = [moment for moment in writer.acknowledged.values() if moment > begun - 0.5]
    if lost is not None:
        lost.append(len(writer.lost()))
    return max(later - earlier for earlier, later in itertools.pairwise(moments))


def _switch(service: ServiceUnderTest, instance: dict[str, Any]) -> None:
    answer = service.call("PUT", f"instances/{instance['id']}/failover", {}, headers=fresh()).json()
    service.completed(answer["workflowId"])


def _resize(service: ServiceUnderTest, instance: dict[str, Any], flavor: str) -> None:
    action = {"resize_flavor": {"spec_code": flavor}}
    answer = service.call("POST", f"instances/{instance['id']}/action", action, headers=fresh()).json()
    service.completed(answer["job_id"])


def _kill(service: ServiceUnderTest, hand: Hand, instance: dict[str, Any]) -> None:
    """And wait until the old primary is the standby, which confirms again."""
    nodes = service.instance(instance["id"])["nodes"]
    (primary,) = (node["id"] for node in nodes if node["role"] == "master")
    process = processes.find(service.data_dir / "nodes" / primary / processes.RECORD)
    assert process is not None
    name = hand.dialect.task_name("Switchover{}Instance")
    query = f"tasklist?instance_id={instance['id']}&name={name}&status=Completed"
    before = service.get(query)["total_count"]
    os.kill(process.pid, signal.SIGKILL)
    wait_for(lambda: service.get(query)["total_count"] > before, 60, "the end of the failover")
