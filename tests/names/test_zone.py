"""What the name server answers to messages of any form, and how often."""

import dns.message
import dns.rcode
from hypothesis import given, settings
from hypothesis import strategies as st

from openrds.names.server import Budgets
from openrds.names.zone import Zone, come_by_tcp

ZONE = Zone("rds.internal", "127.0.0.1")
ZONE.tell({"orders4you": "10.0.0.3", "homeless": None})

QUERIES = [
    dns.message.make_query(name, kind, use_edns=edns, payload=4096).to_wire()
    for name in (
        "orders4you.rds.internal",
        "rds.internal",
        "nobody4u.rds.internal",
        "x." * 60 + "rds.internal",
    )
    for kind in ("A", "SOA", "ANY", "TXT", "IXFR", "TSIG")
    for edns in (False, 0)
]


@st.composite
def broken_queries(draw: st.DrawFn) -> bytes:
    """Queries of which some bytes were replaced, and some at the end are missing or too many."""
    wire = bytearray(draw(st.sampled_from(QUERIES)))
    for place, byte in draw(
        st.lists(st.tuples(st.integers(0, len(wire) - 1), st.integers(0, 255)), max_size=6)
    ):
        wire[place] = byte
    return bytes(wire[: draw(st.integers(0, len(wire)))] if draw(st.booleans()) else wire) + draw(st.binary())


@settings(max_examples=500, deadline=None)
@given(st.one_of(broken_queries(), st.binary(max_size=600)))
def test_whatever_comes_is_answered_shortly_or_not_at_all(wire: bytes) -> None:
    answer = ZONE.answer(wire)
    if len(wire) < 12 or wire[2] & 0x80:
        assert answer is None
    else:
        assert answer is not None and answer[:2] == wire[:2] and answer[2] & 0x80
        assert len(answer) <= max(12, min(512, len(wire) + 70))
    short = come_by_tcp(wire)
    assert short is None or len(short) == len(wire)


def test_a_name_without_an_address_is_there() -> None:
    query = dns.message.make_query("homeless.rds.internal", "A")
    answer = dns.message.from_wire(ZONE.answer(query.to_wire()) or b"")
    assert (answer.rcode(), answer.answer) == (dns.rcode.NOERROR, [])
    assert answer.authority


def test_nothing_is_said_not_to_exist_before_the_names_are_known() -> None:
    query = dns.message.make_query("orders4you.rds.internal", "A")
    answer = dns.message.from_wire(Zone("rds.internal", None).answer(query.to_wire()) or b"")
    assert answer.rcode() == dns.rcode.SERVFAIL


def test_the_serial_grows_with_each_change_and_only_then() -> None:
    zone, serials = Zone("rds.internal", None), []
    for addresses in ({}, {}, {"orders4you": "10.0.0.3"}, {"orders4you": "10.0.0.4"}):
        zone.tell(addresses)
        query = dns.message.make_query("rds.internal", "SOA")
        serials.append(dns.message.from_wire(zone.answer(query.to_wire()) or b"").answer[0][0].serial)
    assert serials[0] == serials[1] < serials[2] < serials[3]


def test_a_network_has_a_budget_that_comes_back() -> None:
    now = [100.0]
    budgets = Budgets(10, lambda: now[0])
    assert [budgets.take("10.0.0.3") for _ in range(12)] == [True] * 10 + [False] * 2
    assert not budgets.take("10.0.0.200")
    others = [budgets.take(f"10.0.{number}.3") for number in range(1, 20)]
    assert any(others)
    now[0] += 0.55
    assert [budgets.take("10.0.0.3") for _ in range(6)] == [True] * 5 + [False]
