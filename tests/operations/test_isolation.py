"""What somebody who has broken into one server gets at: nothing of another instance, of the store, or of root's."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from openrds.engines.postgresql import server as postgresql_server
from openrds.engines.postgresql.sessions import superuser_session
from openrds.engines.protocol import EngineError
from openrds.hosts import folders, processes
from openrds.operations.rounds.monitor import tidy_servers
from openrds.operations.steps.handing_over import hand_over, take_back_folders
from support.intruders import Place, as_root, process_in, run_as, uid_of
from support.scenarios import active_instance, done, run_backup, submit_replica, submit_restart
from support.workbench import Workbench

pytestmark = as_root

SECRET = "nobody shall read this"


@pytest.fixture(scope="module")
def places(workbench: Workbench) -> tuple[Place, Place]:
    """Two instances, the second with a backup."""
    one, other = (Place(workbench, active_instance(workbench)) for _ in range(2))
    run_backup(workbench, other.instance_id)
    return one, other


@pytest.fixture
def treasure(workbench: Workbench) -> Iterator[Path]:
    """A folder of root's, with old files in it that nobody else may read."""
    folder = workbench.resources.settings.data_dir / "treasure"
    folder.mkdir(mode=0o700)
    for name in ("a", "b"):
        (folder / name).write_text(SECRET)
        (folder / name).chmod(0o600)
        os.utime(folder / name, (0, 0))
    yield folder
    shutil.rmtree(folder)


def is_whole(treasure: Path) -> bool:
    """As it was made, and nobody's but root's."""
    files = sorted(treasure.iterdir())
    return [file.name for file in files] == ["a", "b"] and all(
        file.read_text() == SECRET and file.stat().st_uid == 0 and file.stat().st_mode & 0o777 == 0o600
        for file in files
    )


def test_each_instance_has_a_user_of_its_own(workbench: Workbench, places: tuple[Place, Place]) -> None:
    one, other = places
    store = process_in(workbench.resources.settings.data_dir / "store")
    uids = {uid_of(process) for process in (one.process, other.process, store)}
    assert len(uids) == 3
    assert 0 not in uids


#: Each with `$1` to try it on; it succeeds where one may.
READ = 'cat "$1" > /dev/null'
LIST = 'ls "$1" > /dev/null'
SIGNAL = 'kill -0 "$1"'
CONNECT = '"$2/psql" --no-password -h "$1" -p 5432 -U rdsAdmin -c "select 1" postgres'


def attempts(place: Place) -> list[tuple[str, object]]:
    """What one may do with an instance of one's own."""
    (segment, *_) = sorted(path for path in (place.data / "pg_wal").iterdir() if path.is_file())
    return [
        (READ, place.data / "PG_VERSION"),
        (READ, place.data / "postgresql.conf"),
        (READ, segment),
        (LIST, place.data),
        (LIST, place.log),
        (LIST, place.backups / "wal"),
        (LIST, place.sockets),
        (CONNECT, place.sockets),
        (SIGNAL, place.process.pid),
        (READ, f"/proc/{place.process.pid}/environ"),
        (LIST, f"/proc/{place.process.pid}/fd"),
    ]


def try_as(uid: int, place: Place, script: str, target: object) -> bool:
    return run_as(uid, script, target, place.server.node.installation.bin_dir).returncode == 0


def test_a_server_gets_at_its_own(places: tuple[Place, Place]) -> None:
    """So that what follows does not fail for another reason."""
    one, _ = places
    failed = [attempt for attempt in attempts(one) if not try_as(one.uid, one, *attempt)]
    assert not failed


def test_a_server_gets_at_nothing_of_another(places: tuple[Place, Place]) -> None:
    one, other = places
    (backup,) = (path for path in other.backups.iterdir() if path.name != "wal")
    archived = next((other.backups / "wal").iterdir())
    more = [(READ, backup / "data" / "PG_VERSION"), (LIST, backup / "data"), (READ, archived)]
    worked = [attempt for attempt in (*attempts(other), *more) if try_as(one.uid, one, *attempt)]
    assert not worked


