"""What every engine can do. An engine is a package that implements `Engine` and passes the conformance suite.

Everything here may be called again after a crash at any point: an operation that finds its work done goes on.
"""

from openrds.engines.protocol.accounts import (
    Accounts,
    AccountTaken,
    DatabaseTaken,
    NoSuchAccount,
    NoSuchDatabase,
    Unfit,
)
from openrds.engines.protocol.backups import Backups, BaseBackup, RestorePoint
from openrds.engines.protocol.copies import Copies, Copying, DatabaseCopy, Place, TableCopy
from openrds.engines.protocol.engine import Engine
from openrds.engines.protocol.errors import EngineError, LockedError, NameTaken, NotThere
from openrds.engines.protocol.logs import LogFile, ServerLogs
from openrds.engines.protocol.node import Installation, NodeSpec, Size, Tls, Upstream
from openrds.engines.protocol.parameters import Parameters
from openrds.engines.protocol.replication import Follower, Replication, StandbyState
from openrds.engines.protocol.server import Server
from openrds.engines.protocol.upgrades import Upgrades

__all__ = [
    "AccountTaken",
    "Accounts",
    "Backups",
    "BaseBackup",
    "Copies",
    "Copying",
    "DatabaseCopy",
    "DatabaseTaken",
    "Engine",
    "EngineError",
    "Follower",
    "Installation",
    "LockedError",
    "LogFile",
    "NameTaken",
    "NoSuchAccount",
    "NoSuchDatabase",
    "NodeSpec",
    "NotThere",
    "Parameters",
    "Place",
    "Replication",
    "RestorePoint",
    "Server",
    "ServerLogs",
    "Size",
    "StandbyState",
    "TableCopy",
    "Tls",
    "Unfit",
    "Upgrades",
    "Upstream",
]
