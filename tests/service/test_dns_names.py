"""Private DNS names: looked up by a resolver, gone to by clients that verify them, and each of one project alone."""

import socket
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.resolver
import pytest

from openrds.domain.engine import EngineName
from support.command import completed
from support.dialects import DIALECTS, POSTGRESQL
from support.engines import found, needs_engine
from support.service import (
    ALL_ENGINES,
    PASSWORD,
    ServiceUnderTest,
    free_port,
    fresh,
    running_service,
    session,
    wait_for,
)

ZONE = "db.test"
#: PostgreSQL's last ones may be those of the wheel, which have no TLS.
ENCRYPTING = [one.version for one in found(EngineName.POSTGRESQL) if one.speaks_tls]

pytestmark = pytest.mark.skipif(not ENCRYPTING, reason="no PostgreSQL of this host was built with TLS")


@pytest.fixture(scope="module")
def service() -> Iterator[ServiceUnderTest]:
    listen = f"127.0.0.1:{free_port()}"
    with running_service(
        projects="local-1,other", dns_listen=listen, dns_zone=ZONE, **ALL_ENGINES
    ) as running:
        yield running


@pytest.fixture(scope="module")
def instance(service: ServiceUnderTest) -> dict[str, Any]:
    return created(service)


def created(service: ServiceUnderTest, **changes: Any) -> dict[str, Any]:
    return service.create(datastore={"type": "PostgreSQL", "version": ENCRYPTING[-1]}, **changes)


def where(service: ServiceUnderTest) -> tuple[str, int]:
    host, _, port = service.options["dns_listen"].rpartition(":")
    return host, int(port)


def addresses(service: ServiceUnderTest, name: str, tcp: bool = False) -> list[str] | None:
    """What a resolver finds; None where the name does not exist."""
    host, port = where(service)
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port, resolver.lifetime = [host], port, 10
    try:
        found = resolver.resolve(name, "A", tcp=tcp, raise_on_no_answer=False, search=False)
    except dns.resolver.NXDOMAIN:
        return None
    return [str(one) for one in found.rrset or ()]


def ask(service: ServiceUnderTest, name: str, kind: str = "A", **options: Any) -> dns.message.Message:
    host, port = where(service)
    query = dns.message.make_query(name, kind, **options)
    return dns.query.udp(query, host, timeout=10, port=port)


def give(service: ServiceUnderTest, instance: dict[str, Any], label: str | None = None) -> dict[str, Any]:
    """The task, once it has ended well."""
    answer = asked(service, instance, label)
    assert answer.status_code == 200, answer.text
    return service.completed(answer.json()["job_id"])


def asked(service: ServiceUnderTest, instance: dict[str, Any], label: str | None) -> Any:
    path = f"instances/{instance['id']}"
    if label is None:
        return service.call("POST", f"{path}/create-dns", {"dns_type": "private"}, headers=fresh())
    return service.call("PUT", f"{path}/modify-dns", {"dns_name": label}, headers=fresh())


def is_verified(service: ServiceUnderTest, instance: dict[str, Any], name: str) -> bool:
    """Whether a client that looks the name up, and wants to know that it came to it, is let in."""
    (address,) = addresses(service, name) or [""]
    dialect = DIALECTS[EngineName(instance["datastore"]["type"])]
    ca = service.data_dir / "ca.crt"
    try:
        dialect.connect(address, instance["port"], password=PASSWORD, ca=ca, name=name).close()
    except dialect.Error:
        return False
    return True


