"""No code of a tenant runs with more rights than the tenant: each construct that calls code is tried."""

import contextlib
import datetime as dt
from dataclasses import replace

import psycopg
import pytest

from openrds.engines.postgresql.sessions import superuser_session
from openrds.engines.protocol import DatabaseCopy, EngineError, LockedError, RestorePoint, TableCopy
from support.dialects.dialect import PASSWORD

pytestmark = [pytest.mark.grouped_by("installed"), pytest.mark.of_engines("PostgreSQL")]

MARK, OTHER_MARK, THIRD_MARK = (letter * 32 for letter in "abc")

#: What an attacker's function does: it says as whom it ran, and tries to become more. A function that is to be called
#: from everywhere says that it changes nothing, and has another one do it.
ATTACK = """
CREATE TABLE public.seen (session text, role text, superuser text);
GRANT INSERT ON public.seen TO PUBLIC;
CREATE FUNCTION public.attempt(what text) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN EXECUTE what; EXCEPTION WHEN OTHERS THEN NULL; END $$;
CREATE FUNCTION public.act() RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM public.attempt('INSERT INTO public.seen
                            VALUES (session_user, current_user, current_setting(''is_superuser''))');
    IF session_user = 'root' THEN RETURN; END IF;
    PERFORM public.attempt('RESET ROLE');
    PERFORM public.attempt('SET ROLE "rdsAdmin"');
    PERFORM public.attempt('RESET SESSION AUTHORIZATION');
    PERFORM public.attempt('SET SESSION AUTHORIZATION "rdsAdmin"');
    PERFORM public.attempt('ALTER ROLE root SUPERUSER');
    PERFORM public.attempt('CREATE ROLE intruder SUPERUSER');
    PERFORM public.attempt('GRANT root TO lesser');
    PERFORM public.attempt('COPY (SELECT 1) TO PROGRAM ''touch {proof}''');
    PERFORM public.attempt('CREATE EVENT TRIGGER lasting ON ddl_command_end EXECUTE FUNCTION public.on_event()');
    PERFORM public.attempt('ALTER ROLE root SET log_statement = ''all''');
END $$;
CREATE FUNCTION public.evil(x int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN PERFORM public.act(); RETURN true; END $$;
CREATE FUNCTION public.evil_int(x int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN PERFORM public.act(); RETURN x; END $$;
CREATE FUNCTION public.evil_equal(x int, y int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN PERFORM public.act(); RETURN true; END $$;
CREATE FUNCTION public.evil_trigger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM public.act(); RETURN NEW; END $$;
CREATE OPERATOR public.=== (FUNCTION = public.evil_equal, LEFTARG = int, RIGHTARG = int);
CREATE TYPE public.wrapped AS (a int);
CREATE FUNCTION public.unwrap(w public.wrapped) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN PERFORM public.act(); RETURN w.a; END $$;
CREATE CAST (public.wrapped AS int) WITH FUNCTION public.unwrap AS IMPLICIT;
CREATE DOMAIN public.trapdoor AS int CHECK (public.evil(VALUE));
"""

