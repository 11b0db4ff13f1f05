"""What changes of flavor have in common.

With some engines a server that follows must allow as much as the one that it follows. There followers grow before that
one does, and shrink after it, once they have heard that it allows less.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace

from openrds.domain.flavor import Flavor, find_flavor
from openrds.domain.instance import InstanceStatus
from openrds.domain.instance_values import Instance
from openrds.engines.protocol import Engine, EngineError, Server, Size
from openrds.operations.steps.host import Host
from openrds.operations.steps.parameters import make_room, start_primary
from openrds.operations.steps.resources import Resources, flavor_of
from openrds.store.database import Writer
from openrds.store.queries import Queries

logger = logging.getLogger(__name__)

_sql = Queries("instances")

#: Seconds in which a follower must have heard what its primary wrote.
NEWS_SECONDS = 10.0


@dataclass(frozen=True)
class Resizing:
    """An instance on its way from one flavor to another; `before` and `after` are their codes."""

    resources: Resources
    instance_id: str
    before: str
    after: str

    @property
    def old(self) -> Size:
        return self.resources.host.size_of(self._flavor(self.before))

    @property
    def new(self) -> Size:
        return self.resources.host.size_of(self._flavor(self.after))

    @property
    def both(self) -> Size:
        """Enough for what either of them allows."""
        old, new = self.old, self.new
        return Size(
            memory_mb=max(old["memory_mb"], new["memory_mb"]),
            vcpus=max(old["vcpus"], new["vcpus"]),
        )

    @property
    def grows(self) -> bool:
        """In a way that followers must go along with."""
        return self._engine.must_restart_followers(self.old, self.both)

    @property
    def shrinks(self) -> bool:
        """It can do both: more memory, and fewer cores."""
        return self._engine.must_restart_followers(self.both, self.new)

    @property
    def _engine(self) -> Engine:
        return self.resources.engine(self.instance_id)

    @property
    def reversed(self) -> "Resizing":
        return replace(self, before=self.after, after=self.before)

    def note(self, connection: Writer) -> None:
        """That the instance has the new flavor."""
        connection.execute(_sql.set_flavor, {"id": self.instance_id, "flavor": self.after})

    def widen_replicas(self) -> None:
        """Have the read replicas allow as much as their primary will."""
        if self.grows:
            for replica in self._concerned_replicas():
                assert replica.node.upstream is not None, "a read replica follows"
                upstream = replace(replica.node.upstream, **self.both)
                restart(self.resources.host, self.resources.host.changed(replica, upstream=upstream))

    def narrow_replicas(self) -> None:
        """Have the read replicas allow no more than they must; the monitor mends one that cannot be restarted."""
        if self.shrinks:
            for replica in self._concerned_replicas():
                try:
                    replica.replication.catch_up(NEWS_SECONDS)
                    restart(self.resources.host, replica)
                except EngineError:
                    logger.warning("%s is not restarted", replica.node.node_id, exc_info=True)

    def _concerned_replicas(self) -> Iterator[Server]:
        """Those that serve; one that is larger than its primary was and will be stays as it is."""
        resources = self.resources
        for replica in resources.view.replicas(self.instance_id):
            if replica.status is InstanceStatus.ACTIVE and not self._is_larger(replica):
                yield resources.primary_server(replica.id)

    def _is_larger(self, replica: Instance) -> bool:
        own, both = self.resources.host.size_of(flavor_of(replica)), self.both
        return own["memory_mb"] >= both["memory_mb"] and own["vcpus"] >= both["vcpus"]

    def _flavor(self, spec_code: str) -> Flavor:
        engine = self.resources.view.instance(self.instance_id).engine
        flavor = find_flavor(engine, spec_code)
        assert flavor is not None, "an instance was accepted with a flavor that does not exist"
        return flavor


def restart_primary(resources: Resources, instance_id: str) -> None:
    """The same, with the parameters that it comes up with.

    Raises:
        StepFailed: not with those that were set last.
    """
    resources.primary_server(instance_id).stop()
    start_primary(resources, instance_id)
    make_room(resources, instance_id)


def restart(host: Host, server: Server) -> None:
    """With the settings that it has now."""
    server.stop()
    host.start(server)