def test_a_name_leads_to_its_instance_wherever_that_goes(
    service: ServiceUnderTest, instance: dict[str, Any]
) -> None:
    first = f"{instance['id']}.{ZONE}"
    path = f"instances/{instance['id']}"
    assert instance["private_dns_names"] == []
    assert addresses(service, first) is None
    nameless = {"instance_id": instance["id"], "dns_name": "", "dns_type": "private", "status": ""}
    assert service.get(f"{path}/dns?dns_type=private") == {**nameless, "ipv4_address": ""}
    assert give(service, instance)["name"] == "CreatePostgresqlDnsName"
    (address,) = instance["private_ips"]
    assert wait_for(lambda: addresses(service, first)) == [address]
    assert is_verified(service, instance, first)
    named = {**nameless, "dns_name": first, "status": "normal"}
    assert service.get(f"{path}/dns?dns_type=private") == {**named, "ipv4_address": address}
    assert service.get(f"{path}/dns-ipv6?dns_type=private") == {**named, "ipv6_address": ""}
    assert service.instance(instance["id"])["private_dns_names"] == [first]
    refused = asked(service, instance, None)
    assert (refused.status_code, refused.json()["error_code"]) == (400, "DBS.200001")

    second = f"orders4you.{ZONE}"
    assert give(service, instance, "Orders4You")["name"] == "ModifyPostgresqlDnsName"
    assert wait_for(lambda: addresses(service, second)) == [address]
    assert addresses(service, second.upper(), tcp=True) == [address]
    assert addresses(service, first) is None
    assert is_verified(service, instance, second)
    assert not is_verified_as(service, instance, address, first)

    moved = service.call("PUT", f"{path}/ip", {"new_ip": last_of_pool(service)}, headers=fresh())
    service.completed(moved.json()["workflowId"])
    assert wait_for(lambda: addresses(service, second) == [last_of_pool(service)])
    assert is_verified(service, instance, second)


def last_of_pool(service: ServiceUnderTest) -> str:
    return service.options["private_cidr"].replace(".0/24", ".254")


def is_verified_as(service: ServiceUnderTest, instance: dict[str, Any], address: str, name: str) -> bool:
    try:
        ca = service.data_dir / "ca.crt"
        POSTGRESQL.connect(address, instance["port"], password=PASSWORD, ca=ca, name=name).close()
    except POSTGRESQL.Error:
        return False
    return True


def test_it_answers_for_its_zone_alone(service: ServiceUnderTest, instance: dict[str, Any]) -> None:
    apex = ask(service, ZONE, "SOA")
    assert apex.rcode() == dns.rcode.NOERROR and apex.flags & dns.flags.AA and not apex.flags & dns.flags.RA
    soa = apex.answer[0][0]
    assert (str(soa.mname), soa.minimum) == (f"ns.{ZONE}.", 5)
    assert str(ask(service, ZONE, "NS").answer[0][0]) == f"ns.{ZONE}."
    assert addresses(service, f"ns.{ZONE}") == [where(service)[0]]
    for name in (f"nobody.{ZONE}", f"deeper.ns.{ZONE}"):
        missing = ask(service, name)
        assert missing.rcode() == dns.rcode.NXDOMAIN and missing.flags & dns.flags.AA
        assert missing.authority[0].to_text().startswith(f"{ZONE}. 5 IN SOA")
    for name, kind in ((f"ns.{ZONE}", "AAAA"), (ZONE, "A"), (ZONE, "MX")):
        empty = ask(service, name, kind, use_edns=0)
        assert (empty.rcode(), empty.answer) == (dns.rcode.NOERROR, [])
        assert empty.authority[0].to_text().startswith(f"{ZONE}. 5 IN SOA")
    for name, kind in (
        ("example.org", "A"),
        ("test", "NS"),
        (".", "NS"),
        (ZONE, "AXFR"),
        (f"not{ZONE}", "A"),
    ):
        refused = ask(service, name, kind)
        assert refused.rcode() == dns.rcode.REFUSED, (name, kind)
        assert not (refused.answer or refused.authority or refused.flags & dns.flags.AA)
    chaos = dns.message.make_query("version.bind", "TXT", "CH")
    host, port = where(service)
    assert dns.query.tcp(chaos, host, timeout=10, port=port).rcode() == dns.rcode.REFUSED
    assert ask(service, ZONE, "SOA", use_edns=1).rcode() == dns.rcode.BADVERS


