"""Extensions of PostgreSQL: made in databases that somebody has prepared to become more than a tenant."""

import psycopg
import pytest

from openrds.domain.accounts import CreateExtension, DropExtension, Page, UpdateExtension
from openrds.engines.postgresql.accounts.extensions import OFFERED, PRELOADED, update
from openrds.engines.postgresql.sessions import superuser_session
from openrds.engines.protocol import EngineError, NameTaken, NoSuchDatabase, NotThere, Unfit
from support.dialects.dialect import PASSWORD

pytestmark = [pytest.mark.of_engines("PostgreSQL"), pytest.mark.grouped_by("installed")]

ALL = Page(0, 200)
#: What a build may have beside contrib; each has at least one.
LIKELY = ("vector", "citext")
NEVER = (
    "file_fdw",
    "dblink",
    "postgres_fdw",
    "adminpack",
    "plpython3u",
    "pageinspect",
    "pg_walinspect",
    "earthdistance",
)


class Held:
    def __init__(self, trial, server):
        self.server, self.accounts = server, trial.engine.accounts
        self.node = server.node

    def session(self, database="postgres"):
        return psycopg.connect(
            host=self.node.address,
            port=self.node.port,
            user="root",
            password=PASSWORD,
            dbname=database,
            autocommit=True,
        )

    def database(self, name):
        with self.session() as client:
            client.execute(f'CREATE DATABASE "{name}"'.encode())
        return name

    def listed(self, database):
        found, total = self.accounts.extensions(self.node, database, ALL)
        assert len(found) == total
        return {one.name: one for one in found}

    def apply(self, change):
        self.accounts.check(self.node, change)
        self.accounts.apply(self.node, change)

    def asked(self, database, statement, *arguments):
        with superuser_session(self.node, database) as connection:
            return connection.execute(statement.encode(), arguments).fetchall()

    def available(self, database):
        return [name for name in self.listed(database) if name in OFFERED and name not in PRELOADED]


@pytest.fixture
def held(shared):
    return Held(*shared)


def test_an_extension_is_made_where_clients_look_for_it_and_dropped(held):
    database = held.database("made")
    name = next(name for name in LIKELY if name in held.listed(database))
    assert not held.listed(database)[name].is_created

    held.apply(CreateExtension(database, name))
    held.accounts.apply(held.node, CreateExtension(database, name))  # as after a crash

    assert held.listed(database)[name].is_created
    where = "SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = %s"
    assert held.asked(database, where, name) == [("public",)]
    assert (
        held.asked(database, "SELECT nspname FROM pg_namespace WHERE starts_with(nspname, 'openrds')") == []
    )
    with held.session(database) as client:
        client.execute(f"CREATE TABLE used (x {name})".encode())
        with pytest.raises(EngineError, match="depend"):
            held.accounts.apply(held.node, DropExtension(database, name))
        client.execute("DROP TABLE used")
    held.apply(UpdateExtension(database, name))
    held.apply(DropExtension(database, name))
    held.accounts.apply(held.node, DropExtension(database, name))
    assert not held.listed(database)[name].is_created


def test_all_that_are_offered_can_be_made_and_none_runs_anything_as_its_owner(held):
    database = held.database("all of them")

    for name in held.available(database):
        held.apply(CreateExtension(database, name))
        held.apply(UpdateExtension(database, name))

    definers = """
        SELECT proname FROM pg_proc JOIN pg_depend ON objid = pg_proc.oid AND deptype = 'e'
        WHERE prosecdef AND refclassid = 'pg_extension'::regclass
    """
    assert held.asked(database, definers) == []
    untrusted = "SELECT lanname FROM pg_language WHERE NOT lanpltrusted AND lanname NOT IN ('internal', 'c')"
    assert held.asked(database, untrusted) == []
    assert held.asked(database, "SELECT fdwname FROM pg_foreign_data_wrapper") == []