#: Tables, by their names, that call the attacker's code when they are loaded or when one looks at their parts.
TABLES = {
    "checked": "CREATE TABLE checked (x int CHECK (evil(x)))",
    "rewritten": """CREATE TABLE rewritten (x int CHECK (ts_rewrite('a'::tsquery,
        'select ''a''::tsquery, ''b''::tsquery where public.evil(1)') IS NOT NULL))""",
    "queried": "CREATE TABLE queried (x int CHECK (query_to_xml('select public.evil(1)', true, true, '') IS NOT NULL))",
    "of_a_domain": "CREATE TABLE of_a_domain (x trapdoor)",
    "operated": "CREATE TABLE operated (x int CHECK (x OPERATOR(public.===) 1))",
    "wrapping": "CREATE TABLE wrapping (x int CHECK (ROW(x)::wrapped::int > 0))",
    "indexed": "CREATE TABLE indexed (x int); CREATE INDEX ON indexed (evil_int(x)) WHERE evil(x)",
    "excluded": "CREATE TABLE excluded (x int, EXCLUDE USING btree (evil_int(x) WITH =))",
    "defaulted": "CREATE TABLE defaulted (x int, y boolean DEFAULT evil(1))",
    "generated": "CREATE TABLE generated (x int, y boolean GENERATED ALWAYS AS (evil(x) OR evil(1)) STORED)",
    "measured": "CREATE TABLE measured (x int, y int); CREATE STATISTICS measure ON x, evil_int(x) FROM measured",
    "guarded": """CREATE TABLE guarded (x int); ALTER TABLE guarded ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
        CREATE POLICY guard ON guarded USING (evil(x)) WITH CHECK (evil(x))""",
    "part": """CREATE TABLE whole (x int) PARTITION BY LIST ((x + evil_int(0)));
        CREATE TABLE part PARTITION OF whole FOR VALUES IN (1)""",
    "heir": "CREATE TABLE ancestor (x int CHECK (evil(x))); CREATE TABLE heir () INHERITS (ancestor)",
    "triggered": """CREATE TABLE triggered (x int);
        CREATE TRIGGER t BEFORE INSERT ON triggered FOR EACH ROW EXECUTE FUNCTION evil_trigger();
        CREATE CONSTRAINT TRIGGER u AFTER INSERT ON triggered FOR EACH ROW EXECUTE FUNCTION evil_trigger();
        ALTER TABLE triggered ENABLE ALWAYS TRIGGER t, ENABLE ALWAYS TRIGGER u""",
    "ruled": """CREATE TABLE ruled (x int);
        CREATE RULE r AS ON INSERT TO ruled DO ALSO SELECT evil(NEW.x)""",
}
#: What calls it besides in a whole database.
OBJECTS = {
    "a foreign key": """CREATE TABLE pointed_at (x int PRIMARY KEY); INSERT INTO pointed_at VALUES (1);
        CREATE TABLE pointing (x wrapped REFERENCES pointed_at); INSERT INTO pointing VALUES (ROW(1))""",
    "a materialized view": "CREATE MATERIALIZED VIEW seen_through AS SELECT evil(1)",
    "a view": "CREATE VIEW seen_by AS SELECT evil(1)",
    "an aggregate": """CREATE FUNCTION step(a int, b int) RETURNS int LANGUAGE sql IMMUTABLE
            AS 'SELECT public.evil_int(a)';
        CREATE AGGREGATE gather (int) (SFUNC = step, STYPE = int, INITCOND = '0');
        CREATE MATERIALIZED VIEW gathered AS SELECT gather(x) FROM generate_series(1, 3) AS x""",
    "a range type": "CREATE TYPE stretch AS RANGE (SUBTYPE = int)",
    "a body": "CREATE FUNCTION body() RETURNS boolean LANGUAGE sql BEGIN ATOMIC SELECT evil(1); END",
    "a definer": """CREATE FUNCTION secret() RETURNS boolean LANGUAGE sql SECURITY DEFINER AS 'SELECT public.evil(1)';
        REVOKE EXECUTE ON FUNCTION secret() FROM PUBLIC""",
    "settings": """ALTER DATABASE {database} SET role = 'lesser'; ALTER DATABASE {database} SET statement_timeout = 1;
        ALTER DATABASE {database} SET search_path = 'public'; ALTER ROLE root SET search_path = 'public'""",
    "a large object": "SELECT lo_from_bytea(4711, 'abc')",
    "another's large object": "SELECT lo_from_bytea(4712, 'xyz'); ALTER LARGE OBJECT 4712 OWNER TO lesser",
    "citext": "CREATE EXTENSION citext; CREATE TABLE folded (x citext)",
    "vector": "CREATE EXTENSION vector",
    # To whoever reads a list by its lines, as Python does, the second half looks like an entry of its own.
    "a name": """CREATE TABLE named (x int); CREATE INDEX "n\u20281; 0 0 ACL - x root" ON named (evil(x));
        INSERT INTO named VALUES (1)""",
    "a default": "ALTER DEFAULT PRIVILEGES GRANT USAGE ON SEQUENCES TO lesser",
    "an event trigger": """CREATE FUNCTION on_event() RETURNS event_trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM act(); END $$""",
}
#: A lesser user of the instance, whose code tries to get at what the administrator has.
LESSER = """
CREATE TABLE customers (x int PRIMARY KEY);
INSERT INTO customers VALUES (1);
CREATE FUNCTION innocent() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION raise_limits() RETURNS void LANGUAGE sql SECURITY DEFINER AS 'UPDATE public.customers SET x = 42';
REVOKE EXECUTE ON FUNCTION raise_limits() FROM PUBLIC;
CREATE SCHEMA aside AUTHORIZATION lesser;
SET ROLE lesser;
CREATE FUNCTION aside.act() RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM public.act();
    PERFORM public.attempt('CREATE OR REPLACE FUNCTION public.innocent() RETURNS int LANGUAGE sql AS ''SELECT 666''');
    PERFORM public.attempt('ALTER TABLE public.customers ADD COLUMN opened int');
    PERFORM public.attempt('SELECT public.raise_limits()');
    PERFORM public.attempt('CREATE TABLE aside.stolen AS SELECT * FROM public.customers');
END $$;
CREATE FUNCTION aside.evil(x int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN PERFORM aside.act(); RETURN true; END $$;
CREATE TABLE aside.trap (x int CHECK (aside.evil(x)));
CREATE INDEX ON aside.trap (aside.evil(x));
INSERT INTO aside.trap VALUES (1);
RESET ROLE;
GRANT SELECT ON customers TO lesser;
CREATE TABLE aside.pointing (x int REFERENCES customers);
INSERT INTO aside.pointing VALUES (1);
ALTER TABLE aside.pointing OWNER TO lesser;
REVOKE SELECT ON customers FROM lesser;
"""


