"""Rows of `pg_hba.conf` on real servers: who gets in by them, and who does not by any."""

from dataclasses import replace

import psycopg
import pytest

from openrds.domain.access import USUAL, AccessRow
from openrds.engines.postgresql.sessions import superuser_session
from openrds.engines.protocol import EngineError
from support.dialects.dialect import PASSWORD

pytestmark = [pytest.mark.of_engines("PostgreSQL"), pytest.mark.grouped_by("installed")]

TO_ALL = USUAL[0]


class Held:
    def __init__(self, trial, server):
        self.trial, self.server = trial, server

    def load(self, *rows):
        self.trial.engine.accounts.load_access(replace(self.server.node, access=rows))

    def gets_in(self, user="root", database="postgres", **options):
        node = self.server.node
        place = {"host": node.address, "port": node.port, "user": user, "dbname": database}
        try:
            psycopg.connect(**place, password=PASSWORD, **options).close()
        except psycopg.OperationalError as error:
            assert any(
                word in str(error) for word in ("pg_hba.conf", "password", "authentication", "sender")
            ), error
            return False
        return True


@pytest.fixture
def held(shared):
    held = Held(*shared)
    yield held
    held.load(*USUAL)


def test_the_first_row_that_fits_decides(held):
    assert held.gets_in()
    held.load(AccessRow("host", "postgres", "root", "127.0.0.0/8", "reject"), TO_ALL)
    assert not held.gets_in()
    assert held.gets_in(database="template1")
    held.load(TO_ALL, AccessRow("host", "postgres", "root", "127.0.0.0/8", "reject"))
    assert held.gets_in()
    held.load(AccessRow("host", "all", "root", "10.0.0.0/8", "scram-sha-256"))
    assert not held.gets_in()
    held.load(AccessRow("hostnossl", "all", "root", "127.0.0.0/8", "md5"))
    assert held.gets_in(sslmode="disable")
    if held.trial.installation.speaks_tls:
        held.load(AccessRow("hostssl", "all", "root", "127.0.0.0/8", "scram-sha-256"))
        assert held.gets_in(sslmode="require")
        assert not held.gets_in(sslmode="disable")


def test_names_are_names_and_nothing_else(held):
    """Without quotes PostgreSQL would read some of them as keywords."""
    for name in ("sameuser", "samerole", "replication"):
        held.load(AccessRow("host", name, "root", "127.0.0.0/8", "scram-sha-256"))
        assert not held.gets_in()
        assert not held.gets_in(replication="true")


def test_nobody_gets_in_as_one_of_the_service_s_whatever_rows_say(held):
    held.load(
        *(AccessRow("host", "all", user, "0.0.0.0/0", "md5") for user in ("rdsAdmin", "rdsRepl", "all"))
    )
    for user in ("rdsAdmin", "rdsRepl", "openrds_loader"):
        assert not held.gets_in(user=user)
    assert not held.gets_in(replication="true")
    held.load(AccessRow("host", "all", "all", "0.0.0.0/0", "reject"))
    assert held.server.answers()


def test_what_the_server_cannot_read_is_not_taken(held):
    with pytest.raises(EngineError, match="does not take"):
        held.load(AccessRow("host", "all", "all", "0.0.0.0/0", "no-such-method"))
    assert held.gets_in()


def test_rows_survive_a_crash_and_go_with_a_promotion(trial):
    server = trial.started()
    rows = (AccessRow("host", "postgres", "root", "127.0.0.0/8", "scram-sha-256"),)
    server = trial.engine.server(replace(server.node, access=rows))
    server.configure()
    held = Held(trial, server)
    trial.kill(server)
    server.start()
    assert held.gets_in()
    assert not held.gets_in(database="template1")


def test_replication_lets_its_holder_copy_the_server_by_a_line_for_a_database(trial):
    """Why nobody is given it (decision 41): no row can refuse this and allow logical replication."""
    server = trial.started()
    held = Held(trial, server)
    with superuser_session(server.node) as connection:
        connection.execute("ALTER ROLE root REPLICATION")
    assert not held.gets_in(replication="true")
    node = server.node
    place = {"host": node.address, "port": node.port, "user": "root", "password": PASSWORD}
    with psycopg.connect(**place, dbname="postgres", replication="database", autocommit=True) as client:
        answer = client.pgconn.exec_(b"BASE_BACKUP")
        assert answer.status is not psycopg.pq.ExecStatus.FATAL_ERROR, answer.error_message
        client.pgconn.finish()
