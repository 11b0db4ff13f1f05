"""An instance and its nodes: what they are, their statuses and types, and the shape of their ids."""

import datetime as dt
import re
import secrets
from collections.abc import Mapping
from enum import StrEnum

import msgspec

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


class InstanceSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What an instance is made as. Much of it may be changed later.

    `version` is what a request names (`16`), `complete_version` what the binaries report. `volume_size` is in GB.
    `availability_zone` has a zone for each node, parted by commas, the primary's first. `replication_mode` and
    `switch_strategy` are of one with a standby. `replica_of` is the primary instance of a read replica. `secret` and
    `options` are those of `NodeSpec`; `tags` are values by key.
    """

    id: str
    project_id: str
    name: str
    engine: EngineName
    version: str
    complete_version: str
    type: InstanceType
    flavor_ref: str
    volume_type: str
    volume_size: int
    port: int
    availability_zone: str
    vpc_id: str
    subnet_id: str
    security_group_id: str
    replication_mode: str | None = None
    switch_strategy: SwitchStrategy | None = None
    configuration_id: str = ""
    enterprise_project_id: str = "0"
    disk_encryption_id: str = ""
    time_zone: str
    backup_start_time: str
    backup_keep_days: int
    tags: Mapping[str, str]
    replica_of: str | None = None
    secret: str
    options: Mapping[str, str]
    ssl: bool

    def __repr__(self) -> str:
        """Without its secret: it may come to be in a log."""
        return f"{type(self).__name__}({self.id}, {self.name!r})"


class Instance(InstanceSpec, frozen=True, kw_only=True):
    """An instance as the store has it.

    `address` is its endpoint, where clients reach the primary. One that is `deleting` leaves the list at once, unless
    callers wait for its end. `backup_period` has the days of the week, from 1 for Monday on, and `maintenance_window`
    both times of the day, UTC. `remote_access`: its administrator may log in from everywhere. With `storage_full` its
    servers are read-only.
    """

    alias: str
    status: InstanceStatus
    deleting: bool
    wanted: Wanted
    address: str | None
    backup_period: str
    maintenance_window: str
    remote_access: bool
    log_retention_hours: int
    storage_full: bool
    stopped_at: dt.datetime | None
    created_at: dt.datetime
    updated_at: dt.datetime


class Seen(msgspec.Struct, frozen=True):
    """A follower as it was last seen. `lag_bytes` is what it has received and not applied."""

    streaming: bool
    lag_bytes: int = 0
    lag_seconds: float = 0.0
    problem: str = ""


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One server of an instance, as the store has it.

    `address` is where it listens, or will; `public_address` is where clients come to its instance from outside.
    `revivals` counts how often it was brought back in a row, the last time at `revived_at`. `used_bytes` is what is on
    its volume, None before it was first measured; `replication` what was seen of a follower at `replication_seen_at`.
    """

    id: str
    instance_id: str
    name: str
    role: NodeRole
    host: str
    availability_zone: str
    address: str | None
    public_address: str | None
    confirmation: Confirmation
    revivals: int
    revived_at: dt.datetime | None
    used_bytes: int | None
    replication: Seen | None
    replication_seen_at: dt.datetime | None


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