def attempts(connection, statements):
    """Which of them this server does not take at all."""
    refused = set()
    for name, statement in statements.items():
        try:
            with connection.transaction():
                connection.execute(statement)
        except psycopg.Error:
            refused.add(name)
    return refused


def client(server, database="postgres"):
    return psycopg.connect(
        host=server.node.address,
        port=server.node.port,
        user="root",
        password=PASSWORD,
        dbname=database,
        autocommit=True,
    )


@pytest.fixture(scope="module")
def attacked(module_trial):
    """A server that has all of it in two databases, and a scratch server of that moment."""
    trial = module_trial
    server = trial.started()
    folder = trial.folder / "backup"
    trial.user.make_folder(folder)
    trial.engine.backups.back_up(server.node, folder)
    proof = trial.folder / "s" / server.node.node_id / "proof"
    with client(server) as connection:
        connection.execute("CREATE ROLE lesser; GRANT lesser TO root")
        connection.execute("CREATE DATABASE whole")
        connection.execute("CREATE DATABASE mixed")
    with client(server, "mixed") as connection:
        connection.execute(
            "CREATE TABLE whole (x int) PARTITION BY LIST (x); GRANT CREATE ON SCHEMA public TO lesser"
        )
        connection.execute(
            "CREATE TABLE part PARTITION OF whole FOR VALUES IN (1); ALTER TABLE part OWNER TO lesser"
        )
    if trial.installation.version == "15":
        with superuser_session(server.node, "whole") as connection:
            connection.execute("CREATE EXTENSION file_fdw WITH SCHEMA public")
    for database in ("postgres", "whole"):
        with client(server, database) as connection:
            connection.execute(ATTACK.format(proof=proof))
            refused = attempts(connection, TABLES)
            if database == "whole":
                objects = {name: text.replace("{database}", database) for name, text in OBJECTS.items()}
                refused |= attempts(connection, objects)
                attempts(connection, {"lesser": LESSER})
            assert refused <= {"queried", "citext", "vector"}, "builds without XML or some of the extensions"
            for table in TABLES:
                with contextlib.suppress(psycopg.errors.UndefinedTable, psycopg.errors.FeatureNotSupported):
                    connection.execute(f"INSERT INTO {table} (x) VALUES (1)")
            connection.execute("TRUNCATE seen")
    then = dt.datetime.now(dt.UTC)
    trial.engine.backups.archive_log(server.node)
    name = f"s{server.node.node_id}"
    scratch_folder = trial.folder / "scratch"
    scratch = replace(
        server.node,
        node_id=name,
        folder=scratch_folder,
        socket_dir=trial.folder / "s" / name,
        archive=scratch_folder / "archive",
        address="",
    )
    trial.engine.backups.restore(scratch, RestorePoint(folder, server.node.archive, then))
    return trial, server, scratch, proof


