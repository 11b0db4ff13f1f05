"""One database server on this host."""

from typing import Protocol

from openrds.domain.metrics import Figures
from openrds.engines.protocol.node import NodeSpec
from openrds.engines.protocol.replication import Replication


class Server(Protocol):
    """One database server on this host."""

    node: NodeSpec

    @property
    def replication(self) -> Replication: ...

    def configure(self) -> None:
        """Write the configuration files that the node's flavor, address, port and upstream ask for."""

    def reload(self) -> None:
        """Write the configuration files, and have the running server take what it can without a restart.

        Quick, as clients may be waiting for it: a new certificate is for `load_certificate`.
        """

    def keep_certificate(self) -> str:
        """See that it has a certificate that is good for the names of its node, for a while.

        Returns what tells it from others, "" where none is needed. A server that runs has a new one after
        `load_certificate`, or when it is started. Cheap where there is nothing to do.
        """

    def load_certificate(self) -> None:
        """Have a running server show the certificate that there is now to clients that come. Who is there stays.

        Raises:
            EngineError: it does not take it.
        """

    def start(self) -> None:
        """Start the server unless it runs, and return once it answers.

        Raises:
            EngineError: it did not come up; the message ends with the last lines of its log.
        """

    def stop(self) -> None:
        """Stop the server cleanly if it runs: clients are cut, committed data is on disk."""

    def is_running(self) -> bool:
        """Whether the server's process lives. Cheap: no connection is made."""

    def answers(self) -> bool:
        """Whether the server answers a query on its own socket and accepts connections on its address.

        So does one that lives on after `demote`: who is to serve is told to by `resume`.
        """

    def figures(self) -> Figures:
        """What it says of what it does. One short session.

        Raises:
            EngineError: it does not answer, or lets nobody in.
        """

    def hangs(self) -> bool:
        """Whether it runs, and who connects waits in vain for any answer. One that refuses does not hang."""

    def kill(self) -> None:
        """End the server's process as a crash would.

        Raises:
            EngineError: it does not die.
        """

    def set_read_only(self, read_only: bool) -> None:
        """Keep clients from changing anything from now on, or let them again; the node's own word is not asked.

        A statement that is at work is ended. It is written down as `configure` would, and a server that does not run
        finds it when it starts.

        Raises:
            EngineError: the server did not take it.
        """

    def tidy(self) -> None:
        """See to its logs, and remove rights that an older openrds left to clients."""

    def bound_logs(self) -> None:
        """Close logs that have grown large or old, and remove those beyond what is kept. Cheap where there are none.

        Raises:
            EngineError: a file cannot be removed, or the server does not close one.
        """

    def set_administrator(self, name: str, sealed_password: str) -> None:
        """Create the administrator, or give it another password; it may do all but be a superuser.

        An empty `sealed_password` means none: it cannot log in until it is given one. A new one may log in from
        everywhere; what `set_remote_access` said of one that is there stays so.
        """

    def set_remote_access(self, name: str, allowed: bool) -> None:
        """Let the administrator log in from everywhere, or only from where the service itself is.

        Its password and rights stay as they are; one that clients have dropped is made anew, and nobody can log in to
        it until it is given a password. Only for an engine whose accounts have hosts.

        Raises:
            EngineError: the server refused, or has no such thing.
        """
