"""Sessions of tokens that were ended before their time: durable in the store, asked for in memory."""

import asyncio
import datetime as dt
from collections import Counter

from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.identity import Token
from openrds.store.database import Store
from openrds.store.queries import Queries

_sql = Queries("identities")

#: The most sessions of one user that are remembered as revoked, of those that have not expired.
_CAPACITY = 10_000


class Revocations:
    """What is revoked, of the one API process there is: who asks need not ask the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._sessions: dict[str, tuple[str, dt.datetime]] = {}

    def __contains__(self, session: object) -> bool:
        return session in self._sessions

    def load(self) -> None:
        """Learn what was revoked before this process began."""
        for row in self._store.rows(_sql.revoked_sessions):
            self._sessions[row["session"]] = (row["user_id"], row["expires_at"])

    async def revoke(self, token: Token, now: dt.datetime) -> None:
        """End a session; when this returns it stays ended, whatever dies.

        Raises:
            Refusal: THROTTLED, when the user has too many revoked ones.
        """
        self._forget_expired(now)
        user_id = token.account.user_id
        if Counter(user for user, _ in self._sessions.values())[user_id] >= _CAPACITY:
            raise Refusal(
                ErrorCode.THROTTLED, "Too many tokens were revoked today; change the password instead."
            )
        values = {"session": token.session, "user_id": user_id, "expires_at": token.expires_at}
        await asyncio.to_thread(self._store.rows, _sql.revoke_session, values)
        self._sessions[token.session] = (user_id, token.expires_at)

    def _forget_expired(self, now: dt.datetime) -> None:
        for session, (_, expires_at) in list(self._sessions.items()):
            if expires_at < now:
                del self._sessions[session]
