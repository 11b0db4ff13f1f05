"""Finding out which parameters the servers of a version have, once somebody wants to know.

A server of that version is started for it, and thrown away: what it says holds for all of them, on each host.
"""

import logging
from dataclasses import dataclass

import msgspec
from psycopg.types.json import Jsonb

from openrds.domain.engine import RULES, EngineName
from openrds.domain.flavor import flavors_of
from openrds.domain.parameters import Parameter
from openrds.engines.protocol import EngineError, Installation, NodeSpec
from openrds.hosts import processes
from openrds.hosts.errors import HostError
from openrds.hosts.folders import clear, make_home
from openrds.operations.steps.resources import Resources
from openrds.store.parameters import EDITION
from openrds.store.queries import Queries

logger = logging.getLogger(__name__)

_sql = Queries("parameters")


@dataclass(frozen=True)
class CatalogueWatch:
    """Of one host; for what others have, their own hosts look."""

    resources: Resources

    def look(self) -> None:
        for row in self.resources.store.rows(_sql.wanted_catalogues, [EDITION]):
            engine = self.resources.host.engines.get(EngineName(row["engine"]))
            for installation in engine.installations() if engine else ():
                if installation.complete_version == row["complete_version"]:
                    self._find_out(installation)

    def _find_out(self, installation: Installation) -> None:
        node = self._place(installation)
        self._clear(node)
        try:
            make_home(node.folder.parent)
            make_home(node.folder)
            found = self.resources.host.engines[installation.engine].parameters.catalogue(node)
            self._note(installation, list(found), None)
        except (EngineError, HostError) as error:
            logger.warning(
                "the parameters of %s %s are not known",
                installation.engine,
                installation.complete_version,
                exc_info=True,
            )
            self._note(installation, None, str(error))
        finally:
            self._clear(node)

    def _note(self, installation: Installation, found: list[Parameter] | None, problem: str | None) -> None:
        columns = {
            "engine": installation.engine,
            "complete_version": installation.complete_version,
            "edition": EDITION,
            "parameters": None if found is None else Jsonb(msgspec.to_builtins(found)),
            "problem": problem,
        }
        self.resources.store.rows(_sql.set_catalogue, columns)

    def _place(self, installation: Installation) -> NodeSpec:
        """Of the smallest class, and out of everybody's reach."""
        host = self.resources.host
        name = f"catalogue-{installation.engine.lower()}-{installation.complete_version}"
        folder = host.settings.scratch_dir / name
        return NodeSpec(
            node_id=name,
            user=host.owners.users.service,
            installation=installation,
            folder=folder,
            socket_dir=host.socket_dir(name),
            archive=folder / "archive",
            address="",
            port=RULES[installation.engine].default_port,
            **host.size_of(flavors_of(installation.engine)[0]),
            secret=name,
        )

    def _clear(self, node: NodeSpec) -> None:
        """Whatever a process left that died at it too."""
        processes.stop_recorded(node.folder / processes.RECORD)
        clear(node.folder)
        clear(node.socket_dir)
