"""What is deleted with the recycle bin on comes back with all that was acknowledged, and goes when its time is over."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from openrds.domain.engine import EngineName
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance import InstanceStatus
from openrds.operations.backups import back_up, remove_backup
from openrds.operations.instances import delete_instance, recycle_policy
from openrds.operations.intake.intake import Intake
from openrds.operations.registry import OPERATIONS
from openrds.operations.rounds.backup_schedule import look_after_backups, remove_deleted, tidy_backups
from openrds.store.database import Row
from openrds.tasks.operation import StepContext, StepFailed
from support.dialects import DIALECTS
from support.engines import needs_engine
from support.scenarios import (
    active_instance,
    backed_up_instance,
    check_ha,
    check_recycled,
    check_written,
    ha_instance,
    recycled_backup,
    run_backup,
    set_recycle_days,
    stopped_instance,
    submit_recycle,
    write_down,
)
from support.workbench import Workbench


@pytest.fixture(autouse=True)
def empty(workbench: Workbench) -> Iterator[None]:
    yield
    workbench.submit(lambda intake: set_recycle_days(intake, 0))
    for one in workbench.instances():
        workbench.run(workbench.submit(lambda intake, id_=one.id: delete_instance.submit(intake, id_)))
    workbench.store.rows(b"update backup set status = 'DELETING'")
    remove_deleted(workbench.resources)
    assert not backups(workbench)


def backups(bench: Workbench) -> list[Row]:
    return bench.store.rows(b"select * from backup order by begin_time")


def recycle(bench: Workbench, instance_id: str) -> str:
    """Delete it into the bin; the id of its last backup."""
    task = bench.run(bench.submit(lambda intake: submit_recycle(intake, instance_id, bench)))
    assert task["status"] == "Completed", task["fail_reason"]
    return recycled_backup(bench, instance_id)


@pytest.mark.parametrize(
    ("asked", "days"), [("1", 1), ("7", 7), (3, 3), ("", 7), (None, 7), ("0", None), (0, None)]
)
def test_a_policy_is_so_many_days(workbench: Workbench, asked: str | int | None, days: int | None) -> None:
    wanted = recycle_policy.RecyclePolicy(asked)
    workbench.submit(lambda intake: recycle_policy.set_recycle_policy(intake, wanted))
    found = workbench.store.rows(b"select recycle_days from project where id = %s", [workbench.project_id])
    assert found == [{"recycle_days": days}]


@pytest.mark.parametrize("asked", ["8", "-1", "1.5", "seven", "\u0667", "07", 8, -1, 10**30])
def test_what_is_no_number_of_days_is_refused(workbench: Workbench, asked: str | int) -> None:
    wanted = recycle_policy.RecyclePolicy(asked)
    with pytest.raises(Refusal) as refused:
        workbench.submit(lambda intake: recycle_policy.set_recycle_policy(intake, wanted))
    assert refused.value.error is ErrorCode.PARAMETER


def test_automatic_backups_stay_with_the_last_one_and_go_with_it(workbench: Workbench) -> None:
    instance_id = active_instance(workbench)
    write_down(workbench, instance_id)
    manual = run_backup(workbench, instance_id)
    workbench.store.rows(b"update backup set type = 'auto' where id = %s", [manual])
    kept = run_backup(workbench, instance_id)
    last = recycle(workbench, instance_id)
    assert {row["id"] for row in backups(workbench)} == {manual, kept, last}
    assert not workbench.resources.host.backups.archive(instance_id).exists()
    check_recycled(workbench, instance_id)
    # A day before its end nothing goes, a moment behind it all but what a caller made by hand.
    for passed, left in (("2 days", {manual, kept, last}), ("1 day 1 second", {kept})):
        workbench.store.rows(b"update backup set retained_until = retained_until - %s::interval", [passed])
        look_after_backups(workbench.resources, workbench.queue)
        assert {row["id"] for row in backups(workbench) if row["instance_id"] == instance_id} == left
    assert not workbench.resources.host.backups.backup(instance_id, last).exists()


def test_what_is_in_the_bin_is_removed_by_its_last_backup_alone(workbench: Workbench) -> None:
    instance_id = active_instance(workbench)
    older = run_backup(workbench, instance_id)
    workbench.store.rows(b"update backup set type = 'auto' where id = %s", [older])
    last = recycle(workbench, instance_id)
    with pytest.raises(Refusal):
        workbench.submit(lambda intake: remove_backup.delete(intake, older))
    workbench.submit(lambda intake: remove_backup.delete(intake, last))
    assert remove_deleted(workbench.resources)
    assert not backups(workbench)
    assert not workbench.resources.host.backups.home(instance_id).exists()


def test_one_that_is_stopped_skips_the_bin(workbench: Workbench) -> None:
    instance_id = stopped_instance(workbench)
    task = workbench.run(workbench.submit(lambda intake: submit_recycle(intake, instance_id, workbench)))
    assert (task["status"], task["operation"]) == ("Completed", "delete_instance")
    assert not backups(workbench)


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"backup_quota": 0}, ErrorCode.QUOTA), ({"min_free_mb": 2**40}, ErrorCode.STORAGE_SOLD_OUT)],
)
def test_without_room_for_the_last_backup_nothing_is_deleted(
    workbench: Workbench, changes: dict[str, Any], code: ErrorCode
) -> None:
    instance_id = active_instance(workbench)
    settings = replace(workbench.resources.settings, **changes)

    def submit(intake: Intake) -> object:
        return submit_recycle(replace(intake, settings=settings), instance_id, workbench)

    with pytest.raises(Refusal) as refused:
        workbench.submit(submit)
    assert refused.value.error is code
    instance = workbench.instance(instance_id)
    assert instance is not None and instance.status is InstanceStatus.ACTIVE
    assert not backups(workbench)


def test_what_is_in_the_bin_counts_until_it_is_gone(workbench: Workbench) -> None:
    last = recycle(workbench, active_instance(workbench))
    instance_id = active_instance(workbench)
    settings = replace(workbench.resources.settings, backup_quota=1)

    def submit(intake: Intake) -> UUID:
        return submit_recycle(replace(intake, settings=settings), instance_id, workbench)

    with pytest.raises(Refusal, match="1 of 1 backups, by hand and in the recycle bin"):
        workbench.submit(submit)
    workbench.submit(lambda intake: remove_backup.delete(intake, last))
    assert workbench.run(workbench.submit(submit))["status"] == "Completed"


def test_the_last_backup_is_not_stopped_as_one_by_hand_is(workbench: Workbench) -> None:
    instance_id = active_instance(workbench)
    task_id = workbench.submit(lambda intake: submit_recycle(intake, instance_id, workbench))
    with pytest.raises(Refusal) as refused:
        workbench.submit(lambda intake: back_up.stop(intake, instance_id))
    assert refused.value.error is ErrorCode.STATUS_FORBIDS
    assert workbench.run(task_id)["status"] == "Completed"


def test_what_has_lost_its_data_before_its_deletion_failed_is_in_the_bin(workbench: Workbench) -> None:
    """It stays listed as FAILED, and is deleted once more without losing what is kept."""
    instance_id = backed_up_instance(workbench)
    one = OPERATIONS["recycle_instance"]
    steps = tuple(replace(step, do=fail) if step.name == "release address" else step for step in one.steps)
    task_id = workbench.submit(lambda intake: submit_recycle(intake, instance_id, workbench))
    task = workbench.run(task_id, {**OPERATIONS, one.key: replace(one, steps=steps)})
    assert task["status"] == "Failed"
    left = workbench.instance(instance_id)
    assert left is not None and left.status is InstanceStatus.FAILED
    last = recycled_backup(workbench, instance_id)
    workbench.store.rows(b"update instance set backup_keep_days = 0 where id = %s", [instance_id])
    tidy_backups(workbench.resources)
    again = workbench.run(workbench.submit(lambda intake: delete_instance.submit(intake, instance_id)))
    assert (again["status"], again["operation"]) == ("Completed", "delete_instance")
    assert recycled_backup(workbench, instance_id) == last
    check_recycled(workbench, instance_id)


@pytest.mark.parametrize("engine", [pytest.param(one, marks=needs_engine(one)) for one in DIALECTS])
def test_a_pair_comes_back_too_and_is_whole_where_its_deletion_fails(
    workbench: Workbench, engine: EngineName
) -> None:
    bench = workbench.speaking(DIALECTS[engine])
    instance_id = ha_instance(bench)
    write_down(bench, instance_id)
    one = OPERATIONS["recycle_instance"]
    steps = tuple(replace(step, do=fail) if step.name == "stop server" else step for step in one.steps)
    task_id = bench.submit(lambda intake: submit_recycle(intake, instance_id, bench))
    assert bench.run(task_id, {**OPERATIONS, one.key: replace(one, steps=steps)})["status"] == "Failed"
    check_ha(bench, instance_id)
    check_written(bench, instance_id)
    assert remove_deleted(bench.resources)
    assert not backups(bench)

    recycle(bench, instance_id)
    check_recycled(bench, instance_id)


def fail(_context: StepContext[Any, Any]) -> None:
    raise StepFailed("on purpose")
