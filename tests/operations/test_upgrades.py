"""Newer versions: what is refused, what is found before, and the way back where the new servers do not start."""

import datetime as dt
from collections.abc import Iterator

import pytest

from openrds.domain.engine import EngineName
from openrds.domain.errors import Refusal
from openrds.domain.schedule import ScheduledName
from openrds.operations.backups import back_up, restore_instance, restore_tables
from openrds.operations.instances import create_instance, instance_changes
from openrds.operations.intake.create_request import Datastore
from openrds.operations.intake.restore_source import RestoreSource, milliseconds
from openrds.operations.registry import SCHEDULED
from openrds.operations.rounds.version_watch import plan_upgrades
from openrds.operations.upgrades import inspect_upgrade, upgrade_major, upgrade_minor
from openrds.store.queries import Queries
from support import scenarios
from support.engines import found
from support.scenarios import active_instance, connected, done, read_back, run_backup, write_down
from support.workbench import Workbench, running_workbench

OLD, *NEWER = found(EngineName.POSTGRESQL) or (None,)

pytestmark = pytest.mark.skipif(not NEWER, reason="this host has no two versions of PostgreSQL")


@pytest.fixture(scope="module")
def workbench() -> Iterator[Workbench]:
    with running_workbench() as bench:
        yield bench


@pytest.fixture
def bench(workbench: Workbench) -> Iterator[Workbench]:
    yield workbench
    scenarios.forget_newer_minor(workbench)


def older_instance(bench: Workbench) -> str:
    """A single one of the oldest version, with a table."""
    assert OLD is not None
    request = bench.create_request(datastore=Datastore(EngineName.POSTGRESQL, OLD.version))
    _, task_id = bench.submit(lambda intake: create_instance.submit(intake, request))
    instance_id = done(bench, str(bench.task(task_id)["instance_id"]), task_id)
    scenarios.offer_no_tls_that_ends(bench, instance_id)
    write_down(bench, instance_id)
    return instance_id


def upgrade(bench: Workbench, instance_id: str) -> str:
    """The reason for which it fails; empty where it does not."""
    newest = scenarios.newest_version(bench)
    task_id = bench.submit(lambda intake: upgrade_major.submit(intake, instance_id, newest, {}))
    task = bench.run(task_id)
    assert task["status"] in ("Completed", "Failed")
    return task["fail_reason"] or ""


def reports(bench: Workbench, instance_id: str, kind: str) -> list[tuple[str, str]]:
    filters = {"new_version": None, "is_available": None, "ascending": False, "limit": 10, "offset": 0}
    rows = bench.store.rows(
        Queries("upgrades").reports, {"instance_id": instance_id, "kind": kind, **filters}
    )
    return [(row["result"], row["told"]) for row in rows]


def check_is_old(bench: Workbench, instance_id: str) -> None:
    assert OLD is not None
    instance = bench.resources.view.instance(instance_id)
    assert (instance.status, instance.version) == ("ACTIVE", OLD.version)
    assert instance.complete_version == OLD.complete_version
    read_back(bench, instance_id, "written_down")
    with connected(bench, instance_id) as connection:
        ((said,),) = connection.execute("select version()")
    assert OLD.complete_version in said


def test_a_new_major_version_that_does_not_start_gives_way_to_the_old(bench: Workbench) -> None:
    instance_id = older_instance(bench)
    run_backup(bench, instance_id)
    scenarios.have_newer_minor(bench, NEWER[-1], starts="only to be upgraded")
    before = bench.footprint()
    assert "did not start" in upgrade(bench, instance_id)
    check_is_old(bench, instance_id)
    assert bench.footprint() == before
    ((result, told),) = reports(bench, instance_id, "upgrade")
    assert result == "failed"
    assert "did not start" in told
    # The log goes on where it was: each moment since the backup can be restored.
    bench.engine.backups.archive_log(bench.resources.primary_server(instance_id).node)
    (base,) = bench.store.rows(b"select * from backup where instance_id = %s", [instance_id])
    assert base["continuous"]
    archive = bench.resources.host.backups.archive(instance_id)
    primary = bench.resources.primary_server(instance_id).node
    assert bench.engine.backups.is_archived_since(archive, base["log_position"], primary)


