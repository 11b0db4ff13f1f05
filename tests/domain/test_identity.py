import dataclasses
import datetime as dt
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openrds.domain import identity
from openrds.domain.identity import (
    Account,
    Accounts,
    Project,
    TokenError,
    TokenScope,
    issue_token,
    read_token,
)

NOW = dt.datetime(2026, 2, 3, 4, 5, 6, 789, tzinfo=dt.UTC)
HASH = identity.hash_password("correct horse")


def account(access_key="EXAMPLEACCESSKEY0001"):
    project = Project(identity.new_id(), "local-1", identity.new_id(), "openrds")
    return Account(access_key, identity.new_secret_key(), identity.new_id(), "admin", HASH, project)


def test_new_ids_and_keys():
    assert re.fullmatch(r"[0-9a-f]{32}", identity.new_id())
    assert re.fullmatch(r"[A-Z0-9]{20}", identity.new_access_key())
    assert re.fullmatch(r"[A-Za-z0-9]{40}", identity.new_secret_key())
    assert re.fullmatch(r"[A-Za-z0-9]{20}", identity.new_password())
    assert len({identity.new_secret_key() for _ in range(50)}) == 50


def test_password_hashes_are_salted_and_say_how_they_were_made():
    assert re.fullmatch(r"scrypt\$16384\$8\$1\$[0-9a-f]{32}\$[0-9a-f]{64}", HASH)
    assert identity.hash_password("correct horse") != HASH
    assert identity.verify_password("correct horse", HASH)
    assert not identity.verify_password("Correct horse", HASH)


@pytest.mark.parametrize(
    "stored", ["", "x", "scrypt$1$2$3$zz$00", "md5$16384$8$1$00$00", "scrypt$3$8$1$00$00"]
)
def test_unknown_password_hashes_match_nothing(stored):
    assert not identity.verify_password("", stored)


def test_secrets_are_not_shown():
    text = repr(account())
    assert "secret_key" not in text
    assert "password_hash" not in text


@pytest.mark.parametrize("scope", list(TokenScope))
def test_tokens_come_back(scope):
    own = account()
    value = issue_token(own, NOW, scope)
    assert re.fullmatch(r"[A-Za-z0-9_.-]+", value)
    token = read_token(value, Accounts([account("OTHER"), own]), NOW)
    assert (token.account, token.scope) == (own, scope)
    assert token.expires_at - token.issued_at == dt.timedelta(hours=24)
    assert token.issued_at == NOW.replace(microsecond=0)


def test_tokens_expire_after_a_day():
    own = account()
    value = issue_token(own, NOW)
    read_token(value, Accounts([own]), NOW + dt.timedelta(hours=23, minutes=59))
    with pytest.raises(TokenError, match=r"token expires, expires_at: 2026-02-04T04:05:06\.000000Z"):
        read_token(value, Accounts([own]), NOW + dt.timedelta(hours=24))


def test_a_token_had_for_another_expires_with_it():
    own = account()
    accounts = Accounts([own])
    first = read_token(issue_token(own, NOW), accounts, NOW)
    later = NOW + dt.timedelta(hours=23)
    value = issue_token(own, later, TokenScope.PROJECT, first)
    renewed = read_token(value, accounts, later)
    assert (renewed.session, renewed.expires_at) == (first.session, first.expires_at)
    assert renewed.issued_at == later.replace(microsecond=0)
    with pytest.raises(TokenError, match="token expires"):
        read_token(value, accounts, NOW + dt.timedelta(hours=24))


def test_tokens_of_one_second_are_of_sessions_of_their_own():
    own = account()
    tokens = [read_token(issue_token(own, NOW), Accounts([own]), NOW) for _ in range(2)]
    assert tokens[0].session != tokens[1].session


@pytest.mark.parametrize("change", [{"secret_key": "x" * 40}, {"password_hash": "x"}])
def test_a_new_key_or_password_ends_all_tokens(change):
    own = account()
    value = issue_token(own, NOW)
    with pytest.raises(TokenError, match="decrypt token fail"):
        read_token(value, Accounts([dataclasses.replace(own, **change)]), NOW)


@settings(deadline=None)
@given(st.data())
def test_a_changed_token_is_refused(data):
    own = account()
    value = issue_token(own, NOW)
    index = data.draw(st.integers(0, len(value) - 1))
    changed = (
        value[:index] + data.draw(st.characters().filter(lambda c: c != value[index])) + value[index + 1 :]
    )
    with pytest.raises(TokenError, match="decrypt token fail"):
        read_token(changed, Accounts([own]), NOW)


@settings(deadline=None)
@given(st.text(max_size=30))
def test_anything_else_is_refused(value):
    with pytest.raises(TokenError, match="decrypt token fail"):
        read_token(value, Accounts([account()]), NOW)


@pytest.mark.parametrize("change", [{"secret_key": "another"}, {"password_hash": "another"}])
def test_new_keys_end_the_tokens(change):
    own = account()
    value = issue_token(own, NOW)
    with pytest.raises(TokenError, match="decrypt token fail"):
        read_token(value, Accounts([dataclasses.replace(own, **change)]), NOW)


def test_accounts():
    own, other = account(), account("OTHER")
    accounts = Accounts([own, other])
    assert list(accounts) == [own, other]
    assert len(accounts) == 2
    assert accounts.with_access_key("OTHER") is other
    assert accounts.with_access_key("NONE") is None
