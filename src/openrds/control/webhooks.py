"""Delivers events to webhooks: docs/decisions/0053 says how.

What is to be delivered is in the store, and so is what became of it. Whoever dies in between has delivered at most once
too often.
"""

import asyncio
import datetime as dt
import logging
import random
import time
from collections import Counter
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import psycopg

from openrds import __version__
from openrds.control.rounds import Bell
from openrds.domain import webhooks as rules
from openrds.hosts.outgoing import Outcome, Outgoing
from openrds.store.database import Row, Session
from openrds.store.queries import Queries

logger = logging.getLogger(__name__)

_sql = Queries("webhooks")

#: How many deliveries are under way at a time: to one webhook, to one whose last failed, to those of a project, in all.
_OF_WEBHOOK = 4
_OF_FAILING = 1
_OF_PROJECT = 10
_IN_ALL = 100
#: Seconds after which is looked though nothing was heard.
_AT_LEAST = 60.0
#: Seconds after which is tried again what did not work with the store.
_AFTER_FAILURE = 2.0
_GONE = 410


class _Busy(NamedTuple):
    webhook_id: str
    project_id: str


class Deliverer:
    """Used from one event loop. The bell is rung when something is to be delivered."""

    def __init__(self, dsn: str, outgoing: Outgoing, bell: Bell) -> None:
        self._session = Session(dsn)
        self._one_statement = asyncio.Lock()
        self._outgoing = outgoing
        self._bell = bell
        self._busy: dict[UUID, _Busy] = {}
        self._running: set[asyncio.Task[None]] = set()
        # Which webhooks something was delivered to since they were last tidied, and when that was.
        self._touched: set[str] = set()
        self._tidied = time.monotonic()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                seconds = await self._begin_due()
                await self._tidy()
            except psycopg.OperationalError as error:
                logger.warning("webhooks wait, the store does not answer: %s", error)
                seconds = _AFTER_FAILURE
            except Exception:
                logger.exception("a look for what is to be delivered failed")
                seconds = _AFTER_FAILURE
            await self._bell.wait(seconds)

    async def _begin_due(self) -> float:
        """In how many seconds there may be more to do."""
        # Asked first: what becomes due in between is found now, or after no time.
        later = await self._rows(_sql.next_due)
        found = await self._due()
        while found:
            for row in found:
                if self._has_room(row):
                    self._begin(row)
            # There may be others behind those for which there was no room.
            found = await self._due() if len(found) == _IN_ALL else []
        return min(max(later[0]["seconds"], 0.0), _AT_LEAST) if later else _AT_LEAST

    async def _due(self) -> list[Row]:
        """What is due, of those that there is room for; so there is for the first of them."""
        if len(self._busy) >= _IN_ALL:
            return []
        webhooks, projects = self._counts()
        return await self._rows(
            _sql.due,
            busy=list(self._busy),
            busy_webhooks=list(webhooks),
            full_webhooks=[one for one, number in webhooks.items() if number >= _OF_WEBHOOK],
            full_projects=[one for one, number in projects.items() if number >= _OF_PROJECT],
            each=_OF_WEBHOOK,
            most=_IN_ALL,
        )

    def _has_room(self, row: Row) -> bool:
        webhooks, projects = self._counts()
        most = _OF_FAILING if row["failing"] else _OF_WEBHOOK
        return (
            webhooks[row["webhook_id"]] < most
            and projects[row["project_id"]] < _OF_PROJECT
            and len(self._busy) < _IN_ALL
        )

    def _counts(self) -> tuple[Counter[str], Counter[str]]:
        """How many deliveries are under way, of each webhook and of each project."""
        busy = self._busy.values()
        return Counter(one.webhook_id for one in busy), Counter(one.project_id for one in busy)

    def _begin(self, row: Row) -> None:
        self._busy[row["id"]] = _Busy(row["webhook_id"], row["project_id"])
        task = asyncio.ensure_future(self._deliver(row))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _deliver(self, row: Row) -> None:
        try:
            begun = dt.datetime.now(dt.UTC)
            await self._record(row, begun, await self._post(row, begun))
        except psycopg.OperationalError as error:
            logger.warning("what became of delivery %s is not recorded, it comes again: %s", row["id"], error)
            await asyncio.sleep(_AFTER_FAILURE)
        except Exception:
            logger.exception("delivery %s is not recorded", row["id"])
            await asyncio.sleep(_AFTER_FAILURE)
        finally:
            self._touched.add(row["webhook_id"])
            del self._busy[row["id"]]
            # There is room for another one.
            self._bell.ring(())

    async def _post(self, row: Row, begun: dt.datetime) -> Outcome:
        body = msgspec.json.encode(
            {"type": row["type"], "timestamp": row["at"].astimezone(dt.UTC), "data": row["data"]}
        )
        message_id, timestamp = f"msg_{row['id'].hex}", int(begun.timestamp())
        headers = {
            "content-type": "application/json",
            "user-agent": f"openrds/{__version__}",
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": rules.signature(row["secret"], message_id, timestamp, body),
        }
        try:
            return await self._outgoing.post(row["url"], headers, body)
        except Exception:
            # It is tried again as any other, and not at once.
            logger.exception("delivery %s could not be sent", row["id"])
            return Outcome(None, 0.0, "openrds failed to send it.")

    async def _record(self, row: Row, begun: dt.datetime, outcome: Outcome) -> None:
        delivered = outcome.status is not None and outcome.status // 100 == 2
        attempts = row["attempts"] + 1
        await self._rows(
            _sql.record,
            id=row["id"],
            webhook_id=row["webhook_id"],
            delivered=delivered,
            attempts=attempts,
            retry_in=None if delivered else _retry_in(attempts),
            attempted_at=begun,
            http_status=outcome.status,
            duration_ms=round(outcome.seconds * 1000),
            error="" if delivered else _error(outcome),
        )
        if not delivered:
            await self._perhaps_disable(row["webhook_id"], outcome)

    async def _perhaps_disable(self, webhook_id: str, outcome: Outcome) -> None:
        gone = outcome.status == _GONE
        why = (
            "The receiver answered 410, which says that it is gone for good."
            if gone
            else f"No delivery succeeded for {rules.PATIENCE.days} days. The last time: {_error(outcome)}"
        )
        disabled = await self._rows(
            _sql.disable, id=webhook_id, gone=gone, patience=rules.PATIENCE, reason=why
        )
        if disabled:
            logger.warning("webhook %s is disabled: %s", webhook_id, why)
            await self._rows(_sql.end_deliveries, webhook_id=webhook_id)

    async def _tidy(self) -> None:
        """Hold what is kept of each webhook within its bounds, now and then."""
        if not self._touched or time.monotonic() - self._tidied < _AT_LEAST:
            return
        touched, self._touched, self._tidied = self._touched, set(), time.monotonic()
        for webhook_id in touched:
            await self._rows(
                _sql.give_up,
                webhook_id=webhook_id,
                kept=rules.MOST_WAITING,
                error=f"More than {rules.MOST_WAITING} newer ones waited.",
            )
            await self._rows(_sql.forget_ended, webhook_id=webhook_id, kept=rules.MOST_ENDED)

    async def _rows(self, statement: bytes, **parameters: Any) -> list[Row]:
        async with self._one_statement:
            return await self._session.rows(statement, parameters)


def _retry_in(attempts: int) -> float | None:
    """Seconds; None where it is given up."""
    if attempts > len(rules.INTERVALS):
        return None
    return rules.INTERVALS[attempts - 1] * (1 + random.uniform(0, rules.JITTER))  # noqa: S311


def _error(outcome: Outcome) -> str:
    if outcome.status is None:
        return outcome.error
    more = " Redirects are not followed." if outcome.status // 100 == 3 else ""
    return f"The receiver answered {outcome.status}.{more}"
