"""Databases, accounts and privileges by the cloud's own SDK, on a pair of each engine; whoever is made logs in."""

from collections.abc import Callable
from typing import Any

import pytest
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkrds.v3 import RdsClient
from huaweicloudsdkrds.v3 import model as m

from openrds.domain.engine import EngineName
from support.dialects import Session
from support.pairs import BINLOG_ENGINES, Pair, each_engine
from support.sdk import LONG, completed, next_second, switch_over
from support.service import wait_for

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]

SECRET, OTHER = "Of-The-Account-1", "Of-The-Account-2"


def is_postgresql(pair: Pair) -> bool:
    return pair.dialect.engine is EngineName.POSTGRESQL


def create_database(sdk: RdsClient, pair: Pair, name: str, comment: str | None = None) -> Any:
    if is_postgresql(pair):
        body = m.PostgresqlDatabaseForCreation(name=name, owner="root", comment=comment)
        request = m.CreatePostgresqlDatabaseRequest(instance_id=pair.id, body=body)
        return sdk.create_postgresql_database(request)
    body = m.DatabaseForCreation(name=name, character_set="utf8mb4", comment=comment)
    return sdk.create_database(m.CreateDatabaseRequest(instance_id=pair.id, body=body))


def databases(sdk: RdsClient, pair: Pair) -> dict[str, Any]:
    if is_postgresql(pair):
        request = m.ListPostgresqlDatabasesRequest(instance_id=pair.id, page=1, limit=100)
        answer = sdk.list_postgresql_databases(request)
    else:
        answer = sdk.list_databases(m.ListDatabasesRequest(instance_id=pair.id, page=1, limit=100))
    assert answer.total_count == len(answer.databases)
    return {one.name: one for one in answer.databases}


def drop_database(sdk: RdsClient, pair: Pair, name: str) -> None:
    answer = sdk.delete_database(m.DeleteDatabaseRequest(instance_id=pair.id, db_name=name))
    assert answer.resp == "successful"


def create_user(sdk: RdsClient, pair: Pair, name: str, **more: Any) -> Any:
    if is_postgresql(pair):
        body = m.PostgresqlUserForCreation(name=name, password=SECRET, **more)
        return sdk.create_postgresql_db_user(m.CreatePostgresqlDbUserRequest(instance_id=pair.id, body=body))
    body = m.UserForCreation(name=name, password=SECRET, **more)
    return sdk.create_db_user(m.CreateDbUserRequest(instance_id=pair.id, body=body))


def users(sdk: RdsClient, pair: Pair) -> dict[str, Any]:
    if is_postgresql(pair):
        request = m.ListPostgresqlDbUserPaginatedRequest(instance_id=pair.id, page=1, limit=100)
        answer = sdk.list_postgresql_db_user_paginated(request)
    else:
        answer = sdk.list_db_users(m.ListDbUsersRequest(instance_id=pair.id, page=1, limit=100))
    assert answer.total_count == len(answer.users)
    return {one.name: one for one in answer.users}


def drop_user(sdk: RdsClient, pair: Pair, name: str) -> None:
    answer = sdk.delete_db_user(m.DeleteDbUserRequest(instance_id=pair.id, user_name=name))
    assert answer.resp == "successful"


def grant(sdk: RdsClient, pair: Pair, database: str, user: str, *, readonly: bool) -> None:
    if is_postgresql(pair):
        one = m.PostgresqlUserWithPrivilege(name=user, readonly=readonly, schema_name="public")
        body = m.PostgresqlGrantRequest(db_name=database, users=[one])
        sdk.allow_db_privilege(m.AllowDbPrivilegeRequest(instance_id=pair.id, body=body))
    else:
        body = m.GrantRequest(db_name=database, users=[m.UserWithPrivilege(name=user, readonly=readonly)])
        sdk.allow_db_user_privilege(m.AllowDbUserPrivilegeRequest(instance_id=pair.id, body=body))


