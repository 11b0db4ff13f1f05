"""Every operation by its key. A new operation is a file beside this one and a line here."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

import msgspec

from openrds.domain.schedule import ScheduledName
from openrds.operations.accounts.change_access import CHANGE_ACCESS
from openrds.operations.accounts.changing import CHANGE_ACCOUNTS
from openrds.operations.backups.back_up import BACK_UP
from openrds.operations.backups.restore_databases import RESTORE_DATABASES
from openrds.operations.backups.restore_instance import RESTORE_INSTANCE
from openrds.operations.backups.restore_lost_instance import RESTORE_LOST_INSTANCE
from openrds.operations.backups.restore_new_instance import RESTORE_NEW_INSTANCE
from openrds.operations.backups.restore_tables import RESTORE_TABLES
from openrds.operations.instances import resize_flavor, restart_instance
from openrds.operations.instances.create_instance import CREATE_HA_INSTANCE, CREATE_INSTANCE
from openrds.operations.instances.delete_instance import DELETE_INSTANCE
from openrds.operations.instances.enlarge_volume import ENLARGE_VOLUME
from openrds.operations.instances.freeze_instance import FREEZE_INSTANCE
from openrds.operations.instances.recycle_instance import RECYCLE_INSTANCE
from openrds.operations.instances.remote_connection import SET_REMOTE_CONNECTION
from openrds.operations.instances.reset_password import RESET_PASSWORD
from openrds.operations.instances.resize_flavor import RESIZE_FLAVOR
from openrds.operations.instances.resize_pair import RESIZE_PAIR
from openrds.operations.instances.restart_instance import RESTART_INSTANCE
from openrds.operations.instances.set_read_only import SET_READ_ONLY
from openrds.operations.instances.start_instance import START_INSTANCE
from openrds.operations.instances.stop_instance import STOP_INSTANCE
from openrds.operations.instances.unfreeze_instance import UNFREEZE_INSTANCE
from openrds.operations.intake.intake import Intake
from openrds.operations.intake.scheduling import Submit
from openrds.operations.network.bind_public_address import BIND_PUBLIC_ADDRESS
from openrds.operations.network.change_address import CHANGE_ADDRESS
from openrds.operations.network.change_dns_name import CHANGE_DNS_NAME
from openrds.operations.network.change_port import CHANGE_PORT
from openrds.operations.network.change_security_group import CHANGE_SECURITY_GROUP
from openrds.operations.network.switch_ssl import SWITCH_SSL
from openrds.operations.network.unbind_public_address import UNBIND_PUBLIC_ADDRESS
from openrds.operations.pairs.create_replica import CREATE_REPLICA
from openrds.operations.pairs.rebuild_standby import REBUILD_STANDBY
from openrds.operations.pairs.replication_mode import CHANGE_REPLICATION_MODE
from openrds.operations.pairs.single_to_ha import SINGLE_TO_HA
from openrds.operations.pairs.switchover import SWITCHOVER
from openrds.operations.parameters.change_parameters import CHANGE_PARAMETERS
from openrds.operations.upgrades import upgrade_minor
from openrds.operations.upgrades.inspect_upgrade import INSPECT_UPGRADE
from openrds.operations.upgrades.upgrade_major import UPGRADE_MAJOR
from openrds.operations.upgrades.upgrade_minor import UPGRADE_MINOR
from openrds.tasks.operation import Operation

_ALL: tuple[Operation[Any, Any], ...] = (
    CREATE_INSTANCE,
    CREATE_REPLICA,
    RESTART_INSTANCE,
    DELETE_INSTANCE,
    RECYCLE_INSTANCE,
    RESET_PASSWORD,
    ENLARGE_VOLUME,
    RESIZE_FLAVOR,
    RESIZE_PAIR,
    BACK_UP,
    RESTORE_NEW_INSTANCE,
    RESTORE_LOST_INSTANCE,
    RESTORE_INSTANCE,
    RESTORE_TABLES,
    RESTORE_DATABASES,
    CREATE_HA_INSTANCE,
    SINGLE_TO_HA,
    SWITCHOVER,
    REBUILD_STANDBY,
    CHANGE_REPLICATION_MODE,
    STOP_INSTANCE,
    START_INSTANCE,
    FREEZE_INSTANCE,
    UNFREEZE_INSTANCE,
    CHANGE_PORT,
    CHANGE_ADDRESS,
    CHANGE_DNS_NAME,
    CHANGE_SECURITY_GROUP,
    SWITCH_SSL,
    SET_READ_ONLY,
    CHANGE_PARAMETERS,
    CHANGE_ACCESS,
    BIND_PUBLIC_ADDRESS,
    UNBIND_PUBLIC_ADDRESS,
    SET_REMOTE_CONNECTION,
    CHANGE_ACCOUNTS,
    INSPECT_UPGRADE,
    UPGRADE_MINOR,
    UPGRADE_MAJOR,
)


def _resubmit(submit: Callable[[Intake, str, Any], UUID], request: type[Any]) -> Submit:
    return lambda intake, instance_id, asked: submit(intake, instance_id, msgspec.convert(asked, request))


#: What may wait for a maintenance window, and how it is submitted then.
SCHEDULED: Mapping[ScheduledName, Submit] = {
    ScheduledName.RESTART: _resubmit(restart_instance.submit, restart_instance.Restart),
    ScheduledName.RESIZE_FLAVOR: _resubmit(resize_flavor.submit, resize_flavor.ResizeFlavor),
    ScheduledName.UPGRADE: _resubmit(upgrade_minor.submit, upgrade_minor.UpgradeMinor),
}

OPERATIONS: Mapping[str, Operation[Any, Any]] = {operation.key: operation for operation in _ALL}
