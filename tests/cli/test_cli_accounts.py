"""`openrds database` and `openrds user` against a real service."""

import psycopg
import pytest
from test_cli_service import Call, call, instance

__all__ = ["call", "instance"]


def test_a_database_and_who_may_use_it(call: Call, instance: str) -> None:
    def ok(*arguments: str) -> str:
        result = call(*arguments)
        assert result.code == 0, result.err
        return result.out

    ok("database", "create", instance, "shop", "--comment", "of the shop")
    made = call("user", "create", instance, "clerk", "--comment", "at the till")
    assert made.code == 0, made.err
    told, _, password = made.err.strip().rpartition(" ")
    assert told == "Password of clerk, shown only now:"
    ok("database", "create-schema", instance, "shop", "till", "--owner", "clerk")
    assert "till    clerk" in ok("database", "schemas", instance, "shop")
    ok("user", "grant", instance, "clerk", "shop", "--read-only")
    ok("user", "grant", instance, "clerk", "shop")
    ok("user", "add-roles", instance, "clerk", "pg_monitor")
    (row,) = [line for line in ok("user", "list", instance).splitlines() if line.startswith("clerk")]
    assert row.split() == ["clerk", "-", "pg_monitor", "at", "the", "till"]
    assert "pg_monitor" in ok("user", "roles", instance, "clerk")
    listed = call("database", "list", instance, "-o", "json").json["databases"]
    assert [(one["name"], one["comment"]) for one in listed if one["name"] == "shop"] == [
        ("shop", "of the shop")
    ]
    shown = call("instance", "show", instance, "-o", "json").json
    with psycopg.connect(
        host=shown["private_ips"][0], port=shown["port"], user="clerk", password=password, dbname="shop"
    ) as client:
        client.execute("CREATE TABLE till.coins (x int)")
        client.rollback()
    ok("user", "remove-roles", instance, "clerk", "pg_monitor")
    ok("user", "revoke", instance, "clerk", "shop")
    ok("user", "password", instance, "clerk")
    ok("user", "comment", instance, "clerk", "retired")
    ok("database", "comment", instance, "shop", "")
    ok("database", "owner", instance, "shop", "clerk")
    refused = call("user", "delete", instance, "clerk", "--yes")
    assert (refused.code, "owns something" in refused.err) == (1, True)
    ok("database", "delete", instance, "shop", "--yes")
    ok("user", "delete", instance, "clerk", "--yes")


@pytest.mark.parametrize("command", [("database", "delete"), ("user", "delete")])
def test_nothing_is_deleted_unasked(call: Call, instance: str, command: tuple[str, str]) -> None:
    result = call(*command, instance, "anything")
    assert (result.code, "--yes" in result.err) == (2, True)


def test_the_system_s_accounts_are_refused_before_a_password_is_asked(call: Call, instance: str) -> None:
    result = call("user", "create", instance, "root")
    assert (result.code, "DBS.200828" in result.err or "system" in result.err) == (1, True)


def test_hosts_are_for_other_engines(call: Call, instance: str) -> None:
    result = call("user", "hosts", instance, "clerk", "%")
    assert (result.code, "MySQL and MariaDB" in result.err) == (1, True)


def test_the_extensions_of_a_database(call: Call, instance: str) -> None:
    listed = call("extension", "list", instance, "postgres", "-o", "json").json["extensions"]
    name = next(one["name"] for one in listed if one["name"] in ("vector", "citext"))
    assert call("extension", "create", instance, "postgres", name).code == 0
    assert call("extension", "update", instance, "postgres", name).code == 0
    (row,) = [
        line
        for line in call("extension", "list", instance, "postgres").out.splitlines()
        if name in line.split()[:1]
    ]
    assert row.split()[:2] == [name, "yes"]
    refused = call("extension", "delete", instance, "postgres", name)
    assert (refused.code, "--yes" in refused.err) == (2, True)
    assert call("extension", "delete", instance, "postgres", name, "--yes").code == 0
    refused = call("extension", "create", instance, "postgres", "dblink")
    assert (refused.code, "not offered" in refused.err) == (1, True)