def revoke(sdk: RdsClient, pair: Pair, database: str, user: str) -> None:
    if is_postgresql(pair):
        one = m.RevokePostgresqlDbPrivilegeUser(name=user, schema_name="public")
        body = m.RevokePostgresqlDbPrivilegeRequestBody(db_name=database, users=[one])
        request = m.RevokePostgresqlDbPrivilegeRequest(instance_id=pair.id, body=body)
        sdk.revoke_postgresql_db_privilege(request)
    else:
        body = m.RevokeRequestBody(db_name=database, users=[m.RevokeRequestBodyUsers(name=user)])
        sdk.revoke(m.RevokeRequest(instance_id=pair.id, body=body))


def login(pair: Pair, user: str, password: str = SECRET, database: str | None = None) -> Session:
    return pair.session(user=user, password=password, database=database or pair.dialect.open_to_all)


def may(pair: Pair, user: str, database: str, statement: str) -> bool:
    try:
        with login(pair, user, database=database) as client:
            client.execute(statement)
    except pair.dialect.Error as error:
        assert "denied" in str(error)
        return False
    return True


def refused(call: Callable[[], Any]) -> tuple[int, str]:
    with pytest.raises(ClientRequestException) as error:
        call()
    return error.value.status_code, error.value.error_code


@each_engine()
def test_a_database_and_its_accounts(sdk: RdsClient, pair: Pair) -> None:
    assert create_database(sdk, pair, "shop", comment="of the shop").resp == "successful"
    shown = databases(sdk, pair)["shop"]
    assert (shown.comment, shown.character_set.lower().startswith("utf8")) == ("of the shop", True)
    if is_postgresql(pair):
        assert (shown.owner, shown.collate_set, shown.size > 0) == ("root", "C.UTF-8", True)
    body = m.UpdateDatabaseReq(name="shop", comment="of another")
    sdk.update_database(m.UpdateDatabaseRequest(instance_id=pair.id, body=body))
    assert databases(sdk, pair)["shop"].comment == "of another"

    assert create_user(sdk, pair, "clerk", comment="at the till").resp == "successful"
    assert users(sdk, pair)["clerk"].comment == "at the till"
    assert "root" not in users(sdk, pair)
    with pair.session(database="shop") as root:
        root.execute("CREATE TABLE goods (x INT)")
    reads, writes = "SELECT * FROM goods", "INSERT INTO goods VALUES (1)"
    assert not may(pair, "clerk", "shop", reads)
    grant(sdk, pair, "shop", "clerk", readonly=True)
    assert (may(pair, "clerk", "shop", reads), may(pair, "clerk", "shop", writes)) == (True, False)
    grant(sdk, pair, "shop", "clerk", readonly=False)
    assert may(pair, "clerk", "shop", writes)
    revoke(sdk, pair, "shop", "clerk")
    assert not may(pair, "clerk", "shop", reads)

    body = m.DbUserPwdRequest(name="clerk", password=OTHER)
    sdk.set_db_user_pwd(m.SetDbUserPwdRequest(instance_id=pair.id, body=body))
    with pytest.raises(pair.dialect.Error, match=pair.dialect.wrong_password):
        login(pair, "clerk")
    login(pair, "clerk", OTHER).close()
    body = m.UpdateDbUserReq(comment="retired")
    sdk.update_db_user_comment(
        m.UpdateDbUserCommentRequest(instance_id=pair.id, user_name="clerk", body=body)
    )
    assert users(sdk, pair)["clerk"].comment == "retired"

    drop_user(sdk, pair, "clerk")
    drop_database(sdk, pair, "shop")
    assert "clerk" not in users(sdk, pair)
    assert "shop" not in databases(sdk, pair)


