"""The administrator of MySQL and MariaDB, whatever has become of its accounts."""

import pytest

from openrds.engines.binlog.sessions import execute, rows, session
from support.dialects.dialect import PASSWORD

pytestmark = [pytest.mark.grouped_by("installed"), pytest.mark.of_engines("MariaDB", "MySQL")]

EVERYWHERE, NEARBY = "%", "127.0.0.0/255.0.0.0"


def drop(server, *hosts):
    """As an administrator of MySQL can itself."""
    with session(server.node, logged=True) as connection:
        for host in hosts:
            execute(connection, "DROP USER %s@%s", "root", host)


def hosts_of(server):
    with session(server.node) as connection:
        found = rows(connection, "SELECT host AS host FROM mysql.user WHERE user = 'root'")
    return {row["host"] for row in found}


def test_an_administrator_that_dropped_itself_is_made_anew(shared):
    trial, server = shared
    sealed = trial.engine.seal_password(PASSWORD)
    drop(server, *hosts_of(server))

    server.set_remote_access("root", True)

    assert hosts_of(server) == {EVERYWHERE}
    with pytest.raises(trial.dialect.Error, match="denied"):
        trial.query(server, "SELECT 1", password="")
    server.set_administrator("root", sealed)
    assert trial.query(server, "SELECT 1") == 1
    assert not trial.query(server, trial.dialect.is_privileged)


def test_one_of_an_administrators_accounts_that_is_gone_is_like_the_other(shared):
    trial, server = shared
    sealed = trial.engine.seal_password(PASSWORD)
    server.set_administrator("root", sealed)
    server.set_remote_access("root", False)
    drop(server, EVERYWHERE)

    server.set_remote_access("root", True)

    drop(server, NEARBY)
    assert trial.query(server, "SELECT CURRENT_USER()") == "root@%"
    server.set_remote_access("root", False)
    drop(server, EVERYWHERE)
    server.set_administrator("root", sealed)
    assert hosts_of(server) == {EVERYWHERE, NEARBY}