def assert_harmless(trial, server, proof, *databases):
    """It ran, as nobody of rights, and it got nowhere."""
    assert not proof.exists()
    with superuser_session(server.node) as connection:
        roles = connection.execute("SELECT rolname FROM pg_roles WHERE rolsuper").fetchall()
        assert roles == [("rdsAdmin",)]
        left = connection.execute("SELECT rolname FROM pg_roles WHERE rolname LIKE 'openrds%'").fetchall()
        assert left == []
    for database in databases:
        with superuser_session(server.node, database) as connection:
            seen = connection.execute("SELECT DISTINCT session, superuser FROM public.seen").fetchall()
            assert set(seen) <= {("openrds_loader", "off")}
            assert seen, "the attack is one that was made"
            assert connection.execute("SELECT FROM pg_event_trigger").fetchall() == []


def test_tables_are_loaded_by_nobody_of_rights(attacked):
    trial, server, scratch, proof = attacked
    with superuser_session(scratch, "postgres") as connection:
        there = {row[0] for row in connection.execute("SELECT relname FROM pg_class WHERE relkind = 'r'")}
    copies = [TableCopy("postgres", "public", name, f"{name}_again") for name in TABLES if name in there]
    assert len(copies) > 14

    trial.engine.copying.copy(scratch, server.node, copies, MARK)
    trial.engine.copying.publish(server.node, copies, MARK)

    assert_harmless(trial, server, proof, "postgres")
    with superuser_session(scratch, "postgres") as connection:
        seen = connection.execute("SELECT DISTINCT superuser FROM public.seen").fetchall()
        assert set(seen) <= {("off",)}
    with superuser_session(server.node, "postgres") as connection:
        assert connection.execute("SELECT count(*) FROM public.checked_again").fetchone() == (1,)
        owners = connection.execute(
            "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class WHERE relname LIKE '%again%'"
        ).fetchall()
        assert owners == [("root",)]
        loose = connection.execute("SELECT conname FROM pg_constraint WHERE NOT convalidated").fetchall()
        assert loose == []
        assert connection.execute("SELECT FROM pg_namespace WHERE nspname LIKE 'openrds%'").fetchall() == []


