"""Every operation by its key. A new operation is a file beside this one and a line here."""

from collections.abc import Mapping
from typing import Any

from openrds.operations.create_instance import CREATE_INSTANCE
from openrds.operations.delete_instance import DELETE_INSTANCE
from openrds.operations.enlarge_volume import ENLARGE_VOLUME
from openrds.operations.reset_password import RESET_PASSWORD
from openrds.operations.resize_flavor import RESIZE_FLAVOR
from openrds.operations.restart_instance import RESTART_INSTANCE
from openrds.tasks.operation import Operation

_ALL: tuple[Operation[Any, Any], ...] = (
    CREATE_INSTANCE,
    RESTART_INSTANCE,
    DELETE_INSTANCE,
    RESET_PASSWORD,
    ENLARGE_VOLUME,
    RESIZE_FLAVOR,
)

OPERATIONS: Mapping[str, Operation[Any, Any]] = {operation.key: operation for operation in _ALL}
