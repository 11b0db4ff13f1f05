"""As whom followers of PostgreSQL come: over TCP, as a role that nobody else gets at, and that gets at nothing else."""

import psycopg
import pytest

from openrds.engines.family import password_of
from openrds.engines.postgresql.configuration import FOLLOWER
from openrds.engines.postgresql.sessions import superuser_session
from support.dialects.dialect import PASSWORD

pytestmark = [pytest.mark.grouped_by("installed"), pytest.mark.of_engines("PostgreSQL")]

_WHO_FOLLOWS = "SELECT usename, host(client_addr) FROM pg_stat_replication"


@pytest.fixture
def pair(trial):
    primary = trial.started()
    return primary, trial.standby_of(primary)


def asked(server, statement):
    with superuser_session(server.node) as connection:
        return connection.execute(statement).fetchall()


def test_a_follower_comes_over_tcp_by_the_secret_of_its_family(trial, pair):
    primary, standby = pair
    ((role, address),) = asked(primary, _WHO_FOLLOWS)
    assert role == FOLLOWER
    assert address is not None

    password = password_of(primary.node.secret, FOLLOWER)
    ((conninfo,),) = asked(standby, "SHOW primary_conninfo")
    assert password not in conninfo
    assert password not in (standby.node.data_dir / "postgresql.conf").read_text()
    for server in (primary, standby):
        with pytest.raises(psycopg.Error, match="rejects connection"):
            trial.query(server, "SELECT 1", user=FOLLOWER, password=password)


def test_it_is_let_in_by_nothing_else(pair):
    primary, _ = pair
    address = {
        "host": primary.node.address,
        "port": primary.node.port,
        "dbname": "postgres",
        "replication": "yes",
    }
    for user, password, refusal in (
        (FOLLOWER, "Wrong#Word_1", "password authentication failed"),
        ("root", PASSWORD, "no pg_hba.conf entry for replication connection"),
    ):
        with pytest.raises(psycopg.Error, match=refusal):
            psycopg.connect(**address, user=user, password=password)
    # What it replicates by reads no table.
    with psycopg.connect(
        **address, user=FOLLOWER, password=password_of(primary.node.secret, FOLLOWER), autocommit=True
    ) as connection:
        assert connection.pgconn.exec_(b"IDENTIFY_SYSTEM").ntuples == 1
        assert b"replication" in connection.pgconn.exec_(b"SELECT * FROM pg_authid").error_message


def test_the_administrator_cannot_touch_it(trial, pair):
    primary, _ = pair
    for forbidden in (
        f"ALTER ROLE \"{FOLLOWER}\" PASSWORD 'x'",
        f'ALTER ROLE "{FOLLOWER}" RENAME TO mine',
        f'ALTER ROLE "{FOLLOWER}" SET statement_timeout = 1',
        f'GRANT "{FOLLOWER}" TO root',
        f'SET ROLE "{FOLLOWER}"',
        f'DROP ROLE "{FOLLOWER}"',
    ):
        with pytest.raises(psycopg.Error):
            trial.query(primary, forbidden)


def test_one_of_its_name_that_was_there_before_becomes_another(trial):
    """An older openrds did not keep the name for itself."""
    primary = trial.started()
    trial.query(primary, f"CREATE ROLE \"{FOLLOWER}\" LOGIN PASSWORD 'Mine#Word_1'")
    trial.query(primary, f'GRANT "{FOLLOWER}" TO root')
    trial.query(primary, "CREATE TABLE public.kept AS SELECT 1 AS x")
    trial.query(primary, f'GRANT CREATE ON SCHEMA public TO "{FOLLOWER}"')
    trial.query(primary, f'ALTER TABLE public.kept OWNER TO "{FOLLOWER}"')

    standby = trial.standby_of(primary)

    assert standby.replication.state().streaming
    assert [role for role, _ in asked(primary, _WHO_FOLLOWS)] == [FOLLOWER]
    ((owner,),) = asked(primary, "SELECT tableowner FROM pg_tables WHERE tablename = 'kept'")
    assert owner.startswith(f"{FOLLOWER}_")
    with pytest.raises(psycopg.Error):
        trial.query(primary, f'SET ROLE "{FOLLOWER}"')