def test_a_new_minor_version_that_does_not_start_gives_way_to_the_old(bench: Workbench) -> None:
    instance_id = older_instance(bench)
    assert OLD is not None
    scenarios.have_newer_minor(bench, OLD, starts="never")
    task_id = bench.submit(
        lambda intake: upgrade_minor.submit(intake, instance_id, upgrade_minor.UpgradeMinor())
    )
    task = bench.run(task_id)
    assert (task["status"], task["name"]) == ("Failed", "UpgradePostgresqlDatabaseVersion")
    check_is_old(bench, instance_id)


def test_an_instance_says_which_version_it_came_up_with_where_its_own_is_gone(bench: Workbench) -> None:
    instance_id = older_instance(bench)
    assert OLD is not None
    scenarios.have_newer_minor(bench, OLD)
    done(bench, instance_id, bench.submit(lambda intake: scenarios.submit_minor(intake, instance_id, bench)))
    assert bench.resources.view.instance(instance_id).complete_version != OLD.complete_version
    scenarios.forget_newer_minor(bench)
    done(
        bench, instance_id, bench.submit(lambda intake: scenarios.submit_restart(intake, instance_id, bench))
    )
    check_is_old(bench, instance_id)


def test_what_hinders_an_upgrade_is_found_before_anything_is_stopped(bench: Workbench) -> None:
    instance_id = older_instance(bench)
    with connected(bench, instance_id) as connection:
        connection.execute("create table telling (kept regcollation)")
    newest = scenarios.newest_version(bench)
    task_id = bench.submit(lambda intake: inspect_upgrade.submit(intake, instance_id, newest))
    assert bench.run(task_id)["status"] == "Completed"
    ((result, told),) = reports(bench, instance_id, "check")
    assert result == "failed"
    assert "postgres.public.telling.kept" in told.replace("In database: postgres\n  ", "postgres.")
    server = bench.resources.primary_server(instance_id)
    with connected(bench, instance_id) as connection:
        reason = upgrade(bench, instance_id)
        assert "telling" in reason
        assert connection.execute("select 1") == [(1,)], "nobody was cut off"
    assert server.is_running()
    check_is_old(bench, instance_id)


def test_tls_is_not_lost_by_an_upgrade(bench: Workbench) -> None:
    if OLD is None or not OLD.speaks_tls or NEWER[-1].speaks_tls:
        pytest.skip("the newest PostgreSQL of this host speaks TLS, or none does")
    request = bench.create_request(datastore=Datastore(EngineName.POSTGRESQL, OLD.version))
    _, task_id = bench.submit(lambda intake: create_instance.submit(intake, request))
    instance_id = done(bench, str(bench.task(task_id)["instance_id"]), task_id)
    assert "without TLS" in upgrade(bench, instance_id)
    assert bench.resources.view.instance(instance_id).version == OLD.version
    # What these are is a script, in which nothing of TLS is found.
    scenarios.have_newer_minor(bench, OLD)
    assert bench.resources.view.instance(instance_id).ssl
    with pytest.raises(Refusal, match="nothing newer"):
        bench.submit(lambda intake: upgrade_minor.submit(intake, instance_id, upgrade_minor.UpgradeMinor()))


