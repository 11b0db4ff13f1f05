"""An instance as a value, for what is decided without a store."""

import datetime as dt
from typing import Any

from openrds.domain.engine import EngineName
from openrds.domain.instance import InstanceStatus, InstanceType, Wanted
from openrds.domain.instance_values import Instance

NOW = dt.datetime(2026, 2, 3, 12, 0, tzinfo=dt.UTC)


def an_instance(**changes: Any) -> Instance:
    """One that serves, and was made nine days before `NOW`."""
    fields: dict[str, Any] = {
        "id": "7" * 32 + "in03",
        "project_id": "p",
        "name": "db",
        "alias": "",
        "engine": EngineName.POSTGRESQL,
        "version": "16",
        "complete_version": "16.14",
        "type": InstanceType.SINGLE,
        "status": InstanceStatus.ACTIVE,
        "deleting": False,
        "wanted": Wanted.SERVING,
        "flavor_ref": "rds.pg.n1.medium.2",
        "volume_type": "CLOUDSSD",
        "volume_size": 40,
        "port": 5432,
        "address": None,
        "availability_zone": "local-1a",
        "vpc_id": "v",
        "subnet_id": "s",
        "security_group_id": "g",
        "time_zone": "UTC",
        "backup_start_time": "02:00-03:00",
        "backup_keep_days": 7,
        "backup_period": "1,2,3,4,5,6,7",
        "maintenance_window": "02:00-06:00",
        "remote_access": True,
        "log_retention_hours": 0,
        "slow_log_with_values": False,
        "storage_full": False,
        "stopped_at": None,
        "created_at": NOW - dt.timedelta(days=9),
        "updated_at": NOW - dt.timedelta(days=9),
        "tags": {},
        "secret": "",
        "options": {},
        "parameters": {},
        "parameters_in_force": {},
        "ssl": True,
    }
    return Instance(**{**fields, **changes})
