"""How the data of a server comes to a newer version."""

from typing import Protocol

from openrds.engines.protocol.node import NodeSpec


class Upgrades(Protocol):
    """From one version that a request may name to a newer one.

    In each of these `old` is the node as it is, and `new` the same of the newer installation, apart from it in a folder
    of its own on the same volume. Neither the data of `old` nor what it has archived is lost, whatever becomes of
    `new`: it is the way back.
    """

    def check(self, old: NodeSpec, new: NodeSpec) -> str:
        """What hinders the upgrade, as text for whoever owns the data; empty where nothing does.

        The server of `old` runs and goes on to serve. Nothing is left in the folder of `new`.

        Raises:
            EngineError: it could not be found out.
        """

    def check_at_rest(self, old: NodeSpec) -> str:
        """What hinders it that its clients can bring about until they are gone; the server runs where none comes.

        Raises:
            EngineError: it could not be found out.
        """

    def upgrade(self, old: NodeSpec, new: NodeSpec) -> None:
        """Make the data directory of `new` from that of `old`, whose server ended well.

        What an earlier try left is removed.

        Raises:
            EngineError: it cannot be done; the message says why.
        """

    def discard(self, new: NodeSpec) -> None:
        """End what is at work on `new`, and remove its folder.

        Raises:
            EngineError: a program does not die.
        """

    def complete(self, node: NodeSpec, before: str) -> None:
        """Once the server runs on upgraded data: let its administrator do what it could in the version `before`, and
        gather what queries are planned by.

        Raises:
            EngineError: it does not answer, or not all is gathered. It serves without too.
        """