def test_a_read_replica_comes_before_its_primary_and_either_may_wait(bench: Workbench) -> None:
    instance_id = older_instance(bench)
    assert OLD is not None
    replica_task = bench.submit(lambda intake: scenarios.submit_replica(intake, instance_id, bench))
    replica_id = str(bench.task(replica_task)["instance_id"])
    done(bench, replica_id, replica_task)
    scenarios.have_newer_minor(bench, OLD)
    now, later = upgrade_minor.UpgradeMinor(), upgrade_minor.UpgradeMinor(is_delayed=True)
    with pytest.raises(Refusal, match=f"first upgrade {replica_id}"):
        bench.submit(lambda intake: upgrade_minor.submit(intake, instance_id, now))
    task_id = bench.submit(lambda intake: upgrade_minor.submit(intake, replica_id, now))
    done(bench, replica_id, task_id)
    planned = bench.submit(lambda intake: upgrade_minor.submit(intake, instance_id, later))
    (row,) = bench.store.rows(b"select * from scheduled_task where id = %s", [planned])
    assert (row["name"], row["status"]) == ("UPGRADE_DATABASE", "Pending")
    assert row["task_name"] == "UpgradePostgresqlDatabaseVersion"
    begin = SCHEDULED[ScheduledName.UPGRADE]
    done(bench, instance_id, bench.submit(lambda intake: begin(intake, instance_id, row["request"])))
    for one in (instance_id, replica_id):
        complete = bench.resources.view.instance(one).complete_version
        assert complete == f"{OLD.version}.{scenarios.NEWER_MINOR}"
        read_back(bench, one, "written_down")
    with pytest.raises(Refusal, match="with its primary"):
        bench.submit(lambda intake: upgrade_major.submit(intake, replica_id, "99", {}))


def test_newer_minor_versions_come_by_themselves_where_that_is_wanted(bench: Workbench) -> None:
    assert OLD is not None

    def planned() -> list[tuple[str, str, str]]:
        plan_upgrades(bench.resources, bench.queue)
        rows = bench.store.rows(
            b"select * from scheduled_task where instance_id = any(%s)", [[wanting, other]]
        )
        return [(row["instance_id"], row["name"], row["target_config"]["version"]) for row in rows]

    wanting, other = older_instance(bench), older_instance(bench)
    is_on = instance_changes.SetAutoUpgrade(switch_option=True)
    bench.submit(lambda intake: instance_changes.set_auto_upgrade(intake, wanting, is_on))
    assert planned() == [], "there is nothing newer"
    scenarios.have_newer_minor(bench, OLD)
    only_one = [(wanting, "UPGRADE_DATABASE", f"{OLD.version}.{scenarios.NEWER_MINOR}")]
    assert planned() == only_one
    bench.store.rows(b"update scheduled_task set status = 'Canceled' where instance_id = %s", [wanting])
    assert planned() == only_one, "what was called off is not planned again"


def test_after_an_upgrade_backups_of_before_are_of_the_old_version(bench: Workbench) -> None:
    instance_id, other = older_instance(bench), active_instance(bench)
    backup_id = run_backup(bench, instance_id)
    moment = milliseconds(dt.datetime.now(dt.UTC))
    assert upgrade(bench, instance_id) == ""
    ((result, _),) = reports(bench, instance_id, "upgrade")
    assert result == "success"
    assert bench.store.rows(Queries("backups").restorable_ranges, [instance_id]) == []
    request = restore_instance.RestoreInstance(
        RestoreSource(instance_id, type="backup", backup_id=backup_id), restore_instance.RestoreTarget(other)
    )
    with pytest.raises(Refusal, match="it must be the source's"):
        bench.submit(lambda intake: restore_instance.submit(intake, request))
    tables = [restore_tables.Table("written_down", "written_again")]
    database = restore_tables.Database("postgres", schemas=[restore_tables.Schema("public", tables)])
    wanted = restore_tables.RestoreTables([restore_tables.InstanceTables(instance_id, moment, [database])])
    with pytest.raises(Refusal, match="cannot be restored to a moment yet"):
        bench.submit(lambda intake: restore_tables.submit(intake, wanted))
    # A new one is the beginning of what can be restored.
    manual = back_up.CreateBackup(instance_id, "since-then")
    _, task_id = bench.submit(lambda intake: back_up.submit(intake, manual))
    assert bench.run(task_id)["status"] == "Completed"
    assert len(bench.store.rows(Queries("backups").restorable_ranges, [instance_id])) == 1


