"""Passwords in the form their engine stores them: the clear text goes no further than the call that brought it."""

from openrds.domain.engine import EngineName
from openrds.engines.postgresql.passwords import scram_verifier

_SEALS = {EngineName.POSTGRESQL: scram_verifier}


def seal_password(engine: EngineName, password: str) -> str:
    """What the engine stores instead of the password. An empty password stays empty: the account has none."""
    return _SEALS[engine](password) if password else ""
