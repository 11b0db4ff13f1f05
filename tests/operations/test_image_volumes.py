"""What is different for the steps of an operation where volumes are images: nothing may leave a mount or a device."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from test_proofs import Body, changed, fail_after, fail_before, prove_unwinding, twice

from openrds.hosts.mounts import mounted_at, mounts
from openrds.operations.registry import OPERATIONS
from support.means import needs_images
from support.prepared import Prepared
from support.scenarios import SCENARIOS, active_instance
from support.workbench import Workbench, running_workbench

pytestmark = needs_images

#: The steps that make, grow or remove a volume, and those after them, which make their undos run.
TOUCHING = [
    ("create_instance", "create volume"),
    ("create_instance", "initialise data"),
    ("create_instance", "check endpoint"),
    ("delete_instance", "remove volume"),
    ("enlarge_volume", "grow volume"),
    ("enlarge_volume", "allow writes"),
]


@pytest.fixture(scope="module")
def workbench() -> Iterator[Workbench]:
    with running_workbench(volumes="xfs") as bench:
        root = bench.resources.settings.data_dir
        yield bench
    assert not [mount for mount in mounts() if root in mount.point.parents]


@pytest.fixture(scope="module")
def prepared(workbench: Workbench) -> Iterator[Prepared]:
    instances = Prepared(workbench)
    yield instances
    instances.clean_up()


def position_of(key: str, name: str) -> int:
    return [step.name for step in OPERATIONS[key].steps].index(name)


@pytest.mark.parametrize("fail", [fail_before, fail_after])
@pytest.mark.parametrize(("key", "name"), TOUCHING)
def test_a_failure_leaves_nothing(
    workbench: Workbench, prepared: Prepared, key: str, name: str, fail: Callable[[Body], Body]
) -> None:
    prove_unwinding(workbench, prepared, key, position_of(key, name), fail, twice)


@pytest.mark.parametrize("key", ["create_instance", "enlarge_volume", "restart_instance", "delete_instance"])
def test_each_step_may_run_twice(workbench: Workbench, prepared: Prepared, key: str) -> None:
    scenario = SCENARIOS[key]
    instance_id = prepared.take(workbench, scenario.prepare)
    task_id = workbench.submit(lambda intake: scenario.submit(intake, instance_id, workbench))
    task = workbench.run(task_id, changed(key, lambda step, _: replace(step, do=twice(step.do))))
    assert task["status"] == "Completed", task["fail_reason"]
    scenario.check(workbench, task["instance_id"])
    prepared.clean_up()


def test_an_instance_is_on_a_mount_of_its_own(workbench: Workbench, prepared: Prepared) -> None:
    prepared.clean_up()
    instance_id = active_instance(workbench)
    node = workbench.resources.view.primary(instance_id).id

    assert mounted_at(workbench.resources.host.volumes.path(node)) is not None
    footprint = workbench.footprint()
    assert (footprint.mounts, footprint.images) == ({node}, {f"{node}.xfs"})
    prepared.clean_up()
