"""What databases and accounts may be called, and what else is refused of them before a server is asked."""

import pytest

from openrds.domain import account_rules as rules
from openrds.domain.engine import EngineName
from openrds.domain.errors import ErrorCode, Refusal

P, M, A = EngineName.POSTGRESQL, EngineName.MYSQL, EngineName.MARIADB


def refused(check, *arguments, **named):
    """The code of the refusal; None where there is none."""
    try:
        check(*arguments, **named)
    except Refusal as refusal:
        return refusal.error
    return None


@pytest.mark.parametrize(
    ("engine", "name", "error"),
    [
        (P, "shop_1", None),
        (P, "_shop", None),
        (P, "S" * 63, None),
        (P, "S" * 64, ErrorCode.PARAMETER),
        (P, "", ErrorCode.PARAMETER),
        (P, "1shop", ErrorCode.PARAMETER),
        (P, "pgshop", ErrorCode.PARAMETER),
        (P, "my-shop", ErrorCode.PARAMETER),
        (P, 'a"b', ErrorCode.PARAMETER),
        (P, "läden", ErrorCode.PARAMETER),
        (P, "shop\n", ErrorCode.PARAMETER),
        (P, "openrds_x", ErrorCode.PARAMETER),
        (P, "postgres", ErrorCode.DATABASE_EXISTS),
        (P, "template0", ErrorCode.DATABASE_EXISTS),
        (M, "1-shop_$", None),
        (M, "s" * 64, None),
        (M, "s" * 65, ErrorCode.PARAMETER),
        (M, "$" * 10, None),
        (M, "$" * 11, ErrorCode.PARAMETER),
        (M, "a`b", ErrorCode.PARAMETER),
        (M, "a%b", ErrorCode.PARAMETER),
        (M, "mysql", ErrorCode.DATABASE_EXISTS),
        (A, "MySQL", ErrorCode.DATABASE_EXISTS),
        (A, "Information_Schema", ErrorCode.DATABASE_EXISTS),
        (M, "postgres", None),
    ],
)
def test_names_of_new_databases(engine, name, error):
    assert refused(rules.check_new_database, name, engine) is error


@pytest.mark.parametrize(
    ("engine", "name", "error"),
    [
        (P, "eve", None),
        (P, "e" * 63, None),
        (P, "e" * 64, ErrorCode.PARAMETER),
        (P, "pg_eve", ErrorCode.PARAMETER),
        (P, "eve-1", ErrorCode.PARAMETER),
        (P, "root", ErrorCode.BUILT_IN_ACCOUNT),
        (P, "rdsAdmin", ErrorCode.BUILT_IN_ACCOUNT),
        (P, "RDSADMIN", ErrorCode.BUILT_IN_ACCOUNT),
        (P, "rdsDdm", ErrorCode.BUILT_IN_ACCOUNT),
        (P, "public", ErrorCode.BUILT_IN_ACCOUNT),
        (P, "openrds_loader", ErrorCode.BUILT_IN_ACCOUNT),
        (M, "eve-1_", None),
        (M, "e" * 32, None),
        (M, "e" * 33, ErrorCode.PARAMETER),
        (M, "e'v", ErrorCode.PARAMETER),
        (M, "mysql.sys", ErrorCode.BUILT_IN_ACCOUNT),
        (M, "rdsMaking", ErrorCode.BUILT_IN_ACCOUNT),
        (A, "mariadb.sys", ErrorCode.BUILT_IN_ACCOUNT),
        (A, "PUBLIC", ErrorCode.BUILT_IN_ACCOUNT),
    ],
)
def test_names_of_new_accounts(engine, name, error):
    assert refused(rules.check_new_account, name, engine) is error


@pytest.mark.parametrize("name", ["a'b", 'a"b', "a`b", "läden", "%s", "a b"])
@pytest.mark.parametrize("engine", [P, M, A])
def test_what_clients_made_by_sql_may_be_named(engine, name):
    assert refused(rules.check_database, name, engine) is None
    assert refused(rules.check_account, name, engine) is None


@pytest.mark.parametrize("name", ["", "x" * 65, "a\0b"])
@pytest.mark.parametrize("engine", [P, M, A])
def test_what_cannot_be_is_not_asked_for(engine, name):
    assert refused(rules.check_database, name, engine) is ErrorCode.PARAMETER
    assert refused(rules.check_account, name, engine) is ErrorCode.PARAMETER


@pytest.mark.parametrize(
    ("password", "error"),
    [
        ("Test@123", None),
        ("Huawei@123", None),
        ("test_1234", None),
        ("Short_1", ErrorCode.PASSWORD),
        ("Long_1" * 6, ErrorCode.PASSWORD),
        ("onlyletters", ErrorCode.PASSWORD),
        ("Quote'12345", ErrorCode.PASSWORD),
        ("Spitzname_1", ErrorCode.PASSWORD),
        ("1_emanztips", ErrorCode.PASSWORD),
    ],
)
def test_passwords_of_accounts(password, error):
    assert refused(rules.check_account_password, password, P, user="spitzname_1") is error


@pytest.mark.parametrize(
    ("hosts", "error"),
    [
        (["%"], None),
        (["10.1.2.3", "10.1.%", "10.0.0.0/255.0.0.0", "fe80::%"], None),
        ([], ErrorCode.PARAMETER),
        ([""], ErrorCode.PARAMETER),
        (["localhost"], ErrorCode.PARAMETER),
        (["nowhere.invalid"], ErrorCode.PARAMETER),
        (["%' OR '1"], ErrorCode.PARAMETER),
        (["10.0.0.1"] * 51, ErrorCode.PARAMETER),
        (["999.1.1.1"], ErrorCode.PARAMETER),
        (["10.0.0.1/255.0.0.0"], ErrorCode.PARAMETER),
        (["10.0.0.0/0.255.255.255"], ErrorCode.PARAMETER),
        (["::1/64"], ErrorCode.PARAMETER),
    ],
)
def test_hosts(hosts, error):
    assert refused(rules.check_hosts, hosts, M) is error
    assert refused(rules.check_hosts, hosts, A) is error


def test_masks_by_their_length_are_for_mysql():
    assert refused(rules.check_hosts, ["10.0.0.0/8"], M) is None
    assert refused(rules.check_hosts, ["10.0.0.0/8"], A) is ErrorCode.PARAMETER
    assert refused(rules.check_hosts, ["10.0.0.1/8"], M) is ErrorCode.PARAMETER


@pytest.mark.parametrize(("engine", "name"), [(P, "template1"), (M, "mysql"), (A, "MySQL"), (A, "sys")])
def test_databases_that_hold_nothing_of_a_tenant(engine, name):
    assert refused(rules.check_holds_data, name, engine) is ErrorCode.PARAMETER
    assert refused(rules.check_holds_data, "postgres", engine) is None


@pytest.mark.parametrize("name", ["public", "information_schema", "pg_x", "1s", "a-b", "openrds_x", ""])
def test_names_that_new_schemas_cannot_have(name):
    assert refused(rules.check_new_schema, name, P) is ErrorCode.PARAMETER
    assert refused(rules.check_new_schema, "sales", P) is None


@pytest.mark.parametrize(("comment", "error"), [("x" * 512, None), ("x" * 513, ErrorCode.PARAMETER)])
def test_comments(comment, error):
    assert refused(rules.check_comment, comment) is error


@pytest.mark.parametrize("name", ["postgres", "template1"])
def test_databases_of_the_server_stay(name):
    assert refused(rules.check_dropped_database, name, P) is ErrorCode.PARAMETER
    assert refused(rules.check_dropped_database, "shop", P) is None
