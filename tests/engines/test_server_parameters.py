"""What every engine promises of parameters, asked of real servers."""

import contextlib
from dataclasses import replace

import pytest

from openrds.domain.engine import EngineName
from openrds.domain.parameter_limits import fitting
from openrds.domain.parameters import by_name, check_values
from openrds.engines.protocol import EngineError

pytestmark = pytest.mark.grouped_by("installed")

#: A parameter that a server takes while it runs, with a value; one that needs a restart; and one that it refuses.
NOW = {"PostgreSQL": ("work_mem", "8192"), "MySQL": ("sort_buffer_size", "524288")}
LATER = {"PostgreSQL": ("max_connections", "77"), "MySQL": ("ft_min_word_len", "2")}
REFUSED = {"PostgreSQL": ("datestyle", "nonsense"), "MySQL": ("lc_time_names", "xx_XX")}
#: What only openrds sets, by a name that the server has.
OWN = {"PostgreSQL": ("archive_command", "/bin/true"), "MySQL": ("secure_file_priv", "/")}
TEXTS = ("'; port = 1", 'a" # b', "a' b", '"$x %h `id`", "a\'\' = b"', "public, b")
TEXT = {"PostgreSQL": "search_path", "MySQL": "lc_time_names"}


def of(table, trial):
    return table.get(trial.dialect.engine, table["MySQL"])


@pytest.fixture(scope="module")
def catalogue(module_trial):
    node = module_trial.node(address="", tls=None)
    found = module_trial.engine.parameters.catalogue(node)
    assert [one.name for one in found] == sorted(one.name for one in found)
    assert not module_trial.engine.server(node).is_running()
    return by_name(found)


@pytest.mark.every_engine
def test_a_catalogue_says_what_a_parameter_is(trial, catalogue):
    now, later = (catalogue[of(table, trial)[0]] for table in (NOW, LATER))
    assert (now.type, now.restart, now.readonly) == ("integer", False, False)
    assert (later.type, later.restart) == ("integer", True)
    assert int(now.minimum) < int(now.value) < int(now.maximum)
    assert all(one.description for one in catalogue.values() if not one.readonly)
    assert {one.type for one in catalogue.values()} <= {"string", "integer", "boolean", "list", "float"}
    assert of(OWN, trial)[0] not in catalogue
    # What the server itself has is a value that the rules allow.
    values = {one.name: one.value for one in catalogue.values() if not one.readonly}
    check_values(catalogue, {name: value for name, value in values.items() if "\\" not in value})


@pytest.mark.every_engine
def test_a_server_starts_with_all_that_may_be_set(trial, catalogue):
    """Each is one that a configuration file may have, under this name."""
    values = {one.name: one.value for one in catalogue.values() if not one.readonly}
    if libraries := catalogue.get("shared_preload_libraries"):
        values[libraries.name] = ",".join(libraries.choices)
    asked = fitting(trial.dialect.engine, values, 2048)
    server = trial.initialised(parameters=asked)
    server.start()
    has = trial.engine.parameters.in_force(server.node, asked)
    assert has.keys() == asked.keys()
    same = [name for name, value in asked.items() if has[name] == value]
    assert len(same) > 0.9 * len(asked), sorted(asked.keys() - set(same))


@pytest.mark.every_engine
def test_what_needs_no_restart_comes_at_once_and_the_rest_with_the_next_start(trial):
    (now, value), (later, waiting) = of(NOW, trial), of(LATER, trial)
    server = trial.started()
    parameters = trial.engine.parameters
    before = parameters.in_force(server.node, [now, later])
    changed = replace(server.node, parameters={now: value, later: waiting})
    parameters.apply(changed, {})
    assert parameters.in_force(changed, [now, later]) == {now: value, later: before[later]}
    again = trial.engine.server(changed)
    again.stop()
    again.start()
    assert parameters.in_force(changed, [now, later]) == {now: value, later: waiting}
    parameters.apply(replace(changed, parameters={}), changed.parameters)
    assert parameters.in_force(changed, [now, later]) == {now: before[now], later: waiting}


@pytest.mark.every_engine
def test_what_a_server_does_not_take_is_told(trial):
    name, value = of(REFUSED, trial)
    server = trial.started()
    before = trial.engine.parameters.in_force(server.node, [name])
    with pytest.raises(EngineError, match=name):
        trial.engine.parameters.apply(replace(server.node, parameters={name: value}), {})
    assert trial.engine.parameters.in_force(server.node, [name]) == before


@pytest.mark.every_engine
def test_a_value_stays_a_value_whatever_it_looks_like(trial):
    """Nothing of it becomes another line, or another setting."""
    server = trial.started()
    name = of(TEXT, trial)
    for text in TEXTS:
        node = replace(server.node, parameters={name: text})
        try:
            trial.engine.parameters.apply(node, {})
        except EngineError as error:
            assert name in str(error), "it is refused as a value of this one"
        else:
            with contextlib.closing(trial.client(server)) as client:
                assert client.execute(f"SHOW {name}") == [(text,)]
        assert server.answers()
    trial.engine.parameters.apply(server.node, {name: text})
    server.stop()
    server.start()
    assert server.answers()


@pytest.mark.every_engine
def test_what_is_not_offered_is_not_written_whoever_says_so(trial):
    name, value = of(OWN, trial)
    server = trial.started()
    before = trial.engine.parameters.in_force(server.node, [name])
    other = trial.engine.server(replace(server.node, parameters={name: value}))
    other.stop()
    other.configure()
    other.start()
    assert trial.engine.parameters.in_force(other.node, [name]) == before


@pytest.mark.of_engines(EngineName.POSTGRESQL)
def test_a_standby_is_started_with_as_much_as_its_primary_had(trial):
    more = {"max_connections": "150", "max_prepared_transactions": "5"}
    primary = trial.started(parameters=more)
    standby = trial.beside(primary)
    standby = trial.engine.server(replace(standby.node, parameters=more))
    standby.replication.copy_upstream()
    standby.replication.follow()
    assert trial.engine.parameters.in_force(standby.node, ["max_connections"]) == {"max_connections": "150"}
    standby.stop()
    primary.stop()
    less = {"max_connections": "50"}
    primary = trial.engine.server(replace(primary.node, parameters=less))
    primary.configure()
    primary.start()
    upstream = primary.node.as_upstream(is_equal=True)
    standby = trial.engine.server(replace(standby.node, parameters=less, upstream=upstream))
    standby.replication.follow()
    assert trial.engine.parameters.has_spare_room(standby.node)
    standby.replication.catch_up(20)
    standby.stop()
    standby.replication.follow()
    assert not trial.engine.parameters.has_spare_room(standby.node)
    assert trial.engine.parameters.in_force(standby.node, ["max_connections"]) == {"max_connections": "50"}
