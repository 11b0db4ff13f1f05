"""The parameters of servers: which there are, and how those that are set come into force."""

from collections.abc import Collection, Mapping
from typing import Protocol

from openrds.domain.parameters import Parameter
from openrds.engines.protocol.node import NodeSpec, Size


class Parameters(Protocol):
    """What of the parameters of an engine a tenant may set (`NodeSpec.parameters`), and with what effect.

    Which may be set is a list of the engine's package: nothing that says where files are, runs a program, loads what
    is not on another list, or is openrds' own. What each of them is, the servers say themselves.
    """

    def catalogue(self, node: NodeSpec) -> tuple[Parameter, ...]:
        """What servers of the node's installation have, in the order of their names.

        The node is a place for a server that is started to be asked: nothing is there before, nothing runs afterwards,
        and what it leaves is the caller's to remove.

        Raises:
            EngineError: it cannot be made, or asked.
        """

    def derived(self, size: Size, options: Mapping[str, str]) -> Mapping[str, str]:
        """What servers of a size have, created with such `options`, where nothing is set; others have one value for all
        sizes. Pure.
        """

    def room(self) -> Collection[str]:
        """Of which parameters a read replica has at least what its primary has, whatever is set of its own. Numbers."""

    def apply(self, node: NodeSpec, before: Mapping[str, str]) -> None:
        """Write the configuration of a node, and have its server, if it runs, take what it can without a restart.

        `before` are the parameters that it had until now.

        Raises:
            EngineError: it does not take one; the message says which, and why.
        """

    def in_force(self, node: NodeSpec, names: Collection[str]) -> Mapping[str, str]:
        """What a running server says of some of its parameters; of those that it does not have, nothing.

        Not of those that our own sessions bring with them.

        Raises:
            EngineError: it does not answer.
        """

    def lacks_room(self, node: NodeSpec) -> bool:
        """Whether a running follower must be restarted to follow an upstream that allows more than it did.

        Raises:
            EngineError: it does not answer.
        """

    def has_spare_room(self, node: NodeSpec) -> bool:
        """Whether a running follower allows more than it should, as its upstream did until a moment ago.

        Raises:
            EngineError: it does not answer.
        """
