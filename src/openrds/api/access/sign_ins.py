"""Passwords are checked here: one at a time, for callers that do not ask too much and guess too often.

Hashing a password costs some 50 ms of a core on purpose. It has a thread of its own, below all others, so that no
request waits for the passwords of strangers.
"""

import asyncio
import os
import threading
from collections import Counter
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

from openrds.api.access.authentication import Clock, unauthenticated, utc_now
from openrds.api.access.lockout import Lockout
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.identity import verify_password

#: How many may wait for the thread, in all and of one address: no longer than some seconds.
_WAITING = 48
_WAITING_OF_ADDRESS = 16
#: Wrong passwords in a row from one address, whoever was named. Of one user there are fewer.
_FAILURES_OF_ADDRESS = 30
_NICENESS = 10
#: How much of a name is remembered, which may be of any length.
_NAME_LENGTH = 64


class SignIns:
    """Used from the event loop only."""

    def __init__(self, clock: Clock = utc_now) -> None:
        self._clock = clock
        self._of_user = Lockout()
        self._of_address = Lockout(_FAILURES_OF_ADDRESS)
        self._waiting: Counter[str] = Counter()
        self._hashing = ThreadPoolExecutor(1, "hashing", initializer=_step_back)

    async def check(self, user: str, address: str, password: str, hashes: Collection[str]) -> set[str]:
        """Those of the hashes that are the password's.

        Raises:
            Refusal: THROTTLED, when too many wait or the address has guessed too often; UNAUTHENTICATED if there is
                none.
        """
        user = user[:_NAME_LENGTH]
        self._refuse_guesser(user, address)
        if self._waiting.total() >= _WAITING or self._waiting[address] >= _WAITING_OF_ADDRESS:
            raise Refusal(ErrorCode.THROTTLED, "Too many sign-ins at once; try again later.")
        self._waiting[address] += 1
        try:
            loop = asyncio.get_running_loop()
            found = {
                one
                for one in hashes
                if await loop.run_in_executor(self._hashing, verify_password, password, one)
            }
        finally:
            self._waiting[address] -= 1
            self._waiting += Counter()  # without those that have none left
        self._note(user, address, succeeded=bool(found))
        return found

    def _refuse_guesser(self, user: str, address: str) -> None:
        now = self._clock()
        if self._of_user.is_locked((user, address), now) or self._of_address.is_locked(address, now):
            raise Refusal(ErrorCode.THROTTLED, "Too many wrong passwords; try again in some minutes.")

    def _note(self, user: str, address: str, *, succeeded: bool) -> None:
        if succeeded:
            self._of_user.succeeded((user, address))
            return
        now = self._clock()
        self._of_user.failed((user, address), now)
        self._of_address.failed(address, now)
        raise unauthenticated("The username or password is wrong.")


def _step_back() -> None:
    """Let every other thread go first; on Linux a thread has a niceness of its own."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
