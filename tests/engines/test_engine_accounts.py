"""Databases, accounts and privileges, as every engine has them: asked of real servers, and tried by logging in."""

import re

import msgspec
import pytest

from openrds.domain.accounts import (
    CommentAccount,
    CommentDatabase,
    CreateAccount,
    CreateDatabase,
    DropAccount,
    DropDatabase,
    Grantee,
    GrantPrivileges,
    Page,
    RevokePrivileges,
    SetAccountPassword,
)
from openrds.engines.protocol import AccountTaken, DatabaseTaken, NoSuchAccount, NoSuchDatabase
from support.dialects.dialect import PASSWORD

pytestmark = pytest.mark.grouped_by("installed")

ALL = Page(0, 100)
SECRET, OTHER = "Of-The-Account-1", "Of-The-Account-2"

#: Whatever clients may have made by SQL: names that would end a literal or an identifier, or are patterns.
ODD = ("a'b", 'a"b', "a`b", "a_b", "a%b", "a\\b", "a b", "ü-δοκ", "x'; DROP TABLE kept; --", "%s", "{}")


class Held:
    """A server, and what is asked of it here."""

    def __init__(self, trial, server):
        self.trial, self.server = trial, server
        self.accounts, self.dialect = trial.engine.accounts, trial.dialect

    @property
    def node(self):
        return self.server.node

    @property
    def schema(self):
        return "public" if self.dialect.rules.has_schemas else ""

    def apply(self, change):
        self.accounts.apply(self.node, change)
        self.accounts.apply(self.node, change)  # as after a crash

    def make_database(self, name, comment=""):
        owner, character_set = ("root", "UTF8") if self.schema else ("", "utf8mb4")
        change = CreateDatabase(name, character_set, owner=owner, comment=comment)
        self.accounts.check(self.node, change)
        self.apply(change)
        return change

    def make_account(self, name, password=SECRET, **more):
        if not self.schema:
            more = {"hosts": ("%",)} | more
        change = CreateAccount(name, self.trial.engine.seal_password(password), **more)
        self.accounts.check(self.node, change)
        self.apply(change)
        return change

    def grant(self, database, account, *, read_only):
        grantee = Grantee(account, self.schema, read_only)
        self.apply(GrantPrivileges(database, (grantee,)))

    def revoke(self, database, account):
        self.apply(RevokePrivileges(database, (Grantee(account, self.schema),)))

    def databases(self):
        return {one.name: one for one in self.accounts.databases(self.node, ALL)[0]}

    def users(self):
        return {one.name: one for one in self.accounts.accounts(self.node, ALL)[0]}

    def session(self, user="root", password=SECRET, database=None):
        """Where everybody may be, unless it matters."""
        return self.dialect.connect(
            self.node.address,
            self.node.port,
            user=user,
            password=PASSWORD if user == "root" else password,
            database=database or self.dialect.open_to_all,
        )

    def may(self, statement, user, database=None, password=SECRET):
        try:
            with self.session(user, password, database) as client:
                client.execute(statement)
        except self.dialect.Error as error:
            assert re.search("denied|must be", str(error), re.I), error
            return False
        return True


@pytest.fixture
def held(shared):
    return Held(*shared)


@pytest.mark.every_engine
def test_a_database_is_made_listed_described_and_dropped(held):
    held.make_database("shop", comment="it's the shop's")

    assert held.databases()["shop"].comment == "it's the shop's"
    assert held.databases()["shop"].character_set.lower() in ("utf8", "utf8mb4")
    with held.session(database="shop") as client:
        client.execute("CREATE TABLE kept (x INT)")
    held.apply(CommentDatabase("shop", ""))
    assert held.databases()["shop"].comment == ""
    held.apply(DropDatabase("shop"))
    assert "shop" not in held.databases()


