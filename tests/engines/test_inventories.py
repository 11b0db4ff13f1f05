"""What a server says that it has to be restored, whatever its tenants have made."""

import pytest

from openrds.engines.protocol import EngineError

pytestmark = [pytest.mark.grouped_by("installed")]

#: Nothing of this may run when we ask, or keep us from it.
HOSTILE = """
CREATE TABLE ran (x int);
CREATE SCHEMA evil;
CREATE FUNCTION evil.loud(a name, b text) RETURNS boolean LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO public.ran VALUES (1); RETURN false; END $$;
CREATE OPERATOR evil.<> (FUNCTION = evil.loud, LEFTARG = name, RIGHTARG = text);
ALTER DATABASE postgres SET search_path = evil, pg_catalog;
"""


@pytest.fixture(scope="module")
def server(module_trial):
    started = module_trial.started()
    if not module_trial.dialect.rules.has_schemas:
        module_trial.query(started, "CREATE DATABASE `Empty one`")
        module_trial.query(started, "CREATE TABLE b (x INT PRIMARY KEY) PARTITION BY HASH (x) PARTITIONS 2")
        module_trial.query(started, "CREATE TABLE `a näme` (x INT)")
        module_trial.query(started, "CREATE VIEW v AS SELECT 1 AS x")
        return started
    for statement in (
        'CREATE DATABASE "Empty one"',
        "CREATE DATABASE closed",
        "ALTER DATABASE closed ALLOW_CONNECTIONS false",
        "CREATE TABLE b (x int) PARTITION BY LIST (x)",
        "CREATE TABLE b1 PARTITION OF b FOR VALUES IN (1)",
        'CREATE TABLE "a näme" (x int)',
        "CREATE VIEW v AS SELECT 1 AS x",
    ):
        module_trial.query(started, statement)
    return started


@pytest.mark.every_engine
def test_what_tenants_have_is_listed_in_the_order_of_names(module_trial, server):
    found = list(module_trial.engine.copying.inventory(server.node, 100))
    database, schema = module_trial.dialect.database, module_trial.dialect.schema or ""
    table = "b1" if schema else "b"
    closed = [("closed",)] if schema else []
    mine = [(database,), (database, schema, "a näme"), (database, schema, table)]
    assert found == sorted([("Empty one",), *closed, *mine])


def test_more_than_may_be_is_refused(module_trial, server):
    copying = module_trial.engine.copying
    there = len(list(copying.inventory(server.node, 100)))
    assert len(list(copying.inventory(server.node, there))) == there
    with pytest.raises(EngineError, match="more tables than are listed"):
        list(copying.inventory(server.node, there - 1))


@pytest.mark.of_engines("PostgreSQL")
def test_nothing_of_a_tenant_runs_when_it_is_asked(module_trial, server):
    module_trial.query(server, HOSTILE)
    found = list(module_trial.engine.copying.inventory(server.node, 100))
    assert ("postgres", "public", "ran") in found
    assert module_trial.query(server, "SELECT count(*) FROM public.ran") == 0
