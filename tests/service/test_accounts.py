"""Databases and accounts through the API, where it matters what else there is: replicas, statuses, tasks, projects."""

from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest

from support.service import PASSWORD, ServiceUnderTest, fresh, running_service

SECRET = "Of-The-Account-1"


@pytest.fixture(scope="module")
def service() -> Iterator[ServiceUnderTest]:
    with running_service(projects="local-1,other") as running:
        yield running


@pytest.fixture(scope="module")
def instance(service: ServiceUnderTest) -> dict[str, Any]:
    return service.create(name="accounts", flavor_ref="rds.pg.n1.medium.4")


@pytest.fixture(scope="module")
def replica(service: ServiceUnderTest, instance: dict[str, Any]) -> dict[str, Any]:
    body = {
        "name": "accounts-copy",
        "replica_of_id": instance["id"],
        "flavor_ref": "rds.pg.n1.medium.4.rr",
        "volume": {"type": "CLOUDSSD"},
        "availability_zone": "local-1a",
    }
    answer = service.call("POST", "instances", body, headers=fresh())
    assert answer.status_code == 202, answer.text
    service.completed(answer.json()["job_id"])
    return service.instance(answer.json()["instance"]["id"])


def ask(
    service: ServiceUnderTest, instance: dict[str, Any], method: str, path: str, body: Any = None
) -> httpx.Response:
    return service.call(method, f"instances/{instance['id']}/{path}", body, headers=fresh())


def done(*arguments: Any) -> None:
    answer = ask(*arguments)
    assert (answer.status_code, answer.text) == (200, '{"resp":"successful"}')


def refused(*arguments: Any) -> tuple[int, str]:
    answer = ask(*arguments)
    return answer.status_code, answer.json()["error_code"]


def connected(instance: dict[str, Any], user: str = "root", database: str = "postgres") -> psycopg.Connection:
    return psycopg.connect(
        host=instance["private_ips"][0],
        port=instance["port"],
        user=user,
        password=PASSWORD if user == "root" else SECRET,
        dbname=database,
        autocommit=True,
        connect_timeout=10,
    )


def make_user(service: ServiceUnderTest, instance: dict[str, Any], name: str) -> None:
    done(service, instance, "POST", "db_user", {"name": name, "password": SECRET})


def test_a_change_is_a_task_that_says_what_it_was(
    service: ServiceUnderTest, instance: dict[str, Any]
) -> None:
    done(service, instance, "POST", "database", {"name": "listed"})
    tasks = service.get(f"tasklist?instance_id={instance['id']}")["tasks"]
    assert (tasks[0]["name"], tasks[0]["status"]) == ("CreatePostgresqlDatabase", "Completed")


def test_no_clear_password_is_kept(service: ServiceUnderTest, instance: dict[str, Any]) -> None:
    make_user(service, instance, "sealed")
    with psycopg.connect(service.store_dsn) as store:
        found = store.execute("select tablename from pg_tables where schemaname = 'public'").fetchall()
        tables = [table for (table,) in found]
        assert {"task", "answer"} <= set(tables)
        kept = [str(store.execute(f'select * from "{table}"').fetchall()) for table in tables]
    assert SECRET not in "".join(kept)
    assert SECRET not in service.log_text()