@each_engine()
def test_what_is_refused_and_by_which_code(sdk: RdsClient, pair: Pair) -> None:
    create_database(sdk, pair, "taken")
    create_user(sdk, pair, "taken")
    next_second()
    assert refused(lambda: create_database(sdk, pair, "taken")) == (409, "DBS.200826")
    assert refused(lambda: create_user(sdk, pair, "taken")) == (409, "DBS.200827")
    assert refused(lambda: create_user(sdk, pair, "root")) == (409, "DBS.200828")
    assert refused(lambda: create_user(sdk, pair, "rdsAdmin")) == (409, "DBS.200828")
    assert refused(lambda: drop_user(sdk, pair, "root")) == (409, "DBS.200828")
    assert refused(lambda: create_database(sdk, pair, "no good")) == (400, "DBS.200001")
    assert refused(lambda: drop_database(sdk, pair, "missing")) == (400, "DBS.200823")
    assert refused(lambda: drop_user(sdk, pair, "missing")) == (400, "DBS.200824")
    assert refused(lambda: grant(sdk, pair, "missing", "taken", readonly=True)) == (400, "DBS.200823")
    assert refused(lambda: grant(sdk, pair, "taken", "missing", readonly=True)) == (400, "DBS.200824")
    request = m.ListDatabasesRequest(instance_id=pair.id, page=0, limit=100)
    assert refused(lambda: sdk.list_databases(request)) == (400, "DBS.200001")
    request = m.ListDatabasesRequest(instance_id=pair.id, page=1, limit=101)
    assert refused(lambda: sdk.list_databases(request)) == (400, "DBS.200001")
    drop_user(sdk, pair, "taken")
    drop_database(sdk, pair, "taken")


@each_engine()
def test_the_standby_has_it_too(sdk: RdsClient, pair: Pair) -> None:
    create_database(sdk, pair, "followed")
    create_user(sdk, pair, "follower")
    completed(sdk, switch_over(sdk, pair.id).workflow_id, LONG)
    wait_for(lambda: pair.shown["status"] == "ACTIVE", 60, "the pair to be at rest")

    assert "followed" in databases(sdk, pair)
    login(pair, "follower").close()
    drop_user(sdk, pair, "follower")
    drop_database(sdk, pair, "followed")


@each_engine(*BINLOG_ENGINES)
def test_accounts_by_host_and_their_databases(sdk: RdsClient, pair: Pair) -> None:
    """Names of databases do not differ in letter case alone here, and the server keeps them in lower case."""
    create_database(sdk, pair, "A_1")
    create_database(sdk, pair, "b_1")
    rights = [
        m.DatabaseWithPrivilegeObject(name="A_1", readonly=True),
        m.DatabaseWithPrivilegeObject(name="b_1", readonly=False),
    ]
    create_user(sdk, pair, "local", hosts=["127.%"], databases=rights)
    shown = users(sdk, pair)["local"]
    assert shown.hosts == ["127.%"]
    assert [(one.name, one.readonly) for one in shown.databases] == [("a_1", True), ("b_1", False)]
    of_user = sdk.list_authorized_databases(
        m.ListAuthorizedDatabasesRequest(instance_id=pair.id, user_name="local", page=1, limit=1)
    )
    assert ([one.name for one in of_user.databases], of_user.total_count) == (["a_1"], 2)
    of_database = sdk.list_authorized_db_users(
        m.ListAuthorizedDbUsersRequest(instance_id=pair.id, db_name="B_1", page=1, limit=100)
    )
    assert [(one.name, one.readonly) for one in of_database.users] == [("local", False)]

    body = m.SetHostPrivilegeRequestV3(user_name="local", hosts=["10.9.8.7", "10.9.%"])
    sdk.update_host_privilege(m.UpdateHostPrivilegeRequest(instance_id=pair.id, body=body))
    assert users(sdk, pair)["local"].hosts == ["10.9.%", "10.9.8.7"]
    with pytest.raises(pair.dialect.Error, match=r"denied|not allowed"):
        login(pair, "local")
    body = m.SetHostPrivilegeRequestV3(user_name="local", hosts=["%"])
    sdk.update_host_privilege(m.UpdateHostPrivilegeRequest(instance_id=pair.id, body=body))
    assert may(pair, "local", "b_1", "CREATE TABLE t (x INT)")
    assert not may(pair, "local", "a_1", "CREATE TABLE t (x INT)")
    drop_user(sdk, pair, "local")
    create_user(sdk, pair, "other")
    grant(sdk, pair, "A_1", "other", readonly=False)
    assert may(pair, "other", "a_1", "CREATE TABLE t (x INT)")
    revoke(sdk, pair, "A_1", "other")
    assert not may(pair, "other", "a_1", "CREATE TABLE u (x INT)")
    drop_user(sdk, pair, "other")
    drop_database(sdk, pair, "A_1")
    assert "a_1" not in databases(sdk, pair)
    drop_database(sdk, pair, "b_1")


