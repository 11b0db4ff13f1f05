"""Automatic backups as policies ask for them, and what is let go of, on a real instance."""

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from openrds.engines.postgresql.programs import Programs
from openrds.hosts import processes
from openrds.operations.backups import back_up
from openrds.operations.instances import delete_instance
from openrds.operations.rounds.backup_schedule import (
    Candidate,
    backup_is_due,
    look_after_backups,
    stop_unwanted,
    tidy_backups,
)
from openrds.store.database import Row
from support.instances import NOW, an_instance
from support.scenarios import active_instance, run_backup
from support.service import wait_for
from support.workbench import Workbench


@pytest.fixture
def instance_id(workbench: Workbench) -> Iterator[str]:
    created = active_instance(workbench)
    yield created
    task = workbench.run(workbench.submit(lambda intake: delete_instance.submit(intake, created)))
    assert task["status"] == "Completed"


def backups(bench: Workbench, instance_id: str) -> list[Row]:
    return bench.store.rows(b"select * from backup where instance_id = %s order by begin_time", [instance_id])


def change(bench: Workbench, statement: str, *parameters: Any) -> None:
    bench.store.rows(statement.encode(), parameters)


def set_keep_days(bench: Workbench, instance_id: str, days: int) -> None:
    change(bench, "update instance set backup_keep_days = %s where id = %s", days, instance_id)


def grow_old(bench: Workbench, backup_id: str, days: int) -> None:
    change(
        bench,
        "update backup set begin_time = begin_time - %s, end_time = end_time - %s where id = %s",
        dt.timedelta(days=days),
        dt.timedelta(days=days),
        backup_id,
    )


def let_rest(bench: Workbench, instance_id: str) -> None:
    """As if it had been made and changed for the last time a day ago."""
    for column in ("created_at", "updated_at"):
        change(bench, f"update instance set {column} = now() - interval '1 day' where id = %s", instance_id)


def run_automatic(bench: Workbench, instance_id: str) -> str:
    """As if its window were open."""
    let_rest(bench, instance_id)
    look_after_backups(bench.resources, bench.queue)
    (task,) = bench.store.rows(
        b"select id, name from task where instance_id = %s and status = 'Running'", [instance_id]
    )
    assert task["name"] == "BackupPostgresqlInInstance"
    assert bench.run(task["id"])["status"] == "Completed"
    return str(backups(bench, instance_id)[-1]["id"])


def archived(bench: Workbench, instance_id: str) -> set[str]:
    return {path.name for path in bench.resources.host.backups.archive(instance_id).iterdir()}


def folder(bench: Workbench, instance_id: str, backup_id: str) -> Path:
    return bench.resources.host.backups.backup(instance_id, backup_id)


def candidate(last_automatic: dt.datetime | None = None, has_base: bool = False, **changes: Any) -> Candidate:
    instance = an_instance(**{"updated_at": NOW - dt.timedelta(seconds=301), **changes})
    return Candidate(instance, last_automatic, has_base, NOW)


@pytest.mark.parametrize(
    ("changes", "due"),
    [
        ({}, True),
        ({"has_base": True}, False),
        ({"updated_at": NOW - dt.timedelta(seconds=299)}, False),
        ({"last_automatic": NOW - dt.timedelta(minutes=59)}, False),
        ({"last_automatic": NOW - dt.timedelta(minutes=61)}, True),
        ({"has_base": True, "backup_start_time": "11:30-12:30"}, True),
        ({"has_base": True, "backup_start_time": "11:30-12:30", "created_at": NOW}, False),
        ({"backup_start_time": "12:00-13:00", "created_at": NOW - dt.timedelta(seconds=299)}, False),
        ({"backup_start_time": "12:00-13:00", "created_at": NOW - dt.timedelta(seconds=301)}, True),
        (
            {
                "has_base": True,
                "backup_start_time": "12:00-13:00",
                "created_at": NOW - dt.timedelta(seconds=300),
            },
            True,
        ),
    ],
)
def test_the_first_backup_waits_for_rest_and_the_others_for_their_window(
    changes: dict[str, Any], due: bool
) -> None:
    assert backup_is_due(candidate(**changes), first_after=300.0) is due