def test_a_call_that_comes_again_gets_the_first_answer(
    service: ServiceUnderTest, instance: dict[str, Any]
) -> None:
    headers = {"X-Client-Token": "the-same-call"} | fresh()
    body = {"name": "once"}
    path = f"instances/{instance['id']}/database"
    answers = [service.call("POST", path, body, headers={**headers, **fresh()}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert refused(service, instance, "POST", "database", body) == (409, "DBS.200826")


def test_another_projects_instance_is_as_if_not_there(
    service: ServiceUnderTest, instance: dict[str, Any]
) -> None:
    unknown = {"id": "0" * 32 + "in03"}
    for method, path, body in (
        ("GET", "database/detail?page=1&limit=10", None),
        ("GET", "db_user/detail?page=1&limit=10", None),
        ("GET", "roles", None),
        ("POST", "database", {"name": "x"}),
        ("DELETE", "db_user/x", None),
    ):
        assert refused(service, unknown, method, path, body) == (404, "DBS.200002")


def test_a_read_replica_is_listed_and_not_changed(
    service: ServiceUnderTest, instance: dict[str, Any], replica: dict[str, Any]
) -> None:
    make_user(service, instance, "copied")
    listed = ask(service, replica, "GET", "database/detail?page=1&limit=100").json()
    assert "postgres" in [one["name"] for one in listed["databases"]]
    user = {"name": "x", "password": SECRET}
    privilege = {"db_name": "postgres", "users": [{"name": "x", "readonly": True, "schema_name": "public"}]}
    assert refused(service, replica, "POST", "database", {"name": "x"}) == (403, "DBS.200810")
    assert refused(service, replica, "POST", "db_user", user) == (403, "DBS.200819")
    assert refused(service, replica, "DELETE", "db_user/x") == (403, "DBS.200819")
    assert refused(service, replica, "POST", "db_privilege", privilege) == (400, "DBS.200825")


def test_an_instance_that_is_held_is_left_alone(service: ServiceUnderTest, instance: dict[str, Any]) -> None:
    answer = ask(service, instance, "POST", "action", {"restart": {}})
    found = refused(service, instance, "POST", "database", {"name": "meanwhile"})
    service.completed(answer.json()["job_id"])
    assert found == (409, "DBS.200019")


def test_a_locked_database_owner_change_fails_and_leaves_nothing(
    service: ServiceUnderTest, instance: dict[str, Any]
) -> None:
    done(service, instance, "POST", "database", {"name": "held"})
    make_user(service, instance, "holder")
    with connected(instance) as client, client.transaction():
        client.execute("COMMENT ON DATABASE held IS 'a lock on it'")
        body = {"name": "held", "comment": "ours"}
        answer = ask(service, instance, "POST", "database/update", body)
    assert (answer.status_code, answer.json()["error_code"]) == (409, "DBS.200019")
    assert "lock" in answer.json()["error_msg"]
    done(service, instance, "POST", "database/update", body)


def test_a_stopped_instance_is_neither_asked_nor_changed(service: ServiceUnderTest) -> None:
    stopped = service.create(name="stopped-accounts")
    job = service.call("POST", f"instances/{stopped['id']}/action/shutdown", {}, headers=fresh()).json()
    service.completed(job["job_id"])
    assert refused(service, stopped, "POST", "database", {"name": "x"}) == (409, "DBS.200011")
    answer = ask(service, stopped, "GET", "database/detail?page=1&limit=10")
    assert (answer.status_code, answer.json()["error_code"]) == (409, "DBS.200011")
    assert "SHUTDOWN" in answer.json()["error_msg"]


def test_lists_need_a_page_and_a_limit(service: ServiceUnderTest, instance: dict[str, Any]) -> None:
    for query in ("", "?page=1", "?limit=10", "?page=0&limit=10", "?page=1&limit=0", "?page=1&limit=101"):
        assert refused(service, instance, "GET", f"database/detail{query}") == (400, "DBS.200001")
        assert refused(service, instance, "GET", f"db_user/detail{query}") == (400, "DBS.200001")


def test_what_is_for_another_engine_is_refused(service: ServiceUnderTest, instance: dict[str, Any]) -> None:
    hosts = {"user_name": "x", "hosts": ["%"]}
    assert refused(service, instance, "PUT", "host-privilege", hosts) == (409, "DBS.280406")
    path = "database/db_user?db-name=postgres&page=1&limit=10"
    assert refused(service, instance, "GET", path) == (409, "DBS.280406")


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x" * 64},
        {"name": 'a"b'},
        {"name": "läden"},
        {"name": "a\u0000b"},
        {"name": "fine", "template": "postgres"},
        {"name": "fine", "character_set": "KLINGON"},
        {"name": "fine", "lc_collate": "xx_XX.UTF-8"},
        {"name": "fine", "character_set": "LATIN1"},
        {"name": "fine", "character_set": "latin1", "lc_collate": "C"},
        {"name": "fine", "lc_collate": "C'; DROP DATABASE postgres; --"},
        {"name": "fine", "comment": "x" * 513},
        {"name": 7},
        {},
    ],
    ids=repr,
)
def test_bad_databases_are_refused_before_anything_is_done(
    service: ServiceUnderTest, instance: dict[str, Any], body: dict[str, Any]
) -> None:
    before = service.get(f"tasklist?instance_id={instance['id']}")["total_count"]
    assert refused(service, instance, "POST", "database", body) == (400, "DBS.200001")
    assert service.get(f"tasklist?instance_id={instance['id']}")["total_count"] == before


def test_an_unknown_owner_and_one_of_the_systems(service: ServiceUnderTest, instance: dict[str, Any]) -> None:
    for owner, error in (("nobody", (400, "DBS.200824")), ("rdsAdmin", (409, "DBS.200828"))):
        assert refused(service, instance, "POST", "database", {"name": "x", "owner": owner}) == error


