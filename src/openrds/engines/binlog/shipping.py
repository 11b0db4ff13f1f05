"""A server's own log into its instance's archive, and the end of it that is not there yet."""

from itertools import pairwise

from openrds.engines.binlog import logs, sessions
from openrds.engines.binlog.archive import Archive, LocalLog, finished
from openrds.engines.binlog.flavour import Flavour
from openrds.engines.binlog.gtids import GtidSet, parse
from openrds.engines.binlog.history import Chain
from openrds.engines.protocol import EngineError, NodeSpec
from openrds.hosts.errors import HostError
from openrds.hosts.folders import make_home

#: What a server calls the first file of its log, and how it begins another one.
FIRST_LOG = "binlog.000001"
ROTATE = "FLUSH NO_WRITE_TO_BINLOG BINARY LOGS"


def ship(node: NodeSpec, flavour: Flavour) -> None:
    """
    Put the files that a server has finished into the archive.

    Raises:
        EngineError: they cannot be put there, or a server that is new there does not answer.
    """
    archive, local = _archive(node), local_log(node, flavour)
    if archive.before(local.identity) is None:
        archive.note_before(node.node_id, local.identity, _ask_before(node, flavour, local))
    archive.note_primary(node.node_id, local.identity)
    archive.ship(node.node_id, local, finished(local.files))


def ship_remains(node: NodeSpec, flavour: Flavour) -> None:
    """
    Put what a dead server has of its log into the archive, up to its last whole transaction.

    Raises:
        EngineError: it cannot be put there.
    """
    local = local_log(node, flavour)
    _archive(node).ship(node.node_id, local, local.files, torn=True)


def first_to_keep(node: NodeSpec, flavour: Flavour, before: float, *, archived: bool) -> str | None:
    """The name of the file up to which all were finished before a time, in seconds; with `archived`, and are archived.

    Raises:
        EngineError: the log cannot be read.
    """
    archive, local = Archive(node.archive, node.user), local_log(node, flavour)
    kept = None
    for path, next_ in pairwise(local.files):
        if logs.head_of(next_, node.user).begun > before:
            break
        if archived and not archive.has(node.node_id, local, path):
            break
        kept = next_.name
    return kept


def local_log(node: NodeSpec, flavour: Flavour) -> LocalLog:
    """
    Raises:
        EngineError: there is no log.
    """
    try:
        return LocalLog.of(node.data_dir, node.user, flavour.log_identity(node.data_dir, node.user))
    except OSError as error:
        raise EngineError(f"the log of {node.node_id} cannot be read: {error.strerror}") from error


def present_chain(node: NodeSpec, flavour: Flavour) -> Chain | None:
    """All that a running primary has of its log.

    Raises:
        EngineError: it cannot be read, or the server does not answer.
    """
    local = local_log(node, flavour)
    before = Archive(node.archive, node.user).before(local.identity)
    return local.chain(node.user, _ask_before(node, flavour, local) if before is None else before)


def _ask_before(node: NodeSpec, flavour: Flavour, local: LocalLog) -> GtidSet:
    """What the data had before the server began to log: what is purged is more, by the files that are gone."""
    if not flavour.purged or not local.files:
        return GtidSet()
    with sessions.session(node) as connection:
        purged = parse(str(sessions.scalar(connection, flavour.purged) or ""))
    return purged - logs.head_of(local.files[0], node.user).previous


def _archive(node: NodeSpec) -> Archive:
    try:
        make_home(node.archive.parent)
        node.user.make_folder(node.archive)
    except HostError as error:
        raise EngineError(str(error)) from error
    return Archive(node.archive, node.user)