WRONG = {
    "too short": "short12",
    "too long for a label": "a" * 64,
    "a dot": "orders.of.all",
    "a hyphen": "orders-of-all",
    "a blank": "orders of all",
    "an accent": "ordérsofall",
    "digits of another script": "orders\N{ARABIC-INDIC DIGIT ONE}\N{ARABIC-INDIC DIGIT ONE}",
    "a letter that is ASCII in lower case alone": "orders2\N{KELVIN SIGN}you",
    "nothing": "",
    "for the service": "HostMaster",
    "another instance's": "0" * 32 + "in03",
}


@pytest.mark.parametrize("label", WRONG.values(), ids=WRONG)
def test_a_wrong_name_is_refused(service: ServiceUnderTest, instance: dict[str, Any], label: str) -> None:
    before = service.instance(instance["id"])["private_dns_names"]
    refused = asked(service, instance, label)
    assert (refused.status_code, refused.json()["error_code"]) == (400, "DBS.200001"), refused.text
    assert "dns_name" in refused.json()["error_msg"]
    assert service.instance(instance["id"])["private_dns_names"] == before


def test_other_bad_input(service: ServiceUnderTest, instance: dict[str, Any]) -> None:
    path = f"instances/{instance['id']}"
    for method, call, body in (
        ("POST", "create-dns", {"dns_type": "public"}),
        ("POST", "create-dns", {}),
        ("POST", "create-dns", {"dns_type": None}),
        ("PUT", "modify-dns", {"dns_name": 12345678}),
        ("GET", "dns?dns_type=public", None),
        ("GET", "dns-ipv6?dns_type=", None),
    ):
        answer = service.call(method, f"{path}/{call}", body, headers=fresh())
        assert answer.status_code == 400, (call, answer.text)
        assert answer.json()["error_code"] == "DBS.200001"
    unknown = service.call("GET", f"instances/{'0' * 32}in03/dns?dns_type=private")
    assert (unknown.status_code, unknown.json()["error_code"]) == (404, "DBS.200002")


def test_a_name_stays_its_projects_when_its_instance_is_gone(service: ServiceUnderTest) -> None:
    """For clients may still come by it, and must not come to a stranger."""
    other = replace(service, project="other")
    ours, theirs = created(service, name="ours"), created(other, name="theirs")
    give(service, ours, "billing0")
    for label in ("billing0", "BILLING0"):
        refused = asked(other, theirs, label)
        assert refused.json()["error_msg"] == "dns_name: billing0 is taken; choose another."
    service.delete(ours["id"])
    assert wait_for(lambda: addresses(service, f"billing0.{ZONE}") is None)
    assert asked(other, theirs, "billing0").status_code == 400
    again = created(service, name="ours")
    give(service, again, "billing0")
    assert wait_for(lambda: addresses(service, f"billing0.{ZONE}")) == again["private_ips"]
    assert is_verified(service, again, f"billing0.{ZONE}")
    give(service, again, "billing1")
    mine = asked(service, again, "billing1").json()["error_msg"]
    assert "already" in mine
    assert asked(other, theirs, "billing0").status_code == 400
    service.delete(again["id"])
    other.delete(theirs["id"])


@pytest.mark.parametrize(
    "engine",
    [pytest.param(name, marks=needs_engine(name)) for name in (EngineName.MYSQL, EngineName.MARIADB)],
)
def test_other_engines_vouch_for_their_names(service: ServiceUnderTest, engine: EngineName) -> None:
    made = service.create(DIALECTS[engine], name=engine.lower())
    give(service, made, f"shop0f{engine}")
    name = f"shop0f{engine.lower()}.{ZONE}"
    assert wait_for(lambda: addresses(service, name)) == made["private_ips"]
    assert wait_for(lambda: is_verified(service, made, name), 10.0)
    service.delete(made["id"])


