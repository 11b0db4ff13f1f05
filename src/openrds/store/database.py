"""Connections to the store: transactions for those who write, an event-loop pool for those who only read."""

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.rows import DictRow, dict_row
from psycopg.types.string import TextLoader
from psycopg_pool import AsyncConnectionPool, ConnectionPool, PoolTimeout

Row = DictRow
Writer = Connection[DictRow]
Parameters = Sequence[Any] | Mapping[str, Any]

#: How long a caller waits for a connection before the store counts as unavailable, in seconds.
CONNECTION_TIMEOUT = 5.0
#: How long the API waits for the store's answer, in seconds: for what it reads, and for a whole change. A store that
#: hangs counts as unavailable too.
ANSWER_TIMEOUT = 10.0
CHANGE_TIMEOUT = 25.0
#: After so many seconds a connection is replaced: its server process keeps all that it ever looked up and planned.
_LIFETIME = 60.0
#: Between two tries to connect to a store that does not answer yet.
_RETRY_SECONDS = 0.05


@asynccontextmanager
async def answered_within(seconds: float) -> AsyncIterator[None]:
    """
    Raises:
        psycopg.OperationalError: what is waited for in the block has not come.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise psycopg.OperationalError(f"it has not answered for {seconds:g} s") from None


#: What is being broken off; the event loop itself keeps nothing alive.
_broken_off: set[asyncio.Future[Any]] = set()


async def _apart(answer: Coroutine[Any, Any, list[Row]]) -> list[Row]:
    """Wait for a statement, but not for its being broken off: where the server hangs that takes 10 s more."""
    task = asyncio.ensure_future(answer)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.cancel()
        _broken_off.add(task)
        task.add_done_callback(_forget)
        raise


def _forget(task: asyncio.Future[Any]) -> None:
    _broken_off.discard(task)
    if not task.cancelled():
        task.exception()  # nobody is interested in it


def _configure(connection: psycopg.BaseConnection[Any]) -> None:
    """Addresses are text for us: the driver would make objects of them, which takes longer than all else in a row."""
    connection.adapters.register_loader("inet", TextLoader)


async def _configure_async(connection: psycopg.AsyncConnection[Any]) -> None:
    _configure(connection)
    # Else most statements are planned anew each time, for all weeks of tasks, which takes longer than they do.
    await connection.execute("set plan_cache_mode = force_generic_plan")


class Store:
    """Transactions, for code that runs in threads: the API's mutating calls, the worker, the monitor."""

    def __init__(self, dsn: str, *, connections: int) -> None:
        self.dsn = dsn
        self._pool: ConnectionPool[Writer] = ConnectionPool(
            dsn,
            min_size=1,
            max_size=connections,
            kwargs={"row_factory": dict_row},
            connection_class=Connection[DictRow],
            timeout=CONNECTION_TIMEOUT,
            configure=_configure,
            max_lifetime=_LIFETIME,
            # A connection that died with a restart of the store is replaced, never handed out.
            check=ConnectionPool.check_connection,
            open=False,
        )

    def __enter__(self) -> "Store":
        self._pool.open()
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.close()

    @contextmanager
    def transaction(self) -> Iterator[Writer]:
        """One transaction: committed at the end of the block, rolled back by an exception.

        Raises:
            psycopg.OperationalError: the store does not answer (`PoolTimeout` is one).
        """
        with self._pool.connection() as connection:
            yield connection

    def rows(self, statement: bytes, parameters: Parameters = ()) -> list[Row]:
        """The rows of one statement in a transaction of its own; none for a statement that returns none."""
        with self.transaction() as connection:
            cursor = connection.execute(statement, parameters)
            # Empty, and not None, for rows without columns.
            return cursor.fetchall() if cursor.description is not None else []


class Reads:
    """Single statements on the event loop, for the API's queries."""

    def __init__(self, dsn: str, *, connections: int) -> None:
        self._pool: AsyncConnectionPool[psycopg.AsyncConnection[DictRow]] = AsyncConnectionPool(
            dsn,
            # All from the start: one more takes 8 ms of the machine, just when several requests come at once.
            min_size=connections,
            max_size=connections,
            kwargs={"row_factory": dict_row, "autocommit": True, "prepare_threshold": 1},
            connection_class=psycopg.AsyncConnection[DictRow],
            timeout=CONNECTION_TIMEOUT,
            configure=_configure_async,
            max_lifetime=_LIFETIME,
            open=False,
        )

    async def __aenter__(self) -> "Reads":
        await self._pool.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pool.close()

    async def rows(self, statement: bytes, parameters: Parameters = ()) -> list[Row]:
        """All rows of one statement, which is repeated once if its connection turns out to be dead.

        Raises:
            psycopg.OperationalError: the store does not answer.
        """
        async with answered_within(ANSWER_TIMEOUT):
            return await _apart(self._rows_of_living(statement, parameters))

    async def _rows_of_living(self, statement: bytes, parameters: Parameters) -> list[Row]:
        try:
            return await self._rows(statement, parameters)
        except PoolTimeout:
            raise
        except psycopg.OperationalError:
            await self._pool.check()
            return await self._rows(statement, parameters)

    async def row(self, statement: bytes, parameters: Parameters = ()) -> Row | None:
        rows = await self.rows(statement, parameters)
        return rows[0] if rows else None

    async def _rows(self, statement: bytes, parameters: Parameters) -> list[Row]:
        async with self._pool.connection() as connection:
            return await _rows_of(connection, statement, parameters)


class Session:
    """One connection for statements on the event loop, one after the other: what is asked all the time needs no pool.

    It stays while it lives, and is made anew when it turns out to be dead.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: psycopg.AsyncConnection[DictRow] | None = None

    async def __aenter__(self) -> "Session":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def rows(self, statement: bytes, parameters: Parameters = ()) -> list[Row]:
        """All rows of one statement, however long it takes; it is repeated once if the connection is dead.

        Raises:
            psycopg.OperationalError: the store does not answer.
        """
        if self._connection is not None:
            try:
                return await _rows_of(self._connection, statement, parameters)
            except psycopg.OperationalError:
                await self._close()
        self._connection = await _open_session(self._dsn)
        return await _rows_of(self._connection, statement, parameters)

    async def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


async def _rows_of(
    connection: psycopg.AsyncConnection[DictRow], statement: bytes, parameters: Parameters
) -> list[Row]:
    cursor = await connection.execute(statement, parameters)
    return await cursor.fetchall()


async def _open_session(dsn: str) -> psycopg.AsyncConnection[DictRow]:
    """A store that is just being started again is waited for."""
    deadline = time.monotonic() + CONNECTION_TIMEOUT
    while True:
        try:
            connection = await psycopg.AsyncConnection.connect(
                dsn, row_factory=dict_row, autocommit=True, prepare_threshold=1
            )
            await _configure_async(connection)
            return connection
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(_RETRY_SECONDS)
