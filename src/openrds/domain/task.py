"""A task: its statuses, its ids and the names the contract gives to each kind of work."""

import datetime as dt
import uuid
from enum import StrEnum

from openrds.domain.engine import RULES, EngineName

#: Only tasks of the last month are served (both jobs seeds). A month is taken as 30 days, as the console keeps them.
RETENTION = dt.timedelta(days=30)


class TaskStatus(StrEnum):
    RUNNING = "Running"
    COMPLETED = "Completed"
    FAILED = "Failed"


class StepStatus(StrEnum):
    PLANNED = "Planned"
    RUNNING = "Running"
    COMPLETED = "Completed"
    FAILED = "Failed"
    UNDOING = "Undoing"
    UNDONE = "Undone"
    UNDO_FAILED = "UndoFailed"


class TaskName(StrEnum):
    """How a task is named, with `{}` for the engine's token. Source: job-names.md 1 and 3."""

    CREATE = "Create{}SingleHAInstance"
    RESTART = "Restart{}Instance"
    DELETE = "Delete{}Instance"
    RESET_PASSWORD = "Reset{}Password"  # noqa: S105
    CREATE_DATABASE = "Create{}Database"
    CHANGE_DATABASE = "Modify{}Database"
    DELETE_DATABASE = "Delete{}Database"
    CREATE_SCHEMAS = "Create{}Schema"
    CREATE_EXTENSION = "Create{}Extension"
    UPDATE_EXTENSION = "Update{}Extension"
    DELETE_EXTENSION = "Delete{}Extension"
    CREATE_ACCOUNT = "Create{}User"
    CHANGE_ACCOUNT = "Modify{}User"
    DELETE_ACCOUNT = "Delete{}User"
    CHANGE_PRIVILEGES = "Modify{}Privilege"
    CREATE_REPLICA = "Create{}ReplicaInstance"
    SINGLE_TO_HA = "Modify{}SingleToHAInstance"
    SWITCHOVER = "Switchover{}Instance"
    REBUILD_STANDBY = "Rebuild{}Slave"
    CHANGE_REPLICATION_MODE = "Modify{}ReplicationMode"
    ENLARGE_VOLUME = "Enlarge{}Volume"
    RESIZE_FLAVOR = "Resize{}Flavor"
    BIND_PUBLIC_ADDRESS = "{}BindEIP"
    UNBIND_PUBLIC_ADDRESS = "{}UnbindEIP"
    OPEN_REMOTE_CONNECTION = "{}OpenRemoteConnection"
    CLOSE_REMOTE_CONNECTION = "{}CloseRemoteConnection"
    CHANGE_PORT = "Modify{}Port"
    CHANGE_ADDRESS = "Modify{}DataIP"
    CREATE_DNS_NAME = "Create{}DnsName"
    CHANGE_DNS_NAME = "Modify{}DnsName"
    CHANGE_SECURITY_GROUP = "Modify{}SecurityGroup"
    SWITCH_SSL = "{}SwitchSSL"
    SET_READ_ONLY = "Set{}ReadOnlySwitch"
    CHANGE_PARAMETERS = "Modify{}Configuration"
    CHANGE_ACCESS = "Modify{}HbaConf"
    APPLY_CONFIGURATION = "Apply{}Configuration"
    UPGRADE_MINOR = "Upgrade{}DatabaseVersion"
    UPGRADE_MAJOR = "Upgrade{}MajorVersion"
    INSPECT_UPGRADE = "Inspect{}MajorVersion"
    STOP = "Stop{}Instance"
    START = "Start{}Instance"
    FREEZE = "Freeze{}Instance"
    UNFREEZE = "Unfreeze{}Instance"
    BACK_UP = "Backup{}InInstance"
    RESTORE_NEW = "Restore{}NewInstance"
    RESTORE_ONTO = "Restore{}InInstance"
    RESTORE_TABLES = "RestoreTable{}"
    RESTORE_DATABASES = "RestoreDatabase{}"

    def on(self, engine: EngineName) -> str:
        return self.value.format(RULES[engine].task_token)


def lowest_id_at(moment: dt.datetime) -> uuid.UUID:
    """The smallest UUIDv7 of a millisecond: ids are in time order, so a time window is an id range."""
    milliseconds = max(0, int(moment.timestamp() * 1000))
    return uuid.UUID(int=(milliseconds & (2**48 - 1)) << 80)


def format_time(moment: dt.datetime) -> str:
    """`2026-02-03T04:05:06+0000`: no fraction, an offset without colon (both jobs seeds)."""
    return moment.astimezone(dt.UTC).isoformat(timespec="seconds")[:19] + "+0000"
