"""What may run in which instance status: one table, drawn into the docs from here.

Source: operations.md 17. An operation that already runs is not a matter of status: it holds the instance's
lock, and a second one is refused with INSTANCE_BUSY before this table is asked.
"""

from enum import StrEnum

from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance import InstanceStatus as Status


class Action(StrEnum):
    """Something a caller, or the operator, may ask of an existing instance."""

    RESTART = "restart"
    DELETE = "delete"
    RESET_PASSWORD = "reset password"  # noqa: S105
    ENLARGE_VOLUME = "enlarge volume"
    RESIZE_FLAVOR = "resize flavor"
    SINGLE_TO_HA = "single to HA"
    SWITCHOVER = "switchover"
    CHANGE_REPLICATION_MODE = "change replication mode"
    CREATE_REPLICA = "create replica"
    REBUILD_STANDBY = "rebuild standby"
    CHANGE_PORT = "change port"
    CHANGE_ADDRESS = "change address"
    CHANGE_DNS_NAME = "change DNS name"
    CHANGE_SECURITY_GROUP = "change security group"
    SWITCH_SSL = "switch SSL"
    SET_READ_ONLY = "set read-only"
    CHANGE_PARAMETERS = "change parameters"
    CHANGE_PUBLIC_ADDRESS = "change public address"
    CHANGE_REMOTE_CONNECTION = "change remote connection"
    BACK_UP = "back up"
    RESTORE_ONTO = "restore onto"
    RESTORE_TABLES = "restore tables"
    CHANGE_ACCOUNTS = "change accounts"
    UPGRADE = "upgrade"
    STOP = "stop"
    START = "start"
    FREEZE = "freeze"
    UNFREEZE = "unfreeze"


_AT_REST = frozenset({Status.ACTIVE})

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
    Action.ENLARGE_VOLUME: frozenset({Status.ACTIVE, Status.STORAGE_FULL}),
    Action.RESIZE_FLAVOR: _AT_REST,
    Action.SINGLE_TO_HA: _AT_REST,
    Action.SWITCHOVER: frozenset({Status.ACTIVE, Status.BACKING_UP}),
    Action.CHANGE_REPLICATION_MODE: _AT_REST,
    Action.CREATE_REPLICA: _AT_REST,
    Action.REBUILD_STANDBY: _AT_REST,
    Action.CHANGE_PORT: _AT_REST,
    Action.CHANGE_ADDRESS: _AT_REST,
    Action.CHANGE_DNS_NAME: frozenset({Status.ACTIVE, Status.BACKING_UP, Status.STORAGE_FULL}),
    Action.CHANGE_SECURITY_GROUP: frozenset({Status.ACTIVE, Status.BACKING_UP, Status.STORAGE_FULL}),
    Action.SWITCH_SSL: _AT_REST,
    Action.SET_READ_ONLY: frozenset({Status.ACTIVE, Status.STORAGE_FULL}),
    Action.CHANGE_PARAMETERS: _AT_REST,
    Action.CHANGE_PUBLIC_ADDRESS: frozenset({Status.ACTIVE, Status.BACKING_UP}),
    Action.CHANGE_REMOTE_CONNECTION: frozenset({Status.ACTIVE, Status.BACKING_UP}),
    Action.BACK_UP: _AT_REST,
    Action.RESTORE_ONTO: frozenset({Status.ACTIVE, Status.FAILED}),
    Action.RESTORE_TABLES: _AT_REST,
    Action.CHANGE_ACCOUNTS: frozenset({Status.ACTIVE, Status.BACKING_UP}),
    Action.UPGRADE: _AT_REST,
    Action.STOP: _AT_REST,
    Action.START: frozenset({Status.SHUTDOWN}),
    Action.FREEZE: frozenset({Status.ACTIVE, Status.STORAGE_FULL, Status.FAILED, Status.SHUTDOWN}),
    Action.UNFREEZE: frozenset({Status.FROZEN}),
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
        f"The instance is {status}; `{action}` can be done in: {allowed}.",
    )
