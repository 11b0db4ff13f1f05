"""The bodies of the instance routes. Source: operations.md 3 and 8, reads.md 1.1."""

import msgspec
from msgspec import UNSET, UnsetType


class CreatedDatastore(msgspec.Struct):
    type: str
    version: str


class CreatedVolume(msgspec.Struct):
    type: str
    size: int


class CreatedBackupStrategy(msgspec.Struct):
    start_time: str
    keep_days: int


class CreatedChargeInfo(msgspec.Struct):
    charge_mode: str = "postPaid"


class CreatedHa(msgspec.Struct):
    replication_mode: str
    mode: str = "Ha"


class CreatedInstance(msgspec.Struct):
    """`port` is a string here, and an integer in the list; `ha` only stands where there is a standby, and
    `configuration_id` where a group was asked for.
    """

    id: str
    name: str
    status: str
    datastore: CreatedDatastore
    port: str
    flavor_ref: str
    volume: CreatedVolume
    region: str
    availability_zone: str
    vpc_id: str
    subnet_id: str
    security_group_id: str
    backup_strategy: CreatedBackupStrategy
    charge_info: CreatedChargeInfo
    ha: CreatedHa | UnsetType = UNSET
    configuration_id: str | UnsetType = UNSET


class CreatedAnswer(msgspec.Struct, omit_defaults=True):
    """Both fields are left out after a dry run."""

    instance: CreatedInstance | UnsetType = UNSET
    job_id: str | UnsetType = UNSET


class JobIdAnswer(msgspec.Struct):
    job_id: str


class Datastore(msgspec.Struct):
    type: str
    version: str
    complete_version: str


class HaMode(msgspec.Struct):
    replication_mode: str


class Node(msgspec.Struct):
    id: str
    name: str
    role: str
    status: str
    availability_zone: str


class RelatedInstance(msgspec.Struct):
    id: str
    type: str


class TagPair(msgspec.Struct):
    key: str
    value: str


class ListedInstance(msgspec.Struct, omit_defaults=True):
    """`cpu` and `mem` (GB) are strings; times are empty while the instance is being built.

    The two spaces, in GB, are only there when it was asked for by its id, and that of the volume once it was measured.
    """

    id: str
    name: str
    alias: str
    status: str
    type: str
    created: str
    updated: str
    datastore: Datastore
    port: int
    private_ips: list[str]
    public_ips: list[str]
    private_dns_names: list[str]
    public_dns_names: list[str]
    db_user_name: str
    enable_ssl: bool
    vpc_id: str
    subnet_id: str
    security_group_id: str
    region: str
    flavor_ref: str
    cpu: str
    mem: str
    volume: CreatedVolume
    disk_encryption_id: str
    switch_strategy: str
    backup_strategy: CreatedBackupStrategy
    maintenance_window: str
    nodes: list[Node]
    related_instance: list[RelatedInstance]
    enterprise_project_id: str
    charge_info: CreatedChargeInfo
    time_zone: str
    tags: list[TagPair]
    read_only_by_user: bool
    associated_with_ddm: bool
    ha: HaMode | UnsetType = UNSET
    storage_used_space: float | UnsetType = UNSET
    backup_used_space: float | UnsetType = UNSET


class InstancesAnswer(msgspec.Struct):
    instances: list[ListedInstance]
    total_count: int
