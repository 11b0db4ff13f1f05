"""How far the followers of this host are behind: looked at now and then, so that it can be told without asking them."""

import logging

import msgspec
from psycopg.types.json import Jsonb

from openrds.domain.instance_values import Seen
from openrds.engines.protocol import EngineError
from openrds.operations.steps.resources import Resources
from openrds.store.queries import Queries
from openrds.tasks.operation import StepFailed

logger = logging.getLogger(__name__)

_sql = Queries("instances")


def watch_replication(resources: Resources) -> bool:
    """Note what each follower of this host says of itself, and say whether there are any."""
    followers = resources.store.rows(_sql.followers_to_watch, [resources.host.name])
    for row in followers:
        try:
            state = resources.node_server(row["id"], row["node_id"]).replication.state()
            seen = Seen(state.streaming, state.lag_bytes, state.lag_seconds)
        except (EngineError, StepFailed) as error:
            logger.debug("follower %s was not looked at: %s", row["node_id"], error)
            seen = Seen(streaming=False, problem="its server does not answer")
        note = {"node_id": row["node_id"], "replication": Jsonb(msgspec.to_builtins(seen))}
        resources.store.rows(_sql.note_replication, note)
    return bool(followers)
