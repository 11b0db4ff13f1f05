"""One server as an engine is told of it: where it is, whose, how large, and whom it follows."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypedDict

from openrds.domain.access import USUAL, AccessRow
from openrds.domain.engine import RULES, EngineName
from openrds.hosts.certificates import Issuer
from openrds.hosts.user import ServerUser


class Size(TypedDict):
    """What of a `NodeSpec` the flavor decides."""

    memory_mb: int
    vcpus: int


@dataclass(frozen=True)
class Installation:
    """The server binaries of one version, as found on this host.

    `version` is what a request names (`16`), `complete_version` what the binaries report (`16.14`). `speaks_tls` is
    whether they were built with it.
    """

    engine: EngineName
    version: str
    complete_version: str
    bin_dir: Path
    speaks_tls: bool = True


@dataclass(frozen=True)
class Tls:
    """That a server speaks TLS: `names` are the addresses at which clients come to it, the one they are told first, and
    the DNS name by which they find it.

    Its certificate is for them, and by `issuer`.
    """

    names: tuple[str, ...]
    issuer: Issuer = field(repr=False, compare=False)


@dataclass(frozen=True)
class Upstream:
    """What a node must know of the one that it is a copy of and follows: where that is, and by what it is let in.

    `memory_mb` and `vcpus` are the upstream's. `secret` is the family's, as in `NodeSpec`; with `tls` the upstream
    speaks it, and may demand it. `parameters` are those of its `NodeSpec`. `is_equal`: both are of one instance, and
    may change their roles; else the follower is a read replica. `here` is all of it, where it is on the follower's
    host. What goes through its folder or its socket takes it from there, and has no way from host to host yet.
    """

    node_id: str
    engine: EngineName
    address: str
    port: int
    memory_mb: int
    vcpus: int
    secret: str = field(repr=False)
    tls: bool
    demands_tls: bool
    is_equal: bool
    parameters: Mapping[str, str] = field(default_factory=dict, hash=False)
    here: "NodeSpec | None" = None

    @property
    def size(self) -> Size:
        return Size(memory_mb=self.memory_mb, vcpus=self.vcpus)


@dataclass(frozen=True)
class NodeSpec:
    """All an engine needs to know to run one server.

    `user` is whom the server runs as. `folder` holds everything of the node and belongs to it alone: `data/` and `log/`
    are the user's, the folder itself with the process record is ours. `socket_dir` is a short path for its Unix socket.
    `archive` is the folder where the instance's log is put: it is the same for all nodes of an instance. `memory_mb`
    and `vcpus` are the flavor's. `upstream` is whom this one is a copy of and follows, None for a primary.
    `confirmed_by` are the ids of followers: what is committed is acknowledged once one of them has it on disk; with
    none, nobody is waited for. A follower that `takes_over` is soon to be what its upstream is, and has the settings
    of its own flavor, also where no follower can have them that lets anybody in: until it is promoted even we may not
    ask it.
    With `read_only` clients can change nothing: the volume is full, or its owner wants it so.
    `secret` is the family's, an instance and its read replicas, and with it servers of the family let each other, and
    us, in where the engine has no better way. `options` are what the creation fixed, by neutral names:
    `lower_case_table_names` (`0` or `1`), `character_set` and `collation`; one that is not there is the engine's own.
    `parameters` are those that are set, by the server's own names, as its catalogue allows them; one that is too large
    for the size of the node is as if it were not set.
    Without `tls` the server offers none to clients that ask for it; with it, those who do not ask are let in all the
    same, unless the version is one that demands it.
    `access` is who may connect, and how, for an engine that asks so.
    """

    node_id: str
    user: ServerUser
    installation: Installation
    folder: Path
    socket_dir: Path
    archive: Path
    address: str
    port: int
    memory_mb: int
    vcpus: int
    time_zone: str = "UTC"
    read_only: bool = False
    upstream: Upstream | None = None
    confirmed_by: tuple[str, ...] = ()
    takes_over: bool = False
    secret: str = field(default="", repr=False)
    options: Mapping[str, str] = field(default_factory=dict, hash=False)
    parameters: Mapping[str, str] = field(default_factory=dict, hash=False)
    tls: Tls | None = None
    access: tuple[AccessRow, ...] = USUAL

    @property
    def engine(self) -> EngineName:
        return self.installation.engine

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    @property
    def size(self) -> Size:
        return Size(memory_mb=self.memory_mb, vcpus=self.vcpus)

    @property
    def demands_tls(self) -> bool:
        """Whether who comes to its address without TLS is refused."""
        return self.tls is not None and RULES[self.engine].demands_tls(self.installation.complete_version)

    @property
    def upstream_here(self) -> "NodeSpec":
        """All of the node that this one follows, which is on the same host."""
        assert self.upstream is not None, "only a node with an upstream follows"
        assert self.upstream.here is not None, (
            "what goes through an upstream's folder or socket is done on its host"
        )
        return self.upstream.here

    def as_upstream(self, *, is_equal: bool) -> Upstream:
        """What one on the same host that is to follow this node is told of it."""
        return Upstream(
            node_id=self.node_id,
            engine=self.engine,
            address=self.address,
            port=self.port,
            memory_mb=self.memory_mb,
            vcpus=self.vcpus,
            secret=self.secret,
            tls=self.tls is not None,
            demands_tls=self.demands_tls,
            is_equal=is_equal,
            parameters=self.parameters,
            here=replace(self, upstream=None),
        )
