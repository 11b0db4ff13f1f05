"""The body of `POST /v3/{project_id}/instances`, as a caller writes it. Source: operations.md 3."""

from typing import Any

import msgspec

from openrds.domain.lengths import ForeignId, Several, Text


class Datastore(msgspec.Struct):
    type: Text
    version: Text


class Ha(msgspec.Struct):
    mode: Text
    replication_mode: Text


class Volume(msgspec.Struct):
    type: Text
    size: int | None = None


class BackupStrategy(msgspec.Struct):
    start_time: Text
    keep_days: int | None = None


class ChargeInfo(msgspec.Struct):
    charge_mode: Text = "postPaid"
    period_type: Text | None = None
    period_num: int | None = None
    is_auto_renew: bool | None = None
    is_auto_pay: bool | None = None


class Tag(msgspec.Struct):
    key: Text
    value: Text = ""


class UnchangeableParam(msgspec.Struct):
    lower_case_table_names: Text | None = None


class AutoEnlargeStrategy(msgspec.Struct, rename="camel"):
    option: bool = False
    limit_size: int | None = None
    trigger_available_percent: int | None = None
    step_percent: int | None = None


class CreateInstance(msgspec.Struct):
    """Unknown fields are ignored; what is known is checked in `instance_plan`. `character_set` is openrds' own."""

    name: Text
    flavor_ref: Text
    volume: Volume
    availability_zone: Text
    region: Text | None = None
    datastore: Datastore | None = None
    ha: Ha | None = None
    vpc_id: Text | None = None
    subnet_id: Text | None = None
    security_group_id: Text | None = None
    password: Text | None = None
    port: Text | int | None = None
    configuration_id: Text | None = None
    backup_strategy: BackupStrategy | None = None
    data_vip: Text | None = None
    disk_encryption_id: Text | None = None
    enterprise_project_id: ForeignId | None = None
    charge_info: ChargeInfo | None = None
    time_zone: Text | None = None
    character_set: Text | None = None
    collation: Text | None = None
    tags: Several[Tag] | None = None
    unchangeable_param: UnchangeableParam | None = None
    restore_point: dict[Text, Any] | None = None
    replica_of_id: Text | None = None
    dry_run: bool = False
    count: int | None = None
    serverless_info: dict[Text, Any] | None = None
    is_auto_upgrade: bool | None = None
    auto_enlarge_strategy: AutoEnlargeStrategy | None = None
    dsspool_id: Text | None = None
