"""Parameters with which a server does not start are taken back; what belongs together keeps them."""

from collections.abc import Mapping

import pytest

from openrds.domain.engine import EngineName
from openrds.domain.parameters import Catalogue, Parameter, by_name
from openrds.operations.instances import create_instance, resize_flavor, restart_instance
from openrds.operations.parameters import change_parameters
from openrds.operations.rounds.catalogue_watch import CatalogueWatch
from openrds.store.parameters import EDITION, catalogue_of
from openrds.store.queries import Queries
from support import scenarios
from support.dialects import DIALECTS
from support.engines import needs_engine
from support.scenarios import LARGE, SMALL, in_force
from support.workbench import Workbench

pytestmark = pytest.mark.grouped_by("engine")

_sql = Queries("parameters")

#: What is wrong with these only shows when a server starts: the catalogues of the tests know no better.
FATAL = {
    EngineName.POSTGRESQL: ("huge_pages", "on"),
    EngineName.MARIADB: ("ft_min_word_len", "nonsense"),
    EngineName.MYSQL: ("ft_min_word_len", "nonsense"),
}
#: A parameter that needs a restart, and one that does not.
LATER = {
    EngineName.POSTGRESQL: ("max_pred_locks_per_transaction", "80"),
    EngineName.MARIADB: ("ft_max_word_len", "60"),
    EngineName.MYSQL: ("ft_max_word_len", "60"),
}

engines = pytest.mark.parametrize(
    "engine", [pytest.param(name, marks=needs_engine(name), id=name) for name in DIALECTS]
)


def of_text(*names: str, restart: bool) -> Catalogue:
    return by_name(Parameter(name=name, type="string", value="", restart=restart) for name in names)


@pytest.fixture
def bench(workbench: Workbench, engine: EngineName) -> Workbench:
    return workbench.speaking(DIALECTS[engine])


@pytest.fixture
def instance_id(bench: Workbench) -> str:
    return scenarios.active_instance(bench)


def change(bench: Workbench, instance_id: str, values: Mapping[str, str], catalogue: Catalogue) -> bool:
    accepted = bench.submit(lambda intake: change_parameters.submit(intake, instance_id, values, catalogue))
    scenarios.done(bench, instance_id, accepted.task_id)
    return bool(accepted.restart_required)


def restarted(bench: Workbench, instance_id: str) -> str:
    """The status of the task."""
    task_id = bench.submit(
        lambda intake: restart_instance.submit(intake, instance_id, restart_instance.Restart())
    )
    return str(bench.run(task_id)["status"])


@engines
def test_a_server_that_does_not_start_gets_its_parameters_of_before(
    bench: Workbench, instance_id: str, engine: EngineName
) -> None:
    later, fatal = LATER[engine], FATAL[engine]
    assert change(bench, instance_id, dict([later]), of_text(later[0], restart=True)) is True
    assert restarted(bench, instance_id) == "Completed"
    assert in_force(bench, instance_id, later[0]) == later[1]
    assert change(bench, instance_id, dict([fatal]), of_text(later[0], fatal[0], restart=True)) is True
    task_id = bench.submit(
        lambda intake: restart_instance.submit(intake, instance_id, restart_instance.Restart())
    )
    task = bench.run(task_id)
    assert task["status"] == "Failed"
    assert f"does not start with what was set of {fatal[0]}; that is taken back" in task["fail_reason"]
    instance = bench.resources.view.instance(instance_id)
    assert instance.status == "ACTIVE"
    assert instance.parameters == instance.parameters_in_force == dict([later])
    assert in_force(bench, instance_id, later[0]) == later[1]
    assert restarted(bench, instance_id) == "Completed"


@engines
def test_what_servers_have_is_found_out_and_leaves_nothing(bench: Workbench, engine: EngineName) -> None:
    installation = bench.engine.installations()[-1]
    key = {
        "engine": engine,
        "version": installation.version,
        "complete_version": installation.complete_version,
        "edition": EDITION,
    }
    watch = CatalogueWatch(bench.resources)
    bench.store.rows(_sql.want_catalogue, key)
    watch.look()
    (row,) = bench.store.rows(_sql.catalogue, key)
    catalogue = catalogue_of(row)
    assert len(catalogue) > 100
    assert not list(bench.resources.settings.scratch_dir.iterdir())
    assert not [name for name in catalogue if name.endswith(("_command", "_dir", "_file", "_directory"))]
    watch.look()
    assert bench.store.rows(_sql.catalogue, key) == [row]


@pytest.mark.parametrize("engine", [EngineName.POSTGRESQL])
def test_a_replica_follows_a_primary_that_allows_more(bench: Workbench) -> None:
    """And less again."""
    primary_id = scenarios.active_instance(bench)
    task_id = bench.submit(lambda intake: scenarios.submit_replica(intake, primary_id, bench))
    replica_id = scenarios.done(bench, str(bench.task(task_id)["instance_id"]), task_id)
    catalogue = by_name(
        [Parameter(name="max_connections", type="integer", value="204", minimum="20", restart=True)]
    )
    for wanted in ("300", "60"):
        assert change(bench, primary_id, {"max_connections": wanted}, catalogue) is True
        assert restarted(bench, primary_id) == "Completed"
        assert in_force(bench, primary_id, "max_connections") == wanted
        bench.superuser(primary_id, f"CREATE TABLE public.wanted_{wanted} (x int)")
        replica = bench.resources.primary_server(replica_id)
        replica.replication.catch_up(20.0)
        assert replica.replication.state().streaming
        assert bench.resources.view.instance(replica_id).parameters == {"max_connections": wanted}
    assert restarted(bench, replica_id) == "Completed"
    assert in_force(bench, replica_id, "max_connections") == "60"


@pytest.mark.parametrize("engine", [EngineName.POSTGRESQL])
def test_what_does_not_fit_a_smaller_flavor_comes_back_with_a_larger_one(bench: Workbench) -> None:
    request = bench.create_request(flavor_ref=bench.dialect.flavor(LARGE))
    _, task_id = bench.submit(lambda intake: create_instance.submit(intake, request))
    instance_id = scenarios.done(bench, str(bench.task(task_id)["instance_id"]), task_id)
    catalogue = by_name([Parameter(name="work_mem", type="integer", value="", minimum="64", unit="kB")])
    change(bench, instance_id, {"work_mem": str(2**20 - 1)}, catalogue)
    seen = []
    for size in (SMALL, LARGE):
        wanted = resize_flavor.ResizeFlavor(bench.dialect.flavor(size))
        task_id = bench.submit(
            lambda intake, wanted=wanted: resize_flavor.submit(intake, instance_id, wanted)
        )
        scenarios.done(bench, instance_id, task_id)
        seen.append(in_force(bench, instance_id, "work_mem"))
    assert seen[0] != seen[1] == str(2**20 - 1)