@pytest.mark.every_engine
def test_what_is_there_or_not_is_said_before_anything_is_done(held):
    database, account = held.make_database("there"), held.make_account("there")
    for change, error in (
        (database, DatabaseTaken),
        (account, AccountTaken),
        (DropDatabase("gone"), NoSuchDatabase),
        (CommentDatabase("gone", "x"), NoSuchDatabase),
        (DropAccount("gone"), NoSuchAccount),
        (SetAccountPassword("gone", account.sealed_password), NoSuchAccount),
        (GrantPrivileges("gone", (Grantee("there", held.schema),)), NoSuchDatabase),
        (GrantPrivileges("there", (Grantee("gone", held.schema),)), NoSuchAccount),
        (RevokePrivileges("there", (Grantee("gone", held.schema),)), NoSuchAccount),
    ):
        with pytest.raises(error):
            held.accounts.check(held.node, change)


@pytest.mark.every_engine
def test_an_account_of_the_name_that_somebody_else_made_is_not_taken_over(held):
    account = held.make_account("theirs")
    ours = replace_password(held, account, OTHER)

    with pytest.raises(AccountTaken):
        held.accounts.apply(held.node, ours)

    assert held.may("SELECT 1", "theirs")


@pytest.mark.every_engine
def test_an_account_logs_in_with_its_password_until_it_is_dropped(held):
    held.make_account("eve", comment="of sales")
    assert held.users()["eve"].comment == "of sales"
    assert held.may("SELECT 1", "eve")

    held.apply(SetAccountPassword("eve", held.trial.engine.seal_password(OTHER)))
    with pytest.raises(held.dialect.Error, match=held.dialect.wrong_password):
        held.session("eve", SECRET)
    held.apply(CommentAccount("eve", ""))
    assert held.users()["eve"].comment == ""
    with held.session("eve", OTHER) as client:
        held.apply(DropAccount("eve"))
        with pytest.raises(held.dialect.Error):
            client.execute("SELECT 1")

    assert "eve" not in held.users()
    with pytest.raises(held.dialect.Error):
        held.session("eve", OTHER)


@pytest.mark.every_engine
def test_who_may_read_cannot_write_and_who_is_revoked_cannot_read(held):
    held.make_database("books")
    held.make_account("reader")
    with held.session(database="books") as client:
        client.execute("CREATE TABLE old (x INT)")
    reads, writes = "SELECT * FROM old", "INSERT INTO old VALUES (1)"
    if not held.schema:  # of PostgreSQL anybody may look at a database
        assert not held.may("SELECT 1", "reader", "books")
    held.grant("books", "reader", read_only=True)
    assert (held.may(reads, "reader", "books"), held.may(writes, "reader", "books")) == (True, False)
    assert not held.may("CREATE TABLE own (x INT)", "reader", "books")
    with held.session(database="books") as client:
        client.execute("CREATE TABLE new (x INT)")
    assert held.may("SELECT * FROM new", "reader", "books")

    held.grant("books", "reader", read_only=False)
    assert held.may(writes, "reader", "books")
    assert held.may("INSERT INTO new VALUES (1)", "reader", "books")
    assert held.may("CREATE TABLE own (x INT)", "reader", "books")

    held.grant("books", "reader", read_only=True)
    assert (held.may(reads, "reader", "books"), held.may(writes, "reader", "books")) == (True, False)

    held.revoke("books", "reader")
    if held.schema:
        assert not held.may(reads, "reader", "books")
    else:
        assert not held.may("SELECT 1", "reader", "books")


@pytest.mark.every_engine
def test_a_right_on_a_database_is_one_on_no_other(held):
    """Whose name the first one's would be a pattern for."""
    for name in ("a_c", "abc"):
        held.make_database(name)
        with held.session(database=name) as client:
            client.execute("CREATE TABLE kept (x INT)")
    held.make_account("narrow")

    held.grant("a_c", "narrow", read_only=True)

    assert held.may("SELECT * FROM kept", "narrow", "a_c")
    assert not held.may("SELECT * FROM kept", "narrow", "abc")