@each_engine(EngineName.POSTGRESQL)
def test_owners_schemas_and_roles(sdk: RdsClient, pair: Pair) -> None:
    create_database(sdk, pair, "owned")
    create_user(sdk, pair, "owner_1")
    create_user(sdk, pair, "team")
    body = m.UpdateDatabaseOwnerRequestBody(database="owned", owner="owner_1")
    sdk.update_database_owner(m.UpdateDatabaseOwnerRequest(instance_id=pair.id, body=body))
    assert databases(sdk, pair)["owned"].owner == "owner_1"
    schema = m.PostgresqlCreateSchemaReq(schema_name="sales", owner="owner_1")
    body = m.PostgresqlDatabaseSchemaReq(db_name="owned", schemas=[schema])
    request = m.CreatePostgresqlDatabaseSchemaRequest(instance_id=pair.id, body=body)
    assert sdk.create_postgresql_database_schema(request).resp == "successful"
    listing = m.ListPostgresqlDatabaseSchemasRequest(instance_id=pair.id, db_name="owned", page=1, limit=100)
    found = sdk.list_postgresql_database_schemas(listing).database_schemas
    assert ("sales", "owner_1") in [(one.schema_name, one.owner) for one in found]
    with login(pair, "owner_1", database="owned") as client:
        client.execute("CREATE TABLE sales.kept (x INT)")

    roles = sdk.list_database_user_role(
        m.ListDatabaseUserRoleRequest(instance_id=pair.id, user_name="owner_1")
    )
    assert {"pg_monitor", "root", "team"} <= set(roles.roles)
    assert not {"pg_execute_server_program", "rdsAdmin", "rdsRepl", "owner_1"} & set(roles.roles)
    wanted = m.DatabaseUserRoleRequest(user="owner_1", roles=["pg_monitor", "root", "team"])
    sdk.execute_privilege_database_user_role(
        m.ExecutePrivilegeDatabaseUserRoleRequest(instance_id=pair.id, body=wanted)
    )
    assert users(sdk, pair)["owner_1"].memberof == ["pg_monitor", "root", "team"]
    body = m.DatabaseUserRoleRequest(user="team", roles=["owner_1"])
    circle = m.ExecutePrivilegeDatabaseUserRoleRequest(instance_id=pair.id, body=body)
    assert refused(lambda: sdk.execute_privilege_database_user_role(circle)) == (400, "DBS.200001")
    sdk.execute_revoke_database_user_role(
        m.ExecuteRevokeDatabaseUserRoleRequest(instance_id=pair.id, body=wanted)
    )
    assert users(sdk, pair)["owner_1"].memberof == []
    for role in ("pg_execute_server_program", "pg_read_server_files", "rdsRepl", "rdsAdmin"):
        body = m.DatabaseUserRoleRequest(user="owner_1", roles=[role])
        request = m.ExecutePrivilegeDatabaseUserRoleRequest(instance_id=pair.id, body=body)
        code = refused(lambda request=request: sdk.execute_privilege_database_user_role(request))
        assert code == (400, "DBS.200824")

    body = m.DbUserPrivilegeRequest(user_name="team", authorization_type="ROLE", privileges=["CREATEDB"])
    sdk.update_db_user_privilege(m.UpdateDbUserPrivilegeRequest(instance_id=pair.id, body=body))
    assert users(sdk, pair)["team"].attributes["rolcreatedb"] is True
    body.privileges = ["REPLICATION"]
    request = m.UpdateDbUserPrivilegeRequest(instance_id=pair.id, body=body)
    assert refused(lambda: sdk.update_db_user_privilege(request)) == (400, "DBS.200001")

    assert refused(lambda: drop_user(sdk, pair, "owner_1")) == (400, "DBS.200001")
    drop_database(sdk, pair, "owned")
    next_second()  # the same call in the same second would get the same answer
    drop_user(sdk, pair, "owner_1")
    drop_user(sdk, pair, "team")


