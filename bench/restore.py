"""A table as it was before an accident, under a new name, beside the same done by hand.

By hand: copy the base backup, replay the log up to the moment in a server beside, move the table, stop and remove, as
`hands` says. Both restore the same table of the same instance from the same backup and log, in turn; a ratio is the
median of the ratios of neighbours.
"""

import statistics
import time
from collections.abc import Callable, Iterator

from bench.create import installation_of
from bench.figures import Figure, rounds, spread
from bench.hands import POSTGRESQL, Hand
from bench.hands.hand import Accident
from support.backups import tables_of
from support.service import ServiceUnderTest, fresh, running_service, session, wait_for

ROUNDS = 5


def measure(hand: Hand = POSTGRESQL) -> Iterator[Figure]:
    by_hand, by_service = [], []
    with running_service(spare_data_dirs="0", **hand.options) as service:
        accident = _prepare(service, hand)
        for round_ in range(rounds(ROUNDS) + 1):
            times = [
                _timed(accident, hand, run) for run in (hand.restore, lambda found: _by_service(found, hand))
            ]
            if round_ > 0:  # the first round warms the page cache
                by_hand.append(times[0])
                by_service.append(times[1])
    ratio = statistics.median(ours / theirs for ours, theirs in zip(by_service, by_hand, strict=True))
    name = f"restore a table of {hand.rows / 1e6:g} M rows / by hand"
    detail = f"{spread(by_service)}; by hand {spread(by_hand)}"
    yield Figure(name, ratio, hand.bounds.restore, detail=detail)


def _prepare(service: ServiceUnderTest, hand: Hand) -> Accident:
    """Half of the rows are in the backup, the others in the log."""
    instance = service.create(hand.dialect, name="accident", flavor_ref=hand.dialect.flavor("large.2"))
    with session(instance) as client:
        client.execute(hand.make_orders)
        hand.insert_half(client)
        backup = _back_up(service, instance["id"])
        hand.insert_half(client)
        moment = hand.moment(client)
        client.execute("delete from orders where id > 10")
    place = service.data_dir / "backups" / instance["id"] / backup
    return Accident(service, instance, place, moment, installation_of(service, hand))


def _back_up(service: ServiceUnderTest, instance_id: str) -> str:
    body = {"instance_id": instance_id, "name": "half-of-it"}
    backup_id = service.call("POST", "backups", body, headers=fresh()).json()["backup"]["id"]
    query = f"backups?instance_id={instance_id}&backup_id={backup_id}"
    wait_for(lambda: service.get(query)["backups"][0]["status"] == "COMPLETED", 120, "the backup")
    return str(backup_id)


def _timed(accident: Accident, hand: Hand, run: Callable[[Accident], None]) -> float:
    begun = time.perf_counter()
    run(accident)
    took = time.perf_counter() - begun
    with session(accident.instance) as client:
        assert client.execute("select count(*) from orders_before") == [(hand.rows,)]
        client.execute("drop table orders_before")
    return took


def _by_service(accident: Accident, hand: Hand) -> None:
    service, instance_id = accident.service, accident.instance["id"]
    wanted = tables_of(instance_id, accident.moment, ("orders", "orders_before"), dialect=hand.dialect)
    path = "instances/batch/restore/tables"
    answer = service.call("POST", path, {"instances": [wanted]}, headers=fresh()).json()
    service.completed(answer["restore_result"][0]["job_id"], 300)