def test_databases_are_loaded_by_nobody_of_rights(attacked):
    trial, server, scratch, proof = attacked
    copies = [DatabaseCopy("whole", "again")]

    trial.engine.copying.copy(scratch, server.node, copies, OTHER_MARK)
    trial.engine.copying.publish(server.node, copies, OTHER_MARK)

    assert_harmless(trial, server, proof, "again")
    with superuser_session(server.node, "again") as connection:

        def one(query):
            return (connection.execute(query).fetchone() or (None,))[0]

        assert one("SELECT prosrc FROM pg_proc WHERE proname = 'innocent'") == "SELECT 1"
        assert one("SELECT array_agg(x) FROM public.customers") == [1]
        assert (
            one(
                "SELECT count(*) FROM pg_attribute WHERE attrelid = 'public.customers'::regclass AND attnum > 0"
            )
            == 1
        )
        assert one("SELECT count(*) FROM pg_class WHERE relname = 'stolen'") == 0
        assert one("SELECT count(*) FROM aside.trap") == 1
        assert one("SELECT tableowner FROM pg_tables WHERE tablename = 'trap'") == "lesser"
        assert (
            one("SELECT tableowner FROM pg_tables WHERE tablename = 'pointing' AND schemaname = 'aside'")
            == "lesser"
        )
        assert one("SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'aside'") == "lesser"
        assert one("SELECT prosecdef FROM pg_proc WHERE proname = 'secret'")
        assert not one("SELECT has_function_privilege('lesser', 'public.secret()', 'EXECUTE')")
        assert one("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'again'") == "root"
        assert one("SELECT convert_from(lo_get(4711), 'UTF8')") == "abc"
        assert one("SELECT convert_from(lo_get(4712), 'UTF8')") == "xyz"
        assert one("SELECT lomowner::regrole::text FROM pg_largeobject_metadata WHERE oid = 4712") == "lesser"
        assert one("SELECT count(*) FROM pg_default_acl") == 1
        extensions = "SELECT array_agg((extname, extowner::regrole)::text ORDER BY extname) FROM pg_extension"
        with superuser_session(scratch, "whole") as source:
            assert (one(extensions),) == source.execute(extensions).fetchone()
        assert one("SELECT count(*) FROM pg_constraint WHERE NOT convalidated") == 0
        grants = one("SELECT coalesce(string_agg(datacl::text, ''), '') FROM pg_database")
        assert "openrds" not in grants


def test_a_partition_of_anothers_table_is_refused(attacked):
    trial, server, scratch, _ = attacked
    copies = [DatabaseCopy("mixed", "again_mixed")]
    with pytest.raises(EngineError, match=r"part of public\.whole, which has another owner"):
        trial.engine.copying.copy(scratch, server.node, copies, THIRD_MARK)
    trial.engine.copying.discard(server.node, copies, THIRD_MARK)
    with superuser_session(server.node) as connection:
        assert not connection.execute("SELECT FROM pg_database WHERE datname LIKE 'openrds%'").rowcount
        assert not connection.execute("SELECT FROM pg_roles WHERE rolname LIKE 'openrds%'").rowcount


def test_what_never_ends_is_ended(trial):
    """As code of a tenant may, that is called while its tables are loaded."""
    with pytest.raises(EngineError, match="was ended, as it took longer"):
        trial.engine.backups.programs.run(["sleep", "60"], trial.user, seconds=0.2)


# Sessions of ours


def test_no_setting_of_a_tenant_breaks_our_sessions(shared):
    """Everything that the administrator may set, at its least and most, for its database."""
    trial, server = shared
    with client(server) as connection:
        settings = connection.execute(
            "SELECT name, vartype, min_val, max_val, enumvals FROM pg_settings WHERE context = 'user'"
        ).fetchall()
        connection.execute("CREATE ROLE somebody")
        for last in (False, True):
            for name, kind, least, most, values in settings:
                if kind == "enum":
                    value = values[-1 if last else 0]
                elif kind == "bool":
                    value = "on" if last else "off"
                elif kind == "string":
                    value = {"role": "somebody", "search_path": "evil", "client_encoding": "LATIN1"}.get(
                        name, "x"
                    )
                else:
                    value = most if last else least
                with contextlib.suppress(psycopg.Error):
                    connection.execute(f"ALTER DATABASE postgres SET {name} = '{value}'")
            sealed = trial.engine.seal_password(PASSWORD)
            trial.engine.server(server.node).set_administrator("root", sealed)
            server.set_read_only(True)
            server.set_read_only(False)
            assert server.answers()
            trial.engine.backups.archive_log(server.node)
            with superuser_session(server.node, "postgres") as ours:
                assert ours.execute("SELECT session_user, current_user").fetchone() == (
                    "rdsAdmin",
                    "rdsAdmin",
                )
                ours.execute("CREATE TABLE public.made (x int); DROP TABLE public.made")
            logs = [path for path in server.node.folder.glob("log/*") if path.stat().st_size]
            assert logs
            # Colons begin lines in what a server prints of the statements that it parses.
            key = sealed.rpartition(":")[2].encode()
            assert not any(key in path.read_bytes() for path in logs), "nor has a statement of ours logged"
    with superuser_session(server.node) as ours:
        ours.execute("ALTER DATABASE postgres RESET ALL")