def test_one_automatic_backup_is_begun_and_no_second(workbench: Workbench, instance_id: str) -> None:
    run_automatic(workbench, instance_id)
    look_after_backups(workbench.resources, workbench.queue)
    (made,) = backups(workbench, instance_id)
    assert (made["type"], made["status"], made["continuous"]) == ("auto", "COMPLETED", True)


def test_a_backup_that_is_stopped_breaks_off(
    workbench: Workbench, instance_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it copies, which takes a quarter of an hour."""
    monkeypatch.setattr(Programs, "run", slowly(Programs.run))
    request = back_up.CreateBackup(instance_id, "not-wanted")
    backup, task_id = workbench.submit(lambda intake: back_up.submit(intake, request))
    with ThreadPoolExecutor(1) as threads:
        task = threads.submit(workbench.run, task_id)
        wait_for(lambda: copying(workbench, instance_id, backup["id"]), what="a program that copies")
        assert workbench.submit(lambda intake: back_up.stop(intake, instance_id)) == task_id
        stop_unwanted(workbench.resources)
        assert (task.result(30)["status"], "was stopped" in task.result()["fail_reason"]) == ("Failed", True)
    assert backups(workbench, instance_id)[0]["status"] == "FAILED"
    assert workbench.resources.host.backups.unfinished(instance_id, backup["id"]) == []
    change(workbench, "delete from backup where id = %s", backup["id"])


def slowly(run: Callable[..., str]) -> Callable[..., str]:
    def slow(programs: Programs, command: Sequence[str | Path], *arguments: Any, **options: Any) -> str:
        copies = Path(command[0]).name == "pg_basebackup"
        return run(programs, [*command, "--max-rate=32k"] if copies else command, *arguments, **options)

    return slow


def copying(bench: Workbench, instance_id: str, backup_id: str) -> list[processes.Process]:
    folders = bench.resources.host.backups.unfinished(instance_id, backup_id)
    return [one for folder in folders for one in processes.working_in(folder, "pg_basebackup")]


def test_what_is_older_than_it_is_kept_goes_once_there_is_a_newer(
    workbench: Workbench, instance_id: str
) -> None:
    old = run_automatic(workbench, instance_id)
    grow_old(workbench, old, 8)
    tidy_backups(workbench.resources)
    assert folder(workbench, instance_id, old).exists(), "it is the only one"

    new = run_backup(workbench, instance_id)
    tidy_backups(workbench.resources)

    assert [one["id"] for one in backups(workbench, instance_id)] == [new]
    assert not folder(workbench, instance_id, old).exists()
    (position,) = (one["log_position"] for one in backups(workbench, instance_id))
    assert all(name[8:24] >= position[8:] for name in archived(workbench, instance_id) if len(name) == 24)
    change(workbench, "delete from backup where id = %s", new)
    workbench.resources.host.backups.remove(instance_id, new)


def test_an_old_manual_backup_stays_and_holds_no_log(workbench: Workbench, instance_id: str) -> None:
    old = run_backup(workbench, instance_id)
    grow_old(workbench, old, 8)
    new = run_backup(workbench, instance_id)
    tidy_backups(workbench.resources)
    assert [(one["id"], one["continuous"]) for one in backups(workbench, instance_id)] == [
        (old, False),
        (new, True),
    ]
    for one in (old, new):
        assert folder(workbench, instance_id, one).exists()
        change(workbench, "update backup set status = 'DELETING' where id = %s", one)
    look_after_backups(workbench.resources, workbench.queue)
    assert backups(workbench, instance_id) == []


def test_without_a_policy_nothing_automatic_is_kept(workbench: Workbench, instance_id: str) -> None:
    made = run_automatic(workbench, instance_id)
    set_keep_days(workbench, instance_id, 0)
    tidy_backups(workbench.resources)
    assert backups(workbench, instance_id) == []
    assert not folder(workbench, instance_id, made).exists()
    let_rest(workbench, instance_id)
    look_after_backups(workbench.resources, workbench.queue)
    assert backups(workbench, instance_id) == []