def test_a_name_follows_a_switchover_and_outlives_the_name_server(service: ServiceUnderTest) -> None:
    pair = created(
        service,
        name="pair",
        flavor_ref=POSTGRESQL.flavor("medium.2", "ha"),
        availability_zone="local-1a,local-1a",
        ha={"mode": "Ha", "replication_mode": "sync"},
    )
    give(service, pair, "pair4ever")
    name = f"pair4ever.{ZONE}"
    assert wait_for(lambda: addresses(service, name)) == pair["private_ips"]
    service.child("name server").kill()
    answer = service.call("PUT", f"instances/{pair['id']}/failover", {}, headers=fresh())
    service.completed(answer.json()["workflowId"])
    assert wait_for(lambda: is_answered(service, name)) == pair["private_ips"]
    assert is_verified(service, pair, name)
    service.delete(pair["id"])


def is_answered(service: ServiceUnderTest, name: str) -> list[str] | None:
    """One that has just died answers nobody."""
    try:
        ask(service, name)
    except OSError:
        return None
    return addresses(service, name)


def test_strangers_are_bounded_and_harm_nobody(service: ServiceUnderTest, instance: dict[str, Any]) -> None:
    """Many connections that say nothing, what is no query, and more queries than are answered by UDP."""
    host, port = where(service)
    silent = [socket.create_connection((host, port)) for _ in range(300)]
    assert addresses(service, f"ns.{ZONE}", tcp=True) == [host]
    closed = wait_for(lambda: [one for one in silent if has_ended(one)], 5.0)
    assert len(closed) < 100
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.connect((host, port))
        stranger.settimeout(5)
        query = dns.message.make_query(f"nobody.{ZONE}", "A", use_edns=0).to_wire()
        for junk in (b"", b"\0", bytes(11), query[:2] + b"\x81\x80" + query[4:]):
            stranger.send(junk)
        for wrong, code in (
            (query[:20], dns.rcode.FORMERR),
            (query[:2] + b"\x28" + query[3:], dns.rcode.NOTIMP),
        ):
            stranger.send(wrong)
            assert stranger.recv(4096)[3] & 15 == code
        sizes: list[int] = []
        while not sizes or sizes[-1] != len(query):
            for _ in range(50):
                stranger.send(query)
            sizes += [len(stranger.recv(4096)) for _ in range(50)]
            assert len(sizes) < 100_000
        assert max(sizes) < 3 * len(query)
    assert addresses(service, f"ns.{ZONE}") == [host]
    for one in silent:
        one.close()
    with session(service.instance(instance["id"])) as connection:
        assert connection.execute("SELECT 1") == [(1,)]


def has_ended(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_the_command_gives_names(service: ServiceUnderTest, instance: dict[str, Any]) -> None:
    environment = service.environment() | {"OPENRDS_DATA_DIR": str(service.data_dir)}
    done = completed(("instance", "dns", instance["id"], "archive99"), environment, 60)
    assert done.returncode == 0, done.stderr
    shown = completed(("instance", "show", instance["id"]), environment, 60)
    assert f"archive99.{ZONE}" in shown.stdout


def test_without_a_name_server_there_are_no_names() -> None:
    with running_service() as service:
        made = service.create()
        for method, call, body in (
            ("POST", "create-dns", {"dns_type": "private"}),
            ("PUT", "modify-dns", {"dns_name": "orders4you"}),
            ("GET", "dns?dns_type=private", None),
            ("GET", "dns-ipv6?dns_type=private", None),
        ):
            answer = service.call(method, f"instances/{made['id']}/{call}", body, headers=fresh())
            assert (answer.status_code, answer.json()["error_code"]) == (409, "DBS.200402")
            assert "OPENRDS_DNS_LISTEN" in answer.json()["error_msg"]
        assert made["private_dns_names"] == []