def test_a_lock_of_a_client_does_not_hold_us(shared):
    trial, server = shared
    with client(server) as connection:
        connection.execute("CREATE DATABASE elsewhere")
    with client(server, "elsewhere") as holder, holder.transaction():
        holder.execute("ALTER ROLE root PASSWORD 'An0ther-Secret'; ALTER DATABASE postgres RENAME TO held")
        before = dt.datetime.now(dt.UTC)
        with pytest.raises(LockedError, match="holds a lock"):
            server.set_administrator("root", trial.engine.seal_password(PASSWORD))
        assert server.answers(), "by another database"
        assert dt.datetime.now(dt.UTC) - before < dt.timedelta(seconds=30)
        raise psycopg.Rollback


PREDEFINED = "SELECT rolname FROM pg_roles WHERE rolname LIKE 'pg\\_%' AND NOT rolsuper"


def test_the_administrator_reaches_no_role_that_is_more(shared):
    """Also where an older openrds made it, and it has taken one."""
    trial, server = shared
    if int(trial.installation.version) < 16:
        with superuser_session(server.node) as connection:
            connection.execute(
                "INSERT INTO pg_authid (oid, rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin,"
                " rolreplication, rolbypassrls, rolconnlimit)"
                " VALUES (6181, 'pg_read_all_data', false, true, false, false, false, false, false, -1)"
            )
        trial.query(server, "GRANT pg_read_all_data TO root")
        assert trial.query(server, "SELECT count(*) FROM pg_authid") > 0
        server.tidy()
    with client(server) as connection:
        names = [name for (name,) in connection.execute(PREDEFINED)]
        for name in [*names, "rdsAdmin"]:
            with contextlib.suppress(psycopg.Error):
                connection.execute(f'GRANT "{name}" TO root')
        for forbidden in (
            "SELECT * FROM pg_authid",
            "SELECT pg_read_file('PG_VERSION')",
            "SELECT pg_ls_dir('.')",
            "COPY (SELECT 1) TO PROGRAM 'true'",
            "COPY (SELECT 1) TO '/tmp/openrds-of-a-test'",
            'SET ROLE "rdsAdmin"',
            'SET SESSION AUTHORIZATION "rdsAdmin"',
            "ALTER ROLE \"rdsAdmin\" PASSWORD 'x'",
            "ALTER ROLE root SUPERUSER",
            "ALTER ROLE root REPLICATION",
            "ALTER ROLE root BYPASSRLS",
            "CREATE ROLE more SUPERUSER",
            "CREATE ROLE more REPLICATION",
            "ALTER SYSTEM SET log_statement = 'all'",
            "ALTER DATABASE postgres SET session_preload_libraries = 'x'",
            "LOAD 'auto_explain'",
            "CREATE FUNCTION c() RETURNS int LANGUAGE c AS 'x', 'y'",
            "SELECT pg_create_physical_replication_slot('x')",
            "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION nothing()",
        ):
            with pytest.raises(psycopg.Error):
                connection.execute(forbidden)
