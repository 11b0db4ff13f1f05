"""Rows of `pg_hba.conf` as callers say them: what would be read as something else is refused."""

import pytest

from openrds.domain.access import AccessRow, access_row, check_rows
from openrds.domain.errors import ErrorCode, Refusal

GOOD = {
    "type_": "host",
    "database": "shop",
    "user": "clerk",
    "address": "10.1.2.3/16",
    "mask": "",
    "method": "scram-sha-256",
}


@pytest.mark.parametrize(
    ("changes", "network"),
    [
        ({}, "10.1.0.0/16"),
        ({"address": "10.1.2.3", "mask": "255.255.0.0"}, "10.1.0.0/16"),
        ({"address": "10.1.2.3"}, "10.1.2.3/32"),
        ({"address": "::1"}, "::1/128"),
        ({"address": "fd00::/8"}, "fd00::/8"),
        ({"address": "0.0.0.0/0"}, "0.0.0.0/0"),
    ],
)
def test_addresses_have_the_length_of_their_mask(changes: dict[str, str], network: str) -> None:
    assert access_row(**{**GOOD, **changes}) == AccessRow("host", "shop", "clerk", network, "scram-sha-256")


@pytest.mark.parametrize(
    "changes",
    [
        *({"type_": one} for one in ("local", "HOST", "", "hostgssenc", "host\n")),
        *(
            {"method": one}
            for one in (
                "trust",
                "peer",
                "ident",
                "ldap",
                "cert",
                "pam",
                "radius",
                "password",
                "",
                "reject map=x",
            )
        ),
        *(
            {field: name}
            for field in ("database", "user")
            for name in (
                *(
                    "/.*",
                    "+root",
                    "@file",
                    'a" all',
                    "a b",
                    "a\nhost",
                    "",
                    ",",
                    "a,",
                    "all,a",
                    "ü",
                    "a#",
                    "\uff41",
                ),
                ",".join("abcdefghijklmnopqrstuvw"),
                "x" * 64,
            )
        ),
        *(
            {"database": one}
            for one in ("replication", "Replication", "sameuser", "samerole", "template1", "a,template0")
        ),
        *(
            {"address": one}
            for one in (
                "all",
                "samehost",
                "samenet",
                "example.org",
                "10.0.0.0/33",
                "10.0.0/8",
                "",
                "fe80::1%lo",
            )
        ),
        *({"address": "10.0.0.0", "mask": one} for one in ("255.0.255.0", "8", "/8", "0x8", "ff::")),
        {"address": "10.0.0.0/8", "mask": "255.0.0.0"},
    ],
)
def test_what_is_refused(changes: dict[str, str]) -> None:
    with pytest.raises(Refusal) as refusal:
        access_row(**{**GOOD, **changes})
    assert refusal.value.error is ErrorCode.PARAMETER


@pytest.mark.parametrize("user", ["rdsAdmin", "RDSADMIN", "rdsRepl", "openrds_loader", "clerk,rdsAdmin"])
def test_accounts_of_the_system_are_refused(user: str) -> None:
    with pytest.raises(Refusal) as refusal:
        access_row(**{**GOOD, "user": user})
    assert refusal.value.error is ErrorCode.BUILT_IN_ACCOUNT


def test_the_administrator_may_be_named() -> None:
    assert access_row(**{**GOOD, "user": "root, clerk"}).user == "root,clerk"


@pytest.mark.parametrize("count", [0, 51])
def test_there_are_some_and_not_too_many(count: int) -> None:
    with pytest.raises(Refusal):
        check_rows([access_row(**GOOD)] * count)
    check_rows([access_row(**GOOD)] * 50)
