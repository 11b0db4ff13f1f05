"""A store that lives and answers nobody."""

import contextlib
import time
from collections.abc import Iterator

import psutil
import psycopg
import pytest
from test_health import fetch

from openrds.hosts.processes import RECORD, Process, find
from support.service import ServiceUnderTest, running_service, wait_for

#: Seconds in which a caller hears that the store does not answer, on a machine that is busy.
TOLD = 25.0


@pytest.fixture(scope="module")
def service() -> Iterator[ServiceUnderTest]:
    with running_service(hang_timeout="40") as running:
        yield running


def store_of(service: ServiceUnderTest) -> Process:
    process = find(service.data_dir / "store" / RECORD)
    assert process is not None
    return process


def freeze(server: psutil.Process) -> list[psutil.Process]:
    """The server, and then all of its sessions."""
    server.suspend()
    frozen = [server, *server.children(recursive=True)]
    for one in frozen:
        with contextlib.suppress(psutil.Error):
            one.suspend()
    return frozen


def test_a_private_store_that_hangs_is_killed_and_started_again(service: ServiceUnderTest) -> None:
    instance = service.create(name="undisturbed")
    old = store_of(service)
    freeze(psutil.Process(old.pid))
    begun = time.monotonic()
    assert fetch(service, "/readyz")[0] == 503
    answer = service.call("GET", "instances")
    assert (answer.status_code, answer.json()["error_code"]) == (503, "DBS.290015")
    assert time.monotonic() - begun < TOLD

    answer = service.call("PUT", f"instances/{instance['id']}/alias", {"alias": "meanwhile"})
    assert (answer.status_code, answer.json()["error_code"]) == (503, "DBS.290015")

    wait_for(lambda: not old.is_alive(), 60, "its death")
    wait_for(lambda: fetch(service, "/readyz")[0] == 200, 60, "the store to answer again")
    service.delete(instance["id"])
    assert "the store has hung for" in service.log_text()


def test_an_external_store_that_hangs_is_left_to_those_who_run_it(other_store: str) -> None:
    """Only the readiness says so, and when it goes on openrds does too."""
    with running_service(store=other_store, spare_data_dirs="0", hang_timeout="1") as service:
        with psycopg.connect(other_store) as connection:
            (postmaster,) = connection.execute("select pg_read_file('postmaster.pid')").fetchone() or ("",)
        process = psutil.Process(int(postmaster.split()[0]))
        frozen = freeze(process)
        wait_for(lambda: fetch(service, "/readyz")[0] == 503, 60, "it to say that it is not ready")
        assert fetch(service, "/healthz")[0] == 200
        for one in frozen:
            with contextlib.suppress(psutil.NoSuchProcess):  # a session that just ended
                one.resume()
        wait_for(lambda: fetch(service, "/readyz")[0] == 200, 60, "it to be ready again")
        assert process.is_running()
        assert "the store has hung" not in service.log_text()
