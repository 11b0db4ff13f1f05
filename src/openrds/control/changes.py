"""Hearing from the store what has changed in it: docs/decisions/0017 says why."""

import asyncio
import contextlib
import logging
from collections import defaultdict
from enum import StrEnum

import psycopg

from openrds.control.rounds import Bell
from openrds.store.notices import heard
from openrds.store.queries import Queries

logger = logging.getLogger(__name__)

_sql = Queries("changes")

#: Seconds without a notification after which the connection is asked whether it lives.
_QUIET = 60.0
#: Seconds before the store is tried again after it went away.
_RECONNECT_DELAY = 0.5


class Subject(StrEnum):
    """What the store tells of: its triggers name these."""

    #: An instance with its nodes, locks and public address.
    INSTANCE = "instance"
    BACKUP = "backup"
    #: Somebody wants to know which parameters a version has.
    CATALOGUE = "catalogue"
    SCHEDULE = "schedule"
    #: A rule of a security group.
    NETWORK = "network"
    #: A project, an account, or what projects have beside their instances; also the one name it is rung for.
    SERVICE = "service"
    #: One was accepted, has ended or was hidden.
    TASKS = "tasks"
    #: Something is to be delivered.
    WEBHOOK = "webhook"


class Changes:
    """Rings the bells of those whom a change concerns. Used from one event loop."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._bells: defaultdict[str, list[Bell]] = defaultdict(list)

    def bell(self, *subjects: Subject) -> Bell:
        """A new bell, for whatever happens to these."""
        bell = Bell()
        for subject in subjects:
            self._bells[subject].append(bell)
        return bell

    async def follow(self) -> None:
        """Until cancelled. Where something may have been missed, all bells are rung."""
        while True:
            try:
                await self._listen()
            except (psycopg.Error, OSError) as error:
                logger.warning("the connection on which changes are told of was lost: %s", error)
            await asyncio.sleep(_RECONNECT_DELAY)

    async def _listen(self) -> None:
        async with await psycopg.AsyncConnection.connect(self._dsn, autocommit=True) as connection:
            # For what is told while a statement is executed.
            connection.add_notify_handler(lambda notice: self._tell(notice.payload))
            await connection.execute(_sql.listen)
            for bell in {bell for bells in self._bells.values() for bell in bells}:
                bell.ring_for_all()
            while True:
                async with contextlib.aclosing(heard(connection, _QUIET)) as notices:
                    async for payload in notices:
                        self._tell(payload.decode())
                await connection.execute(_sql.ask)

    def _tell(self, payload: str) -> None:
        subject, *instance_ids = payload.split(" ")
        for bell in self._bells[subject]:
            bell.ring(instance_ids)
