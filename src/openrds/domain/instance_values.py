"""An instance and its nodes, as the store has them."""

import datetime as dt
from collections.abc import Mapping

import msgspec

from openrds.domain.access import AccessRow
from openrds.domain.engine import EngineName
from openrds.domain.growth import VolumeGrowth
from openrds.domain.instance import (
    Confirmation,
    InstanceStatus,
    InstanceType,
    NodeRole,
    SwitchStrategy,
    Wanted,
)


class InstanceSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What an instance is made as. Much of it may be changed later.

    `version` is what a request names (`16`), `complete_version` what the binaries report. `volume_size` is in GB.
    `availability_zone` has a zone for each node, parted by commas, the primary's first. `replication_mode` and
    `switch_strategy` are of one with a standby. `replica_of` is the primary instance of a read replica. `secret` and
    `options` and `parameters` are those of `NodeSpec`; `tags` are values by key. With `growth` its volumes grow by
    themselves, with `auto_upgrade` it gets newer minor versions by itself.
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
    parameters: Mapping[str, str] = {}
    ssl: bool
    growth: VolumeGrowth | None = None
    auto_upgrade: bool = False

    def __repr__(self) -> str:
        """Without its secret: it may come to be in a log."""
        return f"{type(self).__name__}({self.id}, {self.name!r})"


class Instance(InstanceSpec, frozen=True, kw_only=True):
    """An instance as the store has it.

    `address` is its endpoint, where clients reach the primary. One that is `deleting` leaves the list at once, unless
    callers wait for its end. `backup_period` has the days of the week, from 1 for Monday on, and `maintenance_window`
    both times of the day, UTC. `remote_access`: its administrator may log in from everywhere. With `storage_full` or
    `read_only`, which its owner asked for, its servers are read-only, and before `writable_until` not for its volume;
    with `slow_log_with_values` callers are shown the values in slow statements. With `monitor_interval` they are
    measured each so many seconds too.
    `parameters_in_force` are those of its parameters that need no restart any more. `access` is that of `NodeSpec`,
    None where it is the usual one. `dns_label` is its name in the DNS zone of the service, if it has one.
    """

    alias: str
    parameters_in_force: Mapping[str, str]
    status: InstanceStatus
    deleting: bool
    wanted: Wanted
    address: str | None
    backup_period: str
    maintenance_window: str
    remote_access: bool
    log_retention_hours: int
    slow_log_with_values: bool
    storage_full: bool
    read_only: bool = False
    writable_until: dt.datetime | None = None
    monitor_interval: int | None = None
    access: tuple[AccessRow, ...] | None = None
    dns_label: str | None = None
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