def test_what_is_to_be_refused_is_refused_before_anything_is_done(held):
    database = held.database("refused")
    name = held.available(database)[0]
    for other in (*NEVER, "citext; DROP TABLE x", "Citext", 'a"b', "plpgsql"):
        with pytest.raises(Unfit, match="not offered"):
            held.accounts.check(held.node, CreateExtension(database, other))
        for refused in (CreateExtension(database, other), DropExtension(database, other)):
            with pytest.raises(Unfit, match="not offered"):
                held.accounts.apply(held.node, refused)
    for other in ("nowhere", "template1"):
        with pytest.raises(NoSuchDatabase):
            held.accounts.check(held.node, CreateExtension(other, name))
        with pytest.raises(NoSuchDatabase):
            held.accounts.apply(held.node, CreateExtension(other, name))
    for change in (UpdateExtension(database, name), DropExtension(database, name)):
        with pytest.raises(NotThere, match="no extension"):
            held.accounts.check(held.node, change)
    held.apply(CreateExtension(database, name))
    with pytest.raises(NameTaken, match="has the extension"):
        held.accounts.check(held.node, CreateExtension(database, name))
    for other in PRELOADED:
        if other in held.listed(database):
            with pytest.raises(Unfit, match="shared_preload_libraries"):
                held.accounts.check(held.node, CreateExtension(database, other))


def test_functions_and_operators_that_lie_in_wait_in_the_schema_are_not_called(held):
    """Whoever is called as a superuser makes its caller one; here for every built-in operator and some functions."""
    database = held.database("prepared")
    with held.session(database) as client:
        client.execute("ALTER DATABASE prepared SET search_path = public, pg_catalog")
        client.execute("ALTER ROLE root SET check_function_bodies = off")
        client.execute(
            "CREATE FUNCTION public.take() RETURNS void LANGUAGE plpgsql AS "
            "$$ BEGIN ALTER ROLE root SUPERUSER; EXCEPTION WHEN insufficient_privilege THEN END $$"
        )
        for kind in ("text", "name", "oid", "integer", "boolean", "regprocedure"):
            for function in ("lower", "format", "set_config", "array_agg", "quote_ident"):
                client.execute(
                    f"CREATE FUNCTION public.{function}({kind}, {kind}) RETURNS {kind} LANGUAGE plpgsql AS "
                    "$$ BEGIN PERFORM public.take(); RETURN $1; END $$".encode()
                )
            client.execute(
                f"CREATE FUNCTION public.eq_{kind}({kind}, {kind}) RETURNS boolean LANGUAGE plpgsql AS "
                "$$ BEGIN PERFORM public.take(); RETURN true; END $$".encode()
            )
            client.execute(
                f"CREATE OPERATOR public.= (FUNCTION = public.eq_{kind}, LEFTARG = {kind}, RIGHTARG = {kind})".encode()
            )

    for name in held.available(database):
        held.apply(CreateExtension(database, name))
        held.apply(UpdateExtension(database, name))

    assert held.asked(database, "SELECT rolsuper FROM pg_roles WHERE rolname = 'root'") == [(False,)]
    with held.session() as client:
        client.execute("ALTER ROLE root RESET check_function_bodies")


def test_one_with_something_of_a_tenants_in_it_is_not_updated(held):
    database = held.database("grown")
    trusted = "SELECT name FROM pg_available_extension_versions WHERE trusted AND name = ANY(%s)"
    version = held.asked(database, "SHOW server_version_num")[0][0]
    names = held.asked(database, trusted, list(OFFERED)) if int(version) >= 130000 else []
    if not names:
        pytest.skip("this build has no extension that its owner may add to")
    name = names[0][0]
    held.apply(CreateExtension(database, name))
    with held.session(database) as client:
        client.execute("CREATE FUNCTION public.evil() RETURNS int LANGUAGE sql AS 'SELECT 1'")
        client.execute(f"ALTER EXTENSION {name} ADD FUNCTION public.evil()".encode())

    with pytest.raises(Unfit, match="evil"):
        held.accounts.apply(held.node, UpdateExtension(database, name))
    # Also if it was added after that was looked at.
    with pytest.raises(Unfit, match="evil"):
        update(held.node, UpdateExtension(database, name))
    assert held.asked(
        database, "SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = %s", name
    ) == [("public",)]


def test_a_name_that_is_taken_there_is_no_harm(held):
    database = held.database("taken")
    name = next(name for name in LIKELY if name in held.listed(database))
    with held.session(database) as client:
        client.execute(f"CREATE TABLE public.{name} (x int)".encode())

    with pytest.raises(EngineError, match="exists"):
        held.accounts.apply(held.node, CreateExtension(database, name))

    assert not held.listed(database)[name].is_created
    assert (
        held.asked(database, "SELECT nspname FROM pg_namespace WHERE starts_with(nspname, 'openrds')") == []
    )


def test_a_tenant_cannot_make_by_sql_what_is_not_offered(held):
    database = held.database("by sql")
    with held.session(database) as client:
        for name in NEVER:
            with pytest.raises(psycopg.Error):
                client.execute(f"CREATE EXTENSION {name}".encode())