def test_a_server_gets_at_nothing_of_the_service(workbench: Workbench, places: tuple[Place, Place]) -> None:
    one, _ = places
    data_dir = workbench.resources.settings.data_dir
    store = process_in(data_dir / "store")
    for name in ("credentials.json", "openrds.toml", "serve.lock"):
        (data_dir / name).write_text(SECRET)
        (data_dir / name).chmod(0o600)
    tried: list[tuple[str, object]] = [
        *((READ, data_dir / name) for name in ("credentials.json", "openrds.toml", "serve.lock")),
        *(
            (LIST, data_dir / name)
            for name in ("", "nodes", "backups", "store", "store/data", "store/log", "run")
        ),
        (READ, data_dir / "store" / "data" / "PG_VERSION"),
        (CONNECT, workbench.resources.host.socket_root / "store"),
        (CONNECT, "127.0.0.1"),
        *((SIGNAL, pid) for pid in (store.pid, os.getpid())),
        *((READ, f"/proc/{pid}/environ") for pid in (store.pid, os.getpid())),
        *((LIST, f"/proc/{pid}/fd") for pid in (store.pid, os.getpid())),
    ]
    assert not [attempt for attempt in tried if try_as(one.uid, one, *attempt)]


@pytest.mark.parametrize("place", ["folder", "backups"])
def test_a_server_cannot_put_anything_beside_its_own(places: tuple[Place, Place], place: str) -> None:
    one, _ = places
    folder = getattr(one, place)
    inner = "log" if place == "folder" else "wal"
    for script in (
        'touch "$1/x"',
        'ln -s /etc "$1/x"',
        'mv "$1/$2" "$1/y"',
        'mv -T "$1" "$1.x"',
        'rm -f "$1/process" && test ! -e "$1/process"' if place == "folder" else 'rmdir "$1"',
    ):
        assert run_as(one.uid, script, folder, inner).returncode != 0, script


def test_a_link_for_a_folder_does_not_lead_tidying_astray(
    workbench: Workbench, places: tuple[Place, Place], treasure: Path
) -> None:
    one, _ = places
    run_as(one.uid, 'mv "$1/log" "$1/log.old" && ln -s "$2" "$1/log"', one.folder, treasure)

    tidy_servers(workbench.resources)

    assert is_whole(treasure)


#: Each is put in place of a file, by a server whose files they are.
PLANTS = {
    "link": 'rm -rf "$1" && ln -s "$2" "$1"',
    "fifo": 'rm -rf "$1" && mkfifo "$1"',
    "folder": 'rm -rf "$1" && mkdir "$1"',
    "device": 'rm -rf "$1" && ln -s /dev/zero "$1"',
    "huge": 'rm -rf "$1" && truncate -s 1T "$1"',
}
#: Below the folder of the node; what openrds reads, writes, or removes there.
TARGETS = (
    ("data/postmaster.pid",),
    ("data/postgresql.conf", "data/pg_hba.conf", "data/standby.signal", "log/postgresql-0.log"),
    ("log/startup.log",),
)


