"""Ask the server of an instance what a tenant has in it, without a task."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance_values import Instance, Node
from openrds.engines.protocol import (
    Accounts,
    AccountTaken,
    DatabaseTaken,
    Engine,
    EngineError,
    NameTaken,
    NodeSpec,
    NoSuchAccount,
    NoSuchDatabase,
    NotThere,
    Unfit,
)
from openrds.operations.intake.sight import Sight

T = TypeVar("T")

_CODES: Sequence[tuple[type[EngineError], ErrorCode]] = (
    (DatabaseTaken, ErrorCode.DATABASE_EXISTS),
    (AccountTaken, ErrorCode.ACCOUNT_EXISTS),
    (NoSuchDatabase, ErrorCode.DATABASE_NOT_FOUND),
    (NoSuchAccount, ErrorCode.ACCOUNT_NOT_FOUND),
    (NameTaken, ErrorCode.PARAMETER),
    (NotThere, ErrorCode.PARAMETER),
    (Unfit, ErrorCode.PARAMETER),
)


def ask(
    sight: Sight | None,
    instance: Instance,
    nodes: Sequence[Node],
    question: Callable[[Accounts, NodeSpec], T],
) -> T:
    """What the server of an instance's primary, or of a read replica, answers.

    Raises:
        Refusal: DATABASE_NOT_FOUND or ACCOUNT_NOT_FOUND; STATUS_FORBIDS_ACCOUNTS, when it does not answer.
    """
    seen = within_sight(sight, instance, nodes) if sight else None
    if seen is None:
        raise Refusal(
            ErrorCode.STATUS_FORBIDS_ACCOUNTS,
            f"The instance is {instance.status}; its server cannot be asked.",
        )
    engine, node = seen
    try:
        return question(engine.accounts, node)
    except EngineError as error:
        raise refused(error, instance) from None


def within_sight(sight: Sight, instance: Instance, nodes: Sequence[Node]) -> tuple[Engine, NodeSpec] | None:
    """The node that serves the clients, the first, with its engine; None where it is elsewhere, or there is none."""
    node = sight.find(instance, nodes[0]) if nodes else None
    return None if node is None else (sight.engines[node.engine], node)


def refused(error: EngineError, instance: Instance) -> Refusal:
    """What an engine says, as the API does."""
    for kind, code in _CODES:
        if isinstance(error, kind):
            return Refusal(code, _sentence(error))
    return Refusal(
        ErrorCode.STATUS_FORBIDS_ACCOUNTS,
        f"The instance is {instance.status}, and its server does not answer as it should: {error}.",
    )


def _sentence(error: Exception) -> str:
    text = str(error)
    return f"{text[0].upper()}{text[1:]}."