def test_the_administrator_can_do_in_the_new_version_what_it_could_in_the_old(bench: Workbench) -> None:
    instance_id = older_instance(bench)
    with connected(bench, instance_id) as connection:
        connection.execute("create role clerk login password 'An0ther-Secret'")
        connection.execute("grant select on written_down to clerk")
    assert upgrade(bench, instance_id) == ""
    with connected(bench, instance_id) as connection:
        connection.execute("alter role clerk password 'Yet-An0ther'")
        connection.execute("grant clerk to root")
        connection.execute("revoke select on written_down from clerk")
        connection.execute("drop role clerk")
        with pytest.raises(bench.dialect.Error):
            connection.execute("grant pg_execute_server_program to root")
        assert connection.execute("select rolsuper from pg_roles where rolname = 'root'") == [(False,)]
        counted = connection.execute("select reltuples from pg_class where relname = 'written_down'")
        assert counted == [(1.0,)], "statistics are gathered"


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ("15.999", "that is newer"),
        ("99", "that is newer"),
        ("", "that is newer"),
        ("x" * 200, "that is newer"),
    ],
)
def test_a_version_that_there_is_not_is_refused(bench: Workbench, asked: str, why: str) -> None:
    instance_id = older_instance(bench)
    for submit in (
        lambda intake: inspect_upgrade.submit(intake, instance_id, asked),
        lambda intake: upgrade_major.submit(intake, instance_id, asked, {}),
    ):
        with pytest.raises(Refusal, match=why):
            bench.submit(submit)
    with pytest.raises(Refusal, match="nothing newer"):
        bench.submit(lambda intake: upgrade_minor.submit(intake, instance_id, upgrade_minor.UpgradeMinor()))


#: What is constant in these is computed while they are loaded.
ATTACKS = {
    "an operator": "create table told (a int, check (1 operator(public.===) 1)); create table heir () inherits (told);",
    "an index of what a foreign key is checked with": """
        create table owners (id int primary key, a int);
        create index on owners ((a + public.evil_number(1)));
        create table owned (id int references owners);
    """,
    "an index in parts": """
        create table whole (a int) partition by range (a);
        create table part partition of whole for values from (0) to (10);
        create index on whole (a) where public.evil(1);
    """,
    "an inherited check": """
        create table parent (a int, constraint evil check (public.evil(1)));
        create table child () inherits (parent);
    """,
    "a key of partitions": "create table parted (a int) partition by range ((a + public.evil_number(1)));",
    "a generated column": "create table made (a int, b int generated always as (a + public.evil_number(1)) stored);",
    "a domain": """
        create domain checked as int check (public.evil(1));
        create table typed (a checked);
    """,
}


