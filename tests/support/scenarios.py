"""For each operation: how it comes to be asked for, and what must hold when it has succeeded or failed.

A new operation needs an entry here, and gets the four proofs with it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

import psycopg

from openrds.domain.instance import InstanceStatus
from openrds.operations import create_instance, delete_instance, reset_password, restart_instance
from openrds.operations.intake import Intake
from support.workbench import PASSWORD, Workbench

NEW_PASSWORD = "An0ther-Secret"


@dataclass(frozen=True)
class Scenario:
    """`prepare` gives the instance that the operation runs on, if it needs one; `submit` asks for the operation.

    `gone` says whether the instance is gone after success, `no_way_back` names the first step that cannot be
    undone, `failed_status` is the status after a failure from which everything could be undone.
    """

    prepare: Callable[[Workbench], str | None]
    submit: Callable[[Intake, str | None, Workbench], UUID]
    check: Callable[[Workbench, str], None]
    failed_status: InstanceStatus
    no_way_back: str | None = None


def active_instance(bench: Workbench) -> str:
    _, task_id = bench.submit(lambda intake: create_instance.submit(intake, bench.create_request()))
    assert task_id is not None
    assert bench.run(task_id)["status"] == "Completed"
    return str(bench.task(task_id)["instance_id"])


def instance_of_any_password(bench: Workbench) -> str:
    """Not to be shared: a password that was set before the step failed stays, for the old one is not known."""
    return active_instance(bench)


def nothing(_bench: Workbench) -> None:
    return None


def query(bench: Workbench, instance_id: str, password: str = PASSWORD) -> None:
    instance = bench.resources.instance(instance_id)
    with psycopg.connect(
        host=str(instance["address"]),
        port=instance["port"],
        user="root",
        password=password,
        dbname="postgres",
        connect_timeout=5,
    ) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def check_active(bench: Workbench, instance_id: str) -> None:
    instance = bench.instance(instance_id)
    assert instance is not None
    assert instance["status"] == "ACTIVE"
    query(bench, instance_id)


def check_new_password(bench: Workbench, instance_id: str) -> None:
    query(bench, instance_id, NEW_PASSWORD)


def check_gone(bench: Workbench, instance_id: str) -> None:
    assert bench.instance(instance_id) is None


def submit_create(intake: Intake, _instance_id: str | None, bench: Workbench) -> UUID:
    _, task_id = create_instance.submit(intake, bench.create_request())
    assert task_id is not None
    return task_id


def submit_reset(intake: Intake, instance_id: str | None, _bench: Workbench) -> UUID:
    assert instance_id is not None
    return reset_password.submit(intake, instance_id, reset_password.ResetPassword(NEW_PASSWORD))


def submit_restart(intake: Intake, instance_id: str | None, _bench: Workbench) -> UUID:
    assert instance_id is not None
    return restart_instance.submit(intake, instance_id, restart_instance.Restart())


def submit_with(module: object) -> Callable[[Intake, str | None, Workbench], UUID]:
    return lambda intake, instance_id, _bench: module.submit(intake, instance_id)


SCENARIOS = {
    "create_instance": Scenario(nothing, submit_create, check_active, InstanceStatus.CREATE_FAIL),
    "restart_instance": Scenario(active_instance, submit_restart, check_active, InstanceStatus.ACTIVE),
    "delete_instance": Scenario(
        active_instance,
        submit_with(delete_instance),
        check_gone,
        InstanceStatus.ACTIVE,
        no_way_back="remove volume",
    ),
    "reset_password": Scenario(
        instance_of_any_password, submit_reset, check_new_password, InstanceStatus.ACTIVE
    ),
}
