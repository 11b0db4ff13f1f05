import pytest

from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance import InstanceStatus as Status
from openrds.domain.statuses import ALLOWED, Action, check_allowed

#: operations.md 17, a row for each status and a column for each action that openrds has. `BUILD` to `MODIFYING
#: DATABASE PORT` are held by a task, so that callers get INSTANCE_BUSY before this table is asked.
ROWS = {
    #                                restart  delete  reset password
    Status.ACTIVE: (True, True, True),
    Status.BUILD: (False, False, False),
    Status.BACKING_UP: (False, True, True),
    Status.MODIFYING: (False, False, False),
    Status.REBOOTING: (False, False, False),
    Status.RESTORING: (False, False, False),
    Status.MODIFYING_INSTANCE_TYPE: (False, False, False),
    Status.SWITCHOVER: (False, False, False),
    Status.MIGRATING: (False, False, False),
    Status.MODIFYING_DATABASE_PORT: (False, False, False),
    Status.STORAGE_FULL: (True, True, True),
    Status.SHUTDOWN: (False, True, False),
    Status.FROZEN: (False, True, False),
    Status.FAILED: (True, True, False),
    Status.CREATE_FAIL: (False, True, False),
}
COLUMNS = (Action.RESTART, Action.DELETE, Action.RESET_PASSWORD)


def test_the_table_has_every_action_and_every_status() -> None:
    assert set(ALLOWED) == set(Action) == set(COLUMNS)
    assert set(ROWS) == set(Status)


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("action", Action)
def test_what_may_run_in_which_status(action: Action, status: Status) -> None:
    if ROWS[status][COLUMNS.index(action)]:
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
        Refusal, match=r"The instance is SHUTDOWN; it can restart in: ACTIVE, FAILED, STORAGE FULL\."
    ):
        check_allowed(Action.RESTART, Status.SHUTDOWN)
    with pytest.raises(Refusal, match="it can be deleted in: ACTIVE, BACKING UP, CREATE FAIL"):
        check_allowed(Action.DELETE, Status.BUILD)


def test_an_instance_that_holds_still_can_be_deleted() -> None:
    """No status without a task is a dead end."""
    assert {status for status, row in ROWS.items() if any(row)} <= ALLOWED[Action.DELETE]
