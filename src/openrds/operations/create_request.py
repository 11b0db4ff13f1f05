"""The body of `POST /v3/{project_id}/instances`, as a caller writes it. Source: operations.md 3."""

from typing import Any

import msgspec


class Datastore(msgspec.Struct):
    type: str
    version: str


class Ha(msgspec.Struct):
    mode: str
    replication_mode: str


class Volume(msgspec.Struct):
    type: str
    size: int | None = None


class BackupStrategy(msgspec.Struct):
    start_time: str
    keep_days: int | None = None


class ChargeInfo(msgspec.Struct):
    charge_mode: str = "postPaid"
    period_type: str | None = None
    period_num: int | None = None
    is_auto_renew: bool | None = None
    is_auto_pay: bool | None = None


class Tag(msgspec.Struct):
    key: str
    value: str = ""


class UnchangeableParam(msgspec.Struct):
    lower_case_table_names: str | None = None


class CreateInstance(msgspec.Struct):
    """Unknown fields are ignored; what is known is checked in `instance_plan`."""

    name: str
    flavor_ref: str
    volume: Volume
    availability_zone: str
    region: str | None = None
    datastore: Datastore | None = None
    ha: Ha | None = None
    vpc_id: str | None = None
    subnet_id: str | None = None
    security_group_id: str | None = None
    password: str | None = None
    port: str | int | None = None
    configuration_id: str | None = None
    backup_strategy: BackupStrategy | None = None
    data_vip: str | None = None
    disk_encryption_id: str | None = None
    enterprise_project_id: str | None = None
    charge_info: ChargeInfo | None = None
    time_zone: str | None = None
    collation: str | None = None
    tags: list[Tag] | None = None
    unchangeable_param: UnchangeableParam | None = None
    restore_point: dict[str, Any] | None = None
    replica_of_id: str | None = None
    dry_run: bool = False
    count: int | None = None
    serverless_info: dict[str, Any] | None = None
    is_auto_upgrade: bool | None = None
    dsspool_id: str | None = None
