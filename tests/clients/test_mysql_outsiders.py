"""A server beside openrds that follows an instance through its endpoint, as one does who moves out, or reports."""

import shutil
import subprocess
from collections.abc import Iterator

import pytest
from huaweicloudsdkrds.v3 import RdsClient
from huaweicloudsdkrds.v3 import model as m

from openrds.domain.engine import EngineName
from support.engines import found
from support.folders import short_folder
from support.mysql_programs import database, replication_account, run
from support.outsiders import Outsider, outsider
from support.pairs import BINLOG_ENGINES, Pair, each_engine
from support.sdk import LONG, completed, switch_over
from support.service import PASSWORD, wait_for

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]

#: How a dump says from where on its reader is to follow.
DUMPED = {
    EngineName.MYSQL: ["--set-gtid-purged=ON"],
    EngineName.MARIADB: ["--master-data=1", "--gtid"],
}
STATUS = {EngineName.MYSQL: "SHOW REPLICA STATUS", EngineName.MARIADB: "SHOW SLAVE STATUS"}


@pytest.fixture
def follower(pair: Pair) -> Iterator[Outsider]:
    folder = short_folder()
    try:
        with outsider(found(pair.dialect.engine)[-1], folder) as server:
            yield server
    finally:
        shutil.rmtree(folder)


@each_engine(*BINLOG_ENGINES)
def test_a_server_beside_follows_an_instance_and_its_switchovers(
    pair: Pair, sdk: RdsClient, follower: Outsider
) -> None:
    with database(pair, "followed"), replication_account(pair) as user:
        written(pair, "CREATE TABLE followed.t (x INT PRIMARY KEY)", "INSERT INTO followed.t VALUES (1)")
        options = ["--single-transaction", "--databases", *DUMPED[pair.dialect.engine]]
        dump = run(pair, ("mariadb-dump", "mysqldump"), *options, "followed")
        assert dump.returncode == 0, dump.stderr  # MySQL's warns that it is not of all there is
        load(pair, follower, dump.stdout)
        assert follower.execute("SELECT x FROM followed.t") == [{"x": 1}]
        follow(pair, follower, user)
        written(pair, "INSERT INTO followed.t VALUES (2)")
        await_rows(pair, follower, 2)
        # What is said of accounts passes it by.
        reset = m.ResetPwdRequest(instance_id=pair.id, body=m.PwdResetRequest(db_user_pwd=PASSWORD))
        assert sdk.reset_pwd(reset).status_code == 200
        completed(sdk, switch_over(sdk, pair.id).workflow_id, LONG)
        written(pair, "INSERT INTO followed.t VALUES (3)")
        await_rows(pair, follower, 3)
    wait_for(lambda: not follower.execute("SHOW DATABASES LIKE 'followed'"), 60, "what comes last")


def written(pair: Pair, *statements: str) -> None:
    with pair.session() as client:
        for statement in statements:
            client.execute(statement)


def load(pair: Pair, server: Outsider, dump: str) -> None:
    program = str(pair.program("mariadb", "mysql"))
    command = [program, "--no-defaults", f"--socket={server.socket}", "--user=root"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, input=dump, timeout=120)
    assert done.returncode == 0, done.stderr


def follow(pair: Pair, server: Outsider, user: str) -> None:
    host, port = pair.endpoint
    if pair.dialect.engine is EngineName.MYSQL:
        server.execute(
            "CHANGE REPLICATION SOURCE TO SOURCE_HOST = %s, SOURCE_PORT = %s, SOURCE_USER = %s, "
            "SOURCE_PASSWORD = %s, SOURCE_AUTO_POSITION = 1, SOURCE_SSL = 1, SOURCE_CONNECT_RETRY = 1",
            *(host, port, user, PASSWORD),
        )
        server.execute("START REPLICA")
    else:
        server.execute(
            "CHANGE MASTER TO MASTER_HOST = %s, MASTER_PORT = %s, MASTER_USER = %s, MASTER_PASSWORD = %s, "
            "MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 1, MASTER_SSL = 1, "
            "MASTER_SSL_VERIFY_SERVER_CERT = 0",
            *(host, port, user, PASSWORD),
        )
        server.execute("START SLAVE")


def await_rows(pair: Pair, server: Outsider, count: int) -> None:
    def has_come() -> bool:
        return len(server.execute("SELECT x FROM followed.t")) == count

    try:
        wait_for(has_come, 90)
    except AssertionError:
        raise AssertionError(
            f"{count} rows do not come: {server.execute(STATUS[pair.dialect.engine])}"
        ) from None