@pytest.mark.every_engine
@pytest.mark.parametrize("name", ODD)
def test_names_of_any_letters_are_only_names(held, name):
    """Databases and accounts that clients have made so are listed, granted and dropped as others are."""
    quoted = quoted_name(held, name)
    with held.session() as client:
        client.execute(f"CREATE DATABASE {quoted}".replace("%", "%%"), ())
    assert name in held.databases()
    held.make_account(name, comment=name)
    assert held.users()[name].comment == name

    held.grant(name, name, read_only=True)
    if not held.schema:
        assert held.may("SELECT 1", name, name)
        assert [one.database for one in held.accounts.rights_of(held.node, name, ALL)[0]] == [name]
        assert held.accounts.rights_in(held.node, name, ALL) == ([(name, True)], 1)
    held.apply(CommentDatabase(name, name))
    assert held.databases()[name].comment == name
    held.revoke(name, name)
    held.apply(DropDatabase(name))
    held.apply(DropAccount(name))

    assert name not in held.databases()
    assert name not in held.users()
    assert held.trial.query(held.server, "SELECT 1") == 1


@pytest.mark.every_engine
def test_lists_come_in_pages_with_the_count_of_all(held):
    for name in ("page1", "page2", "page3"):
        held.make_database(name)
        held.make_account(name)
    names = sorted(held.databases())
    assert [one.name for one in held.accounts.databases(held.node, Page(1, 2))[0]] == names[1:3]
    assert held.accounts.databases(held.node, Page(len(names), 2)) == ([], len(names))
    assert [one.name for one in held.accounts.databases(held.node, ALL, "page2")[0]] == ["page2"]
    users = sorted(held.users())
    assert [one.name for one in held.accounts.accounts(held.node, Page(1, 1))[0]] == users[1:2]
    assert held.accounts.accounts(held.node, Page(len(users), 2)) == ([], len(users))


@pytest.mark.every_engine
def test_what_is_not_the_tenants_is_as_if_not_there(held):
    account = held.make_account("tenant")
    service = held.dialect.service_user
    assert not {"root", service, "rdsRepl"} & held.users().keys()
    for name in ("root", service):
        with pytest.raises(NoSuchAccount):
            held.accounts.check(held.node, DropAccount(name))
        with pytest.raises(NoSuchAccount):
            held.accounts.apply(held.node, DropAccount(name))
        with pytest.raises(NoSuchAccount):
            held.accounts.apply(held.node, SetAccountPassword(name, account.sealed_password))
        with pytest.raises(AccountTaken):
            held.accounts.check(held.node, CreateAccount(name, account.sealed_password, hosts=("%",)))
    own = ("template1",) if held.schema else ("mysql", "sys", "information_schema", "performance_schema")
    assert not {*own} & held.databases().keys()
    for name in own:
        with pytest.raises(NoSuchDatabase):
            held.grant(name, "tenant", read_only=True)
        with pytest.raises(NoSuchDatabase):
            held.accounts.apply(held.node, DropDatabase(name))


@pytest.mark.every_engine
def test_an_account_has_no_right_that_no_tenant_has(held):
    held.make_database("mine")
    held.make_account("climber")
    held.grant("mine", "climber", read_only=False)
    for statement in held.dialect.privileged:
        assert not held.may(statement, "climber", "mine"), statement


@pytest.mark.of_engines("PostgreSQL", "MySQL")
def test_the_administrator_manages_what_was_made_for_it(held):
    held.make_account("managed")
    with held.session() as root:
        root.execute(held.dialect.set_password("managed", OTHER))
    assert held.may("SELECT 1", "managed", password=OTHER)
    with held.session() as root:
        root.execute("DROP USER managed")
    assert "managed" not in held.users()


def replace_password(held, account, password):
    return msgspec.structs.replace(account, sealed_password=held.trial.engine.seal_password(password))


def quoted_name(held, name):
    mark = '"' if held.schema else "`"
    return mark + name.replace(mark, mark * 2) + mark
