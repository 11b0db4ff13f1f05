"""A client that writes through an endpoint, one row after another, whatever happens to the servers behind it."""

import contextlib
import itertools
import threading
import time
from typing import Any

import psycopg

from support.service import PASSWORD, dialect_of, session


def connect(instance: dict[str, Any], **options: Any) -> psycopg.Connection[Any]:
    """To the endpoint that the API names of an instance of PostgreSQL."""
    return psycopg.connect(
        host=instance["private_ips"][0],
        port=instance["port"],
        user="root",
        password=PASSWORD,
        dbname="postgres",
        autocommit=True,
        connect_timeout=5,
        **options,
    )


class Writer:
    """`acknowledged` are the numbers that were committed, as the server said, each with the moment it did.

    They are of this writer alone. `connections` is how often it was let in.
    """

    def __init__(self, instance: dict[str, Any]) -> None:
        self._instance = instance
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.acknowledged: dict[int, float] = {}
        self.connections = 0

    def __enter__(self) -> "Writer":
        with session(self._instance, seconds=5) as client:
            client.execute("create table if not exists written (number bigint)")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def wait_for_one_after(self, moment: float, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not any(done > moment for done in list(self.acknowledged.values())[-1:]):
            assert time.monotonic() < deadline, "no write was acknowledged any more"
            time.sleep(0.005)

    def lost(self) -> set[int]:
        """What was acknowledged and is not there."""
        with session(self._instance, seconds=5) as client:
            kept = {row[0] for row in client.execute("select number from written")}
        return set(self.acknowledged) - kept

    def _run(self) -> None:
        numbers = itertools.count(time.time_ns())
        while not self._stopping.is_set():
            refusals = dialect_of(self._instance).Error
            with contextlib.suppress(refusals), session(self._instance, seconds=5) as client:
                self.connections += 1
                while not self._stopping.is_set():
                    # What became of one that is not acknowledged nobody knows; it is not tried again.
                    number = next(numbers)
                    client.execute("insert into written values (%s)", [number])
                    self.acknowledged[number] = time.monotonic()
