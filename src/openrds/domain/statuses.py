"""What may run in which instance status: one table, drawn into the docs from here.

Source: operations.md 17. An operation that already runs is not a matter of status: it holds the instance's
lock, and a second one is refused with INSTANCE_BUSY before this table is asked.
"""

from enum import StrEnum

from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance import InstanceStatus as Status


class Action(StrEnum):
    """Something a caller may ask of an existing instance."""

    RESTART = "restart"
    DELETE = "delete"
    RESET_PASSWORD = "reset password"  # noqa: S105


ALLOWED: dict[Action, frozenset[Status]] = {
    Action.RESTART: frozenset({Status.ACTIVE, Status.STORAGE_FULL, Status.FAILED}),
    Action.DELETE: frozenset(
        {
            Status.ACTIVE,
            Status.BACKING_UP,
            Status.STORAGE_FULL,
            Status.SHUTDOWN,
            Status.FROZEN,
            Status.FAILED,
            Status.CREATE_FAIL,
        }
    ),
    Action.RESET_PASSWORD: frozenset({Status.ACTIVE, Status.BACKING_UP, Status.STORAGE_FULL}),
}


def check_allowed(action: Action, status: Status) -> None:
    """Refuse an action that the status does not allow.

    Raises:
        Refusal: FROZEN or STATUS_FORBIDS.
    """
    if status in ALLOWED[action]:
        return
    if status is Status.FROZEN:
        raise Refusal(ErrorCode.FROZEN)
    allowed = ", ".join(sorted(ALLOWED[action]))
    raise Refusal(
        ErrorCode.STATUS_FORBIDS,
        f"The instance is {status}; it can {'be deleted' if action is Action.DELETE else action} in: {allowed}.",
    )