@pytest.mark.parametrize("plant", PLANTS)
def test_what_a_server_leaves_in_its_folders_harms_nobody_else(
    places: tuple[Place, Place], treasure: Path, plant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may keep itself from being started; the reason does not tell what it links to, and nobody waits for it."""
    one, _ = places
    monkeypatch.setattr(postgresql_server, "_CHECK_SECONDS", 2.0)
    monkeypatch.setattr(postgresql_server, "_STOP_SECONDS", 3.0)
    one.server.start()
    uid, said = one.uid, list[str]()
    for targets in TARGETS:
        one.server.stop()
        try:
            for target in targets:
                planted = run_as(uid, PLANTS[plant], one.folder / target, treasure / "a")
                assert planted.returncode == 0, planted.stderr
            server = one.server
            server._start_seconds = 3.0  # a PostgreSQL whose own files are FIFOs waits for ever
            for act in (server.configure, lambda server=server: server.tidy(), server.start, server.stop):
                with suppress_and_note(said):
                    act()
        finally:
            processes.stop_recorded(one.folder / processes.RECORD)
            for target in targets:
                run_as(uid, 'rm -rf "$1"', one.folder / target)
    one.server.configure()
    one.server.start()

    assert one.server.answers()
    assert is_whole(treasure)
    assert not [message for message in said if SECRET in message]


@contextmanager
def suppress_and_note(said: list[str]) -> Iterator[None]:
    try:
        yield
    except (EngineError, OSError) as error:
        said.append(str(error))


def test_another_name_of_a_file_is_not_given_away(
    workbench: Workbench, places: tuple[Place, Place], treasure: Path
) -> None:
    """Where the kernel lets users make second names of what is not theirs (fs.protected_hardlinks = 0)."""
    one, _ = places
    one.server.stop()
    for target in ("log/startup.log", "data/pg_ident.conf"):
        (one.folder / target).unlink(missing_ok=True)
        (one.folder / target).hardlink_to(treasure / "a")
    with pytest.raises(EngineError) as failed:
        one.server.start()
    (one.log / "startup.log").unlink()
    (one.data / "pg_ident.conf").unlink()
    one.server.configure()
    one.server.start()

    assert SECRET not in str(failed.value)
    assert is_whole(treasure)


def test_a_socket_that_is_a_link_does_not_lead_us_to_another_server(
    workbench: Workbench, places: tuple[Place, Place]
) -> None:
    """What is said to one as its superuser must not be said to another, such as a new password."""
    one, other = places
    script = 'mv "$1" "$1.own" && ln -s "$2" "$1"'
    path, target = (place.sockets / ".s.PGSQL.5432" for place in (one, other))
    assert run_as(one.uid, script, path, target).returncode == 0
    try:
        with pytest.raises(EngineError, match="leads to the server of somebody else"):
            one.server.set_administrator("intruder", "")
    finally:
        path.unlink()
        path.with_name(f"{path.name}.own").rename(path)

    with superuser_session(other.server.node) as connection:
        assert connection.execute("select from pg_roles where rolname = 'intruder'").rowcount == 0


def test_a_log_archive_full_of_links_harms_nobody(
    workbench: Workbench, places: tuple[Place, Place], treasure: Path
) -> None:
    one, _ = places
    archive, resources = one.backups / "wal", workbench.resources
    names = ("FFFFFFFF.history", "FFFFFFFF0000000000000001", "000000010000000000000001.tmp")
    for name in names:
        assert run_as(one.uid, 'ln -sfT "$2" "$1"', archive / name, treasure / "a").returncode == 0
    backups = resources.engine(one.instance_id).backups
    with pytest.raises(OSError, match=r"FFFFFFFF\.history") as failed:
        backups.is_archived_since(archive, "000000010000000000000001")
    backups.prune_archive(archive, "FFFFFFFF0000000000000002")

    assert SECRET not in str(failed.value)
    assert is_whole(treasure)
    run_as(one.uid, 'rm -f "$1"/*FFFF* "$1"/*.tmp', archive)


def test_a_folder_of_a_thousand_folders_can_be_removed(workbench: Workbench) -> None:
    deep = Place(workbench, active_instance(workbench))
    assert run_as(deep.uid, 'cd "$1" && mkdir -p "$2"', deep.log, "d/" * 1500).returncode == 0
    deep.server.stop()

    workbench.resources.host.remove_folders(deep.node.id)

    assert not deep.folder.exists()
    workbench.store.rows(b"delete from instance where id = %s", [deep.instance_id])


def test_a_replica_is_of_the_user_of_its_primary(workbench: Workbench, places: tuple[Place, Place]) -> None:
    """It has the same data, and gets it over the primary's socket."""
    one, _ = places
    task_id = workbench.submit(lambda intake: submit_replica(intake, one.instance_id, workbench))
    done(workbench, one.instance_id, task_id)
    replica = Place(workbench, str(workbench.task(task_id)["instance_id"]))

    assert replica.uid == one.uid


# What an earlier openrds has left


def make_legacy(workbench: Workbench, place: Place) -> int:
    """As an earlier openrds would have it: all is of the one user for all servers. Returns that user's id."""
    resources = workbench.resources
    service = resources.host.owners.users.service
    place.server.stop()
    for folder in (place.folder, place.backups, place.sockets):
        for path in (folder, *folder.rglob("*")):
            os.chown(path, service.uid, service.gid, follow_symlinks=False)
        folder.chmod(0o700)
    statement = b"update os_user set uid = null, handed_over = false where instance_id = %s"
    workbench.store.rows(statement, [place.instance_id])
    resources.host.owners._known.clear()
    return service.uid


def owners_below(folder: Path) -> set[int]:
    return {path.lstat().st_uid for path in folder.rglob("*")}


@pytest.fixture
def legacy(workbench: Workbench) -> Iterator[tuple[Place, int]]:
    place = Place(workbench, active_instance(workbench))
    run_backup(workbench, place.instance_id)
    yield place, make_legacy(workbench, place)
    place.server.stop()


def restart(workbench: Workbench, place: Place) -> None:
    submit: Callable[..., object] = submit_restart
    task = workbench.run(workbench.submit(lambda intake: submit(intake, place.instance_id, workbench)))
    assert task["status"] == "Completed", task["fail_reason"]


def test_an_instance_of_an_earlier_openrds_gets_a_user_of_its_own(
    workbench: Workbench, legacy: tuple[Place, int], treasure: Path
) -> None:
    place, old = legacy
    run_as(old, 'ln -s "$2" "$1/restored" && ln "$1/process" "$1/log/process"', place.folder, treasure)
    take_back_folders(workbench.resources.host)
    assert not (place.folder / "restored").is_symlink()
    assert (place.folder.stat().st_uid, place.folder.stat().st_mode & 0o777) == (0, 0o711)

    restart(workbench, place)

    assert place.uid not in (0, old)
    for folder in (place.data, place.backups):
        assert old not in owners_below(folder)
    assert place.server.answers()
    assert is_whole(treasure)
    run_backup(workbench, place.instance_id)


def test_a_running_server_of_an_earlier_openrds_goes_on(
    workbench: Workbench, legacy: tuple[Place, int]
) -> None:
    place, old = legacy
    take_back_folders(workbench.resources.host)
    place.server.configure()
    place.server.start()
    assert place.uid == old
    before = place.process

    hand_over(workbench.resources, place.instance_id)

    assert place.process == before
    assert place.server.answers()
    assert run_backup(workbench, place.instance_id)


def test_a_hand_over_that_was_cut_off_is_finished(
    workbench: Workbench, legacy: tuple[Place, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    place, old = legacy
    take_back_folders(workbench.resources.host)
    give, count = folders._hand_over_file, iter(range(10**6))

    def give_some(*arguments: Any) -> None:
        if next(count) > 300:
            raise KeyboardInterrupt
        give(*arguments)

    monkeypatch.setattr(folders, "_hand_over_file", give_some)
    with pytest.raises(KeyboardInterrupt):
        hand_over(workbench.resources, place.instance_id)
    monkeypatch.undo()
    assert len(owners_below(place.data)) == 2

    restart(workbench, place)

    assert old not in owners_below(place.data)
    assert place.uid != old


def test_down_stops_what_an_earlier_openrds_started(workbench: Workbench, legacy: tuple[Place, int]) -> None:
    """Also where it has not been served since."""
    place, old = legacy
    take_back_folders(workbench.resources.host)
    place.server.configure()
    place.server.start()
    for path in (place.folder, place.folder / processes.RECORD):
        os.chown(path, old, old)
    place.folder.chmod(0o700)

    assert processes.stop_recorded(place.folder / processes.RECORD)
