"""An instance: its statuses and types, and the shape of its ids."""

import re
import secrets
from enum import StrEnum

from openrds.domain.engine import RULES, EngineName


class InstanceStatus(StrEnum):
    """As the API answers them. Source: tasklist seed, and operations.md 1 for SHUTDOWN."""

    BUILD = "BUILD"
    CREATE_FAIL = "CREATE FAIL"
    ACTIVE = "ACTIVE"
    FAILED = "FAILED"
    FROZEN = "FROZEN"
    MODIFYING = "MODIFYING"
    REBOOTING = "REBOOTING"
    RESTORING = "RESTORING"
    MODIFYING_INSTANCE_TYPE = "MODIFYING INSTANCE TYPE"
    SWITCHOVER = "SWITCHOVER"
    MIGRATING = "MIGRATING"
    BACKING_UP = "BACKING UP"
    MODIFYING_DATABASE_PORT = "MODIFYING DATABASE PORT"
    STORAGE_FULL = "STORAGE FULL"
    SHUTDOWN = "SHUTDOWN"


#: An instance at rest of which nothing runs.
STOPPED = frozenset({InstanceStatus.SHUTDOWN, InstanceStatus.FROZEN})


class Wanted(StrEnum):
    """What an instance is to be, whatever its status says it is now. One that is GONE is good for nothing but that."""

    SERVING = "serving"
    STOPPED = "stopped"
    GONE = "gone"


class InstanceType(StrEnum):
    SINGLE = "Single"
    HA = "Ha"
    REPLICA = "Replica"


class NodeRole(StrEnum):
    MASTER = "master"
    SLAVE = "slave"
    READ_REPLICA = "readreplica"


class Confirmation(StrEnum):
    """Whether commits wait for a standby. It is ASKED to confirm before it is known to have all there was before."""

    NO = "no"
    ASKED = "asked"
    YES = "yes"


class SwitchStrategy(StrEnum):
    """What goes first when roles change by themselves: to lose nothing, or to be back soon. Source: operations.md 7."""

    RELIABILITY = "reliability"
    AVAILABILITY = "availability"


_INSTANCE_ID = re.compile(r"[0-9a-f]{32}in\d\d", re.ASCII)


def new_instance_id(engine: EngineName) -> str:
    """32 hexadecimal digits and `in` with the engine's digits, such as `…in03` for PostgreSQL."""
    return f"{secrets.token_hex(16)}in{RULES[engine].id_digits}"


def new_node_id(engine: EngineName) -> str:
    return f"{secrets.token_hex(16)}no{RULES[engine].id_digits}"


def new_secret() -> str:
    """Of a family. 32 characters, as many as every engine takes, and none that a statement would have to quote."""
    return secrets.token_hex(16)


def is_instance_id(text: str) -> bool:
    return _INSTANCE_ID.fullmatch(text) is not None
