"""The zone of the instances' names, and what is answered to a query. Source: RFC 1034, 1035, 2308, 6891, 8482."""

import time
from collections.abc import Mapping
from functools import lru_cache

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from dns.rdataclass import IN
from dns.rdatatype import ANY, AXFR, IXFR, NS, SOA, A

from openrds.domain.dns_names import HOSTMASTER, NAME_SERVER

#: Seconds for which others may keep an answer, also that there is none: so soon they follow an instance that moved.
TTL = 5
#: The same for what does not change.
_TTL_OF_ZONE = 300
#: For those who ask for the whole zone, which nobody gets (RFC 1912, 2.2).
_REFRESH, _RETRY, _EXPIRE = 3600, 600, 86400
#: What is sure not to be parted on its way (DNS flag day 2020). Our answers are below 512.
_PAYLOAD = 1232

_HEADER_BYTES = 12
_QR, _OPCODE, _TC, _RD = 0x80, 0x78, 0x02, 0x01

_Data = dns.rdata.Rdata


class Zone:
    """Answers queries by the names that it was last told of; before it was, it fails those for its own names."""

    def __init__(self, origin: str, address: str | None) -> None:
        """`address` is where this server is asked, None where it listens on all there are."""
        self._origin = dns.name.from_text(origin)
        self._soa = f"{NAME_SERVER}.{self._origin} {HOSTMASTER}.{self._origin}"
        self._own = {NAME_SERVER.encode(): _address(address)} if address else {}
        self._serial = 0
        self._apex: dict[dns.rdatatype.RdataType, _Data] = {}
        # Replaced as a whole, and never changed: it is told in one thread, and read in another.
        self._names: Mapping[bytes, _Data | None] | None = None

    def tell(self, addresses: Mapping[str, str | None]) -> None:
        """The address of each label, None where there is none now."""
        told = {label.encode(): _address(address) for label, address in addresses.items()}
        names = told | self._own
        if names == self._names:
            return
        self._serial = max(self._serial + 1, int(time.time())) % 2**32
        soa = f"{self._soa} {self._serial} {_REFRESH} {_RETRY} {_EXPIRE} {TTL}"
        self._apex = {
            SOA: dns.rdata.from_text(IN, SOA, soa),
            NS: dns.rdata.from_text(IN, NS, f"{NAME_SERVER}.{self._origin}"),
        }
        self._names = names

    def answer(self, wire: bytes) -> bytes | None:
        """The answer to a message; None to what deserves none."""
        if len(wire) < _HEADER_BYTES or wire[2] & _QR:
            return None
        if wire[2] & _OPCODE:
            return _bare(wire, dns.rcode.NOTIMP)
        try:
            query = dns.message.from_wire(wire)
            response = dns.message.make_response(query, our_payload=_PAYLOAD)
            if len(query.question) != 1:
                return _bare(wire, dns.rcode.FORMERR)
            if query.edns > 0:
                response.set_rcode(dns.rcode.BADVERS)
            else:
                self._fill(response, query.question[0])
            return response.to_wire()
        except (dns.exception.DNSException, ValueError):
            return _bare(wire, dns.rcode.FORMERR)

    def _fill(self, response: dns.message.Message, question: dns.rrset.RRset) -> None:
        name, kind, names = question.name, question.rdtype, self._names
        if question.rdclass != IN or kind in (AXFR, IXFR) or not name.is_subdomain(self._origin):
            response.set_rcode(dns.rcode.REFUSED)
            return
        if names is None:
            response.set_rcode(dns.rcode.SERVFAIL)
            return
        response.flags |= dns.flags.AA
        data, found = None, True
        if name == self._origin:
            data = self._apex.get(SOA if kind == ANY else kind)
        else:
            label = name.relativize(self._origin).labels[-1].lower()
            found = len(name) == len(self._origin) + 1 and label in names
            data = names[label] if found and kind in (A, ANY) else None
        if data is not None:
            ttl = _TTL_OF_ZONE if name == self._origin else TTL
            response.answer.append(dns.rrset.from_rdata(name, ttl, data))
            return
        if not found:
            response.set_rcode(dns.rcode.NXDOMAIN)
        response.authority.append(dns.rrset.from_rdata(self._origin, TTL, self._apex[SOA]))


def come_by_tcp(wire: bytes) -> bytes | None:
    """The answer to a query by UDP that says no more than that it is to be asked by TCP, where nobody can be feigned.

    It is no longer than the query.
    """
    if len(wire) < _HEADER_BYTES or wire[2] & (_QR | _OPCODE):
        return None
    return wire[:2] + bytes([_QR | _TC | wire[2] & _RD, 0]) + wire[4:]


@lru_cache(4096)
def _address(text: str | None) -> _Data | None:
    return None if text is None else dns.rdata.from_text(IN, A, text)


def _bare(wire: bytes, rcode: dns.rcode.Rcode) -> bytes:
    """An answer without anything but its code."""
    return wire[:2] + bytes([_QR | wire[2] & (_OPCODE | _RD), rcode]) + bytes(8)