def extensions(sdk: RdsClient, pair: Pair, database: str) -> dict[str, Any]:
    request = m.ListPostgresqlExtensionRequest(instance_id=pair.id, database_name=database)
    answer = sdk.list_postgresql_extension(request)
    assert answer.total_count == len(answer.extensions)
    return {one.name: one for one in answer.extensions}


def create_extension(sdk: RdsClient, pair: Pair, database: str, name: str) -> None:
    body = m.ExtensionRequest(database_name=database, extension_name=name)
    sdk.create_postgresql_extension(m.CreatePostgresqlExtensionRequest(instance_id=pair.id, body=body))


def update_extension(sdk: RdsClient, pair: Pair, database: str, name: str) -> None:
    body = m.ExtensionRequest(database_name=database, extension_name=name)
    sdk.update_postgresql_extension(m.UpdatePostgresqlExtensionRequest(instance_id=pair.id, body=body))


def drop_extension(sdk: RdsClient, pair: Pair, database: str, name: str) -> None:
    body = m.ExtensionRequest(database_name=database, extension_name=name)
    sdk.delete_postgresql_extension(m.DeletePostgresqlExtensionRequest(instance_id=pair.id, body=body))


@each_engine(EngineName.POSTGRESQL)
def test_extensions_of_a_database(sdk: RdsClient, pair: Pair) -> None:
    create_database(sdk, pair, "extended")
    name = next(name for name in ("vector", "citext") if name in extensions(sdk, pair, "extended"))
    shown = extensions(sdk, pair, "extended")[name]
    assert (shown.created, shown.database_name, shown.version_update) == (False, "extended", "")

    create_extension(sdk, pair, "extended", name)
    assert extensions(sdk, pair, "extended")[name].created is True
    with pair.session(database="extended") as root:
        root.execute(f"CREATE TABLE used (x {name})")
    update_extension(sdk, pair, "extended", name)
    next_second()
    assert refused(lambda: create_extension(sdk, pair, "extended", name)) == (400, "DBS.200001")
    assert refused(lambda: create_extension(sdk, pair, "missing", name)) == (400, "DBS.200823")
    for other in ("dblink", "file_fdw", "plpython3u", "plpgsql"):
        code = refused(lambda other=other: create_extension(sdk, pair, "extended", other))
        assert code == (400, "DBS.200001")
        code = refused(lambda other=other: drop_extension(sdk, pair, "extended", other))
        assert code == (400, "DBS.200001")

    completed(sdk, switch_over(sdk, pair.id).workflow_id, LONG)
    wait_for(lambda: pair.shown["status"] == "ACTIVE", 60, "the pair to be at rest")
    assert extensions(sdk, pair, "extended")[name].created is True
    assert refused(lambda: drop_extension(sdk, pair, "extended", name)) == (400, "DBS.200001")
    next_second()
    with pair.session(database="extended") as root:
        root.execute("DROP TABLE used")
    drop_extension(sdk, pair, "extended", name)
    assert extensions(sdk, pair, "extended")[name].created is False
    drop_database(sdk, pair, "extended")


@each_engine(*BINLOG_ENGINES)
def test_only_postgresql_has_extensions(sdk: RdsClient, pair: Pair) -> None:
    assert refused(lambda: create_extension(sdk, pair, "any", "citext")) == (409, "DBS.280406")
    assert refused(lambda: drop_extension(sdk, pair, "any", "citext")) == (409, "DBS.280406")
    assert refused(lambda: extensions(sdk, pair, "any")) == (409, "DBS.280406")


