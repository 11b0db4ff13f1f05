"""Links that open one thing for a while, for whoever has them."""

import dataclasses
import datetime as dt

import pytest

from openrds.domain.identity import Account, Accounts, Project
from openrds.domain.links import LIFETIME, LinkError, read_link, sign_link

NOW = dt.datetime(2026, 2, 3, 12, 0, tzinfo=dt.UTC)


def an_account(access_key: str) -> Account:
    return Account(
        access_key, f"secret of {access_key}", "u", "admin", "", Project("p", "one", "d", "domain")
    )


ACCOUNT = an_account("AK1")
ACCOUNTS = Accounts([ACCOUNT, an_account("AK2")])


def test_a_link_opens_its_target_until_it_expires() -> None:
    link = sign_link(ACCOUNT, "a/b/c.log", NOW)
    found = read_link(link, ACCOUNTS, NOW + LIFETIME - dt.timedelta(seconds=1))
    assert (found.account, found.target) == (ACCOUNT, "a/b/c.log")
    with pytest.raises(LinkError, match="expired"):
        read_link(link, ACCOUNTS, NOW + LIFETIME)


def test_no_other_link_opens_anything() -> None:
    link = sign_link(ACCOUNT, "a/b/c.log", NOW)
    key, expires, target, mac = link.split(".")
    later, other = str(int(expires) + 1), sign_link(ACCOUNT, "a/b/d.log", NOW).split(".")[2]
    for wrong in (
        *(".".join(parts) for parts in ((key, later, target, mac), (key, expires, other, mac))),
        *(".".join(("AK2", expires, target, mac)), ".".join(("AK3", expires, target, mac))),
        *(link[:-1], link + "A", f"{link}.", "", ".", "...", "ä" + link, link.replace(".", "")),
    ):
        with pytest.raises(LinkError):
            read_link(wrong, ACCOUNTS, NOW)


def test_new_keys_close_it() -> None:
    link = sign_link(ACCOUNT, "a/b/c.log", NOW)
    renewed = dataclasses.replace(ACCOUNT, secret_key="another")
    with pytest.raises(LinkError):
        read_link(link, Accounts([renewed]), NOW)