#: These are planned by nobody.
HARMLESS = """
    create table made (a int default public.evil_number(1));
    create policy seen on made using (public.evil(1));
    alter table made enable row level security;
    create view seen as select public.evil(1);
    create domain even as int check (value % 2 = 0 and value between -100 and 100 and value <> all (array[4, 6]));
    create domain young as date check (value > '2000-01-01' and value <= current_date);
    create domain worded as text check (length(value) < 100 and value ~ '^[a-z]+$' and value = lower(value)
        and (value is null or coalesce(nullif(value, 'd'), 'a') <> case when value = '' then '' else 'c' end));
    create view literal as select '{2}'::even[] as evens, '{a}'::worded[] as words, '{2001-01-01}'::young[] as days;
"""
#: Each domain's check calls something only where a superuser reads a literal, and names no function of a tenant.
IN_DOMAINS = """
    create function public.evil_query() returns tsquery language plpgsql volatile as $$
    begin perform public.rise(); return 'a'::tsquery; end $$;
    create type mood as enum ('good');
    create function public.evil_json(mood) returns json language plpgsql volatile as $$
    begin perform public.rise(); return '1'; end $$;
    create cast (mood as json) with function public.evil_json(mood);
    create domain by_text as int check (ts_rewrite('a', 'select ''a''::tsquery, public.evil_query()') is not null);
    create domain by_cast as text check (to_json('good'::mood) is not null);
    create domain by_file as int check (lo_export(1, '/dev/null') is null);
    create domain by_name as int check (set_config('search_path', 'public', false) is not null);
    create domain later as int;
    alter domain later add constraint by_later check (query_to_xml('select 1', true, true, '') is null) not valid;
    create type holder as (one by_text);
    create view literal as select '{1}'::by_text[] as listed, '(1)'::holder as held;
    create table bounded (one by_text) partition by list (one);
    create table bound partition of bounded for values in (5);
"""
FUNCTIONS = """
    create function public.rise() returns void language plpgsql volatile as $$
    begin
        if (select rolsuper from pg_catalog.pg_roles where rolname = current_user) then
            alter role root superuser;
        end if;
    end $$;
    create function public.evil_number(int) returns int language plpgsql immutable as $$
    begin perform public.rise(); return 0; end $$;
    create function public.evil(int) returns bool language plpgsql immutable as $$
    begin perform public.rise(); return true; end $$;
    create function public.evil_equals(int, int) returns bool language plpgsql immutable as $$
    begin perform public.rise(); return true; end $$;
    create operator public.=== (function = public.evil_equals, leftarg = int, rightarg = int);
"""


def is_super(bench: Workbench, instance_id: str) -> bool:
    with connected(bench, instance_id) as connection:
        ((said,),) = connection.execute("select rolsuper from pg_roles where rolname = 'root'")
    return bool(said)


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_that_a_tenant_wrote_runs_as_a_superuser(bench: Workbench, attack: str) -> None:
    instance_id = older_instance(bench)
    with connected(bench, instance_id) as connection:
        connection.execute(FUNCTIONS + ATTACKS[attack])
    reason = upgrade(bench, instance_id)
    assert not is_super(bench, instance_id)
    assert "would call functions" in reason
    assert "evil" in reason or "===" in reason
    check_is_old(bench, instance_id)


def test_the_check_of_a_domain_runs_nothing_as_a_superuser(bench: Workbench) -> None:
    instance_id = older_instance(bench)
    with connected(bench, instance_id) as connection:
        connection.execute(FUNCTIONS + IN_DOMAINS)
        connection.execute('create role "one\n\\! true"')
        node = bench.resources.primary_server(instance_id).node
        assert "line breaks" in bench.engine.upgrades.check_at_rest(node)
        connection.execute('drop role "one\n\\! true"')
    reason = upgrade(bench, instance_id)
    assert not is_super(bench, instance_id)
    for name in ("by_text", "by_cast", "by_file", "by_name", "by_later"):
        assert name in reason
    check_is_old(bench, instance_id)


def test_what_is_made_after_the_check_is_found_too(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a client does who waits for the check."""
    instance_id = older_instance(bench)
    monkeypatch.setattr(upgrade_major, "what_hinders", lambda *_: "")
    with connected(bench, instance_id) as connection:
        connection.execute(FUNCTIONS + ATTACKS["an inherited check"])
    assert "would call functions" in upgrade(bench, instance_id)
    assert not is_super(bench, instance_id)
    check_is_old(bench, instance_id)


def test_functions_that_nobody_else_calls_hinder_nothing(bench: Workbench) -> None:
    instance_id = older_instance(bench)
    with connected(bench, instance_id) as connection:
        connection.execute(FUNCTIONS + HARMLESS)
    assert upgrade(bench, instance_id) == ""
    assert not is_super(bench, instance_id)
    with connected(bench, instance_id) as connection:
        connection.execute("insert into made default values")
        assert connection.execute("select a from made") == [(0,)]