def hba(sdk: RdsClient, pair: Pair) -> list[Any]:
    return sdk.list_postgresql_hba_info(m.ListPostgresqlHbaInfoRequest(instance_id=pair.id)).body


def hba_row(priority: int, **changes: Any) -> m.PostgresqlHbaConf:
    row = {"type": "host", "database": "all", "user": "all", "address": "0.0.0.0/0", "mask": ""}
    return m.PostgresqlHbaConf(**{**row, "method": "scram-sha-256", **changes}, priority=priority)


def set_hba(sdk: RdsClient, pair: Pair, *rows: m.PostgresqlHbaConf) -> Any:
    request = m.AddPostgresqlHbaConfRequest(instance_id=pair.id, body=list(rows))
    return sdk.add_postgresql_hba_conf(request)


@each_engine(EngineName.POSTGRESQL)
def test_who_may_connect(sdk: RdsClient, pair: Pair) -> None:
    usual = [("all", "all", "0.0.0.0/0", "scram-sha-256"), ("all", "all", "::/0", "scram-sha-256")]

    def shown() -> list[Any]:
        return [(row.database, row.user, row.address, row.method) for row in hba(sdk, pair)]

    assert shown() == usual
    create_user(sdk, pair, "visitor")
    login(pair, "visitor").close()
    answer = set_hba(sdk, pair, hba_row(1), hba_row(0, user="visitor", method="reject"))
    assert (answer.code, answer.message) == ("0", "success")
    assert shown() == [("all", "visitor", "0.0.0.0/0", "reject"), usual[0]]
    with pytest.raises(pair.dialect.Error, match=r"pg_hba\.conf"):
        login(pair, "visitor")
    pair.session().close()

    completed(sdk, switch_over(sdk, pair.id).workflow_id, LONG)
    wait_for(lambda: pair.shown["status"] == "ACTIVE", 60, "the pair to be at rest")
    with pytest.raises(pair.dialect.Error, match=r"pg_hba\.conf"):
        login(pair, "visitor")

    changed = [hba_row(0, user="visitor", address="127.0.0.0", mask="255.0.0.0"), hba_row(9, address="::/0")]
    sdk.modify_postgresql_hba_conf(m.ModifyPostgresqlHbaConfRequest(instance_id=pair.id, body=changed))
    assert shown() == [("all", "visitor", "127.0.0.0/8", "scram-sha-256"), *usual]
    login(pair, "visitor").close()
    gone = m.DeletePostgresqlHbaConfRequest(instance_id=pair.id, body=[hba_row(0)])
    sdk.delete_postgresql_hba_conf(gone)
    assert shown() == usual
    history = sdk.list_postgresql_hba_info_history(
        m.ListPostgresqlHbaInfoHistoryRequest(instance_id=pair.id)
    ).body
    assert [one.status for one in history] == ["success"] * 3
    assert [row.user for row in history[0].before_confs] == ["visitor", "all", "all"]

    for wrong in ({"method": "trust"}, {"database": "replication"}, {"user": "+root"}, {"address": "all"}):
        code = refused(lambda wrong=wrong: set_hba(sdk, pair, hba_row(0, **wrong)))
        assert code == (400, "DBS.200001")
    assert refused(lambda: set_hba(sdk, pair, hba_row(0, user="rdsAdmin"))) == (409, "DBS.200828")
    next_second()
    set_hba(sdk, pair)
    assert shown() == usual
    drop_user(sdk, pair, "visitor")


@each_engine(*BINLOG_ENGINES)
def test_only_postgresql_has_such_rows(sdk: RdsClient, pair: Pair) -> None:
    assert refused(lambda: hba(sdk, pair)) == (409, "DBS.280406")
    assert refused(lambda: set_hba(sdk, pair, hba_row(0))) == (409, "DBS.280406")
