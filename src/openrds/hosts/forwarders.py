"""Which of the ways of passing connections on a host has."""

from pathlib import Path

from openrds.hosts.errors import HostError
from openrds.hosts.filtering import Filter, NoFilter
from openrds.hosts.forwarding import Forwarder, NoForwarder
from openrds.hosts.haproxy import Haproxy, remove_routes
from openrds.hosts.nftables import Nftables
from openrds.hosts.nftables_filter import NftablesFilter
from openrds.hosts.user import ServerUser

#: Values of the setting `forwarding`.
FORWARDINGS = ("auto", "nftables", "haproxy", "none")


def choose_forwarder(forwarding: str, data_dir: Path, user: ServerUser) -> Forwarder:
    """The means that is wanted, or with `auto` the first that can be used. No other passes on for this service then.

    Raises:
        HostError: the one that is wanted cannot be used; the message says why.
    """
    means = _means(data_dir, user)
    chosen = _choose(forwarding, means)
    for other in means:
        if other.name != chosen.name:
            other.stop()
    return chosen


def choose_filter(forwarder: Forwarder, data_dir: Path) -> Filter:
    """Where connections are passed on by nftables they are kept out by it too."""
    ours = NftablesFilter(data_dir)
    if forwarder.name == Nftables.name:
        return ours
    ours.stop()
    return NoFilter("this host does not pass connections on by nftables, see the setting forwarding.")


def stop_filtering(data_dir: Path) -> None:
    """Keep nobody out any more from the instances of this data directory.

    Raises:
        HostError: it cannot be stopped.
    """
    NftablesFilter(data_dir).stop()


def stop_forwarding(data_dir: Path) -> None:
    """Pass nothing on any more for the service of this data directory, by whatever means it was done.

    Raises:
        HostError: something cannot be stopped.
    """
    Nftables(data_dir).stop()
    remove_routes(_haproxy_folder(data_dir))


def _means(data_dir: Path, user: ServerUser) -> tuple[Forwarder, ...]:
    """The best first."""
    return Nftables(data_dir), Haproxy(_haproxy_folder(data_dir), user)


def _haproxy_folder(data_dir: Path) -> Path:
    return data_dir / "forwarder"


def _choose(forwarding: str, means: tuple[Forwarder, ...]) -> Forwarder:
    if forwarding == "none":
        return NoForwarder("This host passes no connections on: the setting forwarding is none.")
    problems = []
    for one in means:
        if forwarding in ("auto", one.name):
            refusal = one.refusal
            if not refusal:
                return one
            problems.append(refusal)
    if forwarding == "auto":
        return NoForwarder(" ".join(("This host cannot pass connections on.", *problems)))
    raise HostError(f"The setting forwarding is {forwarding}, but {problems[0]}")