def test_other_encodings_and_locales_are_had(service: ServiceUnderTest, instance: dict[str, Any]) -> None:
    body = {"name": "plain", "character_set": "SQL_ASCII", "lc_collate": "C", "lc_ctype": "C"}
    done(service, instance, "POST", "database", body)
    shown = ask(service, instance, "GET", "database/detail?db=plain&page=1&limit=1").json()["databases"]
    assert [(one["character_set"], one["collate_set"]) for one in shown] == [("SQL_ASCII", "C")]
    body = {"name": "western", "character_set": "LATIN1", "lc_collate": "C", "lc_ctype": "POSIX"}
    done(service, instance, "POST", "database", body)


def test_what_tenants_can_hook_into_runs_with_no_rights_of_ours(
    service: ServiceUnderTest, instance: dict[str, Any]
) -> None:
    """A path, a default, operators and functions of the administrator's own are in the way of each statement."""
    done(service, instance, "POST", "database", {"name": "trap"})
    make_user(service, instance, "victim")
    with connected(instance, database="trap") as root:
        root.execute("CREATE TABLE loot (who text, super bool)")
        root.execute("GRANT ALL ON loot TO PUBLIC")
        root.execute(
            "CREATE FUNCTION spring() RETURNS bool LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.loot SELECT "
            "current_user, rolsuper FROM pg_roles WHERE rolname = session_user; RETURN true; END $$"
        )
        root.execute(
            "CREATE FUNCTION starts_with(name, text) RETURNS bool LANGUAGE sql AS 'SELECT public.spring()'"
        )
        root.execute(
            "CREATE FUNCTION public.format(text, text) RETURNS text LANGUAGE sql AS 'SELECT public.spring()::text'"
        )
        root.execute("CREATE VIEW public.pg_class AS SELECT *, public.spring() FROM pg_catalog.pg_class")
        root.execute("CREATE TABLE defaulted (x bool DEFAULT public.spring(), CHECK (public.spring()))")
        root.execute("CREATE INDEX ON defaulted ((x AND true))")
        root.execute("ALTER DATABASE trap SET search_path = public, pg_catalog")
        root.execute("ALTER DATABASE trap SET role = 'root'")
        root.execute("ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC")
        root.execute("DELETE FROM loot")
    grantee = {"name": "victim", "schema_name": "public"}
    body = {"db_name": "trap", "users": [{**grantee, "readonly": True}]}
    done(service, instance, "POST", "db_privilege", body)
    schemas = {"db_name": "trap", "schemas": [{"schema_name": "later", "owner": "victim"}]}
    done(service, instance, "POST", "schema", schemas)
    assert ask(service, instance, "GET", "schema/detail?db_name=trap&page=1&limit=9").status_code == 200
    done(service, instance, "DELETE", "db_privilege", {"db_name": "trap", "users": [grantee]})
    with connected(instance, database="trap") as root:
        assert root.execute("SELECT * FROM loot WHERE super").fetchall() == []
    done(service, instance, "DELETE", "database/trap")
    done(service, instance, "DELETE", "db_user/victim")


def test_rights_on_what_a_superuser_made_are_not_given_away(
    service: ServiceUnderTest, instance: dict[str, Any]
) -> None:
    """As an extension does, which may be in a tenant's own schema."""
    make_user(service, instance, "greedy")
    with service.superuser(instance["nodes"][0]["id"], instance["port"]) as ours:
        ours.execute("CREATE TABLE public.secrets AS SELECT 1 AS x")
    users = [{"name": "greedy", "schema_name": "public", "readonly": False}]
    done(service, instance, "POST", "db_privilege", {"db_name": "postgres", "users": users})
    with (
        connected(instance, "greedy") as client,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        client.execute("SELECT * FROM public.secrets")
    users = [{"name": "greedy", "schema_name": "pg_catalog", "readonly": False}]
    body = {"db_name": "postgres", "users": users}
    assert refused(service, instance, "POST", "db_privilege", body) == (400, "DBS.200001")


def test_who_may_write_later_writes_for_those_who_may_read_now(
    service: ServiceUnderTest, instance: dict[str, Any]
) -> None:
    done(service, instance, "POST", "database", {"name": "future"})
    for name in ("early_reader", "late_writer"):
        make_user(service, instance, name)
        users = [{"name": name, "schema_name": "public", "readonly": name == "early_reader"}]
        done(service, instance, "POST", "db_privilege", {"db_name": "future", "users": users})
    with connected(instance, "late_writer", "future") as writer:
        writer.execute("CREATE TABLE made AS SELECT 7 AS x")
    with connected(instance, "early_reader", "future") as reader:
        assert reader.execute("SELECT x FROM made").fetchall() == [(7,)]
    assert refused(service, instance, "DELETE", "db_user/late_writer") == (400, "DBS.200001")
    with connected(instance, "late_writer", "future") as writer:
        writer.execute("DROP TABLE made")
    done(service, instance, "DELETE", "db_user/late_writer")
    done(service, instance, "DELETE", "db_user/early_reader")
