"""Before a backup: how much it will take, beside what the project may have and what the disk has left."""

import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from openrds.domain.errors import ErrorCode, Refusal
from openrds.operations.backups import back_up
from openrds.operations.intake.intake import Intake
from openrds.operations.rounds.roster import Roster
from openrds.operations.rounds.volume_watch import VolumeWatch
from support.scenarios import active_instance
from support.workbench import Workbench


@pytest.fixture(scope="module")
def instance_id(workbench: Workbench) -> str:
    """An instance whose volume was measured."""
    id_ = active_instance(workbench)
    VolumeWatch(workbench.resources, Roster(workbench.resources)).look_after_volumes()
    assert used_bytes(workbench, id_) > 2**20
    return id_


def used_bytes(bench: Workbench, instance_id: str) -> int:
    return bench.resources.view.primary(instance_id).used_bytes or 0


def submit(bench: Workbench, work: Callable[[Intake], Any], **changes: Any) -> Any:
    """By a caller, with other settings."""
    settings = replace(bench.resources.settings, **changes)
    with bench.store.transaction() as connection:
        return work(Intake(connection, bench.queue, settings, bench.project_id, by_caller=True))


def request(instance_id: str, name: str) -> Callable[[Intake], Any]:
    return lambda intake: back_up.submit(intake, back_up.CreateBackup(instance_id, name))


def test_the_bytes_of_manual_backups_are_bounded(workbench: Workbench, instance_id: str) -> None:
    with pytest.raises(Refusal, match=r"take 0\.0 of 0 GB") as caught:
        submit(workbench, request(instance_id, "too-large"), backup_gb_quota=0)
    assert caught.value.error is ErrorCode.QUOTA
    assert workbench.store.rows(b"select from backup") == []


def test_a_disk_without_room_is_found_before_the_backup(workbench: Workbench, instance_id: str) -> None:
    """Also before one that comes by itself."""
    used = used_bytes(workbench, instance_id)
    free_mb = shutil.disk_usage(workbench.resources.settings.data_dir).free // 2**20
    # Not without the data: others use the disk too.
    assert used // 2**20 > 20
    for work in (
        request(instance_id, "no-room"),
        lambda intake: back_up.submit_automatic(
            intake, instance_id, workbench.resources.view.instance(instance_id).created_at
        ),
    ):
        with pytest.raises(Refusal, match="MB left, and the backup needs") as caught:
            submit(workbench, work, min_free_mb=free_mb)
        assert caught.value.error is ErrorCode.STORAGE_SOLD_OUT
    assert workbench.store.rows(b"select from backup") == []
    assert workbench.resources.view.instance(instance_id).status == "ACTIVE"


def test_of_two_calls_at_once_one_takes_the_last_place(workbench: Workbench, instance_id: str) -> None:
    second_id = active_instance(workbench)
    outcomes: list[Any] = []

    def ask(id_: str, name: str) -> None:
        try:
            outcomes.append(submit(workbench, request(id_, name), backup_quota=1)[1])
        except Refusal as refusal:
            outcomes.append(refusal.error)

    threads = [
        threading.Thread(target=ask, args=[id_, f"at-once-{number}"])
        for number, id_ in enumerate((instance_id, second_id))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (task_id,) = [outcome for outcome in outcomes if outcome is not ErrorCode.QUOTA]
    assert len(outcomes) == 2
    assert workbench.run(task_id)["status"] == "Completed"
