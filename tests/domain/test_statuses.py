import pytest

from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance import InstanceStatus as Status
from openrds.domain.statuses import ALLOWED, Action, check_allowed

#: operations.md 17: what may run in each status. `BUILD` to `MODIFYING DATABASE PORT` are held by a task: there callers
#: get INSTANCE_BUSY before this table is asked.
MAY_RUN = {
    Status.ACTIVE: set(Action) - {Action.START, Action.UNFREEZE},
    Status.BUILD: set(),
    Status.MODIFYING: set(),
    Status.REBOOTING: set(),
    Status.RESTORING: set(),
    Status.MODIFYING_INSTANCE_TYPE: set(),
    Status.SWITCHOVER: set(),
    Status.MIGRATING: set(),
    Status.MODIFYING_DATABASE_PORT: set(),
    Status.BACKING_UP: {
        Action.DELETE,
        Action.RESET_PASSWORD,
        Action.SWITCHOVER,
        Action.CHANGE_PUBLIC_ADDRESS,
        Action.CHANGE_REMOTE_CONNECTION,
        Action.CHANGE_SECURITY_GROUP,
        Action.CHANGE_DNS_NAME,
        Action.CHANGE_ACCOUNTS,
    },
    Status.STORAGE_FULL: {
        Action.RESTART,
        Action.DELETE,
        Action.RESET_PASSWORD,
        Action.ENLARGE_VOLUME,
        Action.CHANGE_SECURITY_GROUP,
        Action.CHANGE_DNS_NAME,
        Action.SET_READ_ONLY,
        Action.FREEZE,
    },
    Status.SHUTDOWN: {Action.DELETE, Action.START, Action.FREEZE},
    Status.FROZEN: {Action.DELETE, Action.UNFREEZE},
    Status.FAILED: {Action.RESTART, Action.DELETE, Action.RESTORE_ONTO, Action.FREEZE},
    Status.CREATE_FAIL: {Action.DELETE},
}


def test_the_table_has_every_action_and_every_status() -> None:
    assert set(ALLOWED) == set(Action)
    assert set(MAY_RUN) == set(Status)


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("action", Action)
def test_what_may_run_in_which_status(action: Action, status: Status) -> None:
    if action in MAY_RUN[status]:
        check_allowed(action, status)
        return
    with pytest.raises(Refusal) as refused:
        check_allowed(action, status)
    if status is Status.FROZEN:
        assert refused.value.error is ErrorCode.FROZEN
    else:
        assert refused.value.error is ErrorCode.STATUS_FORBIDS
        assert str(refused.value).startswith(f"The instance is {status}; ")


def test_a_refusal_says_in_which_statuses_it_would_run() -> None:
    with pytest.raises(
        Refusal, match=r"The instance is SHUTDOWN; `restart` can be done in: ACTIVE, FAILED, STORAGE FULL\."
    ):
        check_allowed(Action.RESTART, Status.SHUTDOWN)
    with pytest.raises(Refusal, match="`delete` can be done in: ACTIVE, BACKING UP, CREATE FAIL"):
        check_allowed(Action.DELETE, Status.BUILD)


def test_an_instance_that_holds_still_can_be_deleted() -> None:
    """No status without a task is a dead end."""
    assert {status for status, actions in MAY_RUN.items() if actions} <= ALLOWED[Action.DELETE]
