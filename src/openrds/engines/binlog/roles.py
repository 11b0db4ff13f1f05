"""What was last written down about a node's data: whether it is a primary's, one that was demoted, or a follower's.

It stands in the data directory, and goes with the data: what is put in its place has no such word, and is a primary's.
"""

import contextlib
from enum import StrEnum
from pathlib import Path

from openrds.engines.protocol import NodeSpec

_ROLE = "openrds.role"
_POSITION = "openrds.position"


class Role(StrEnum):
    PRIMARY = "primary"
    DEMOTED = "demoted"
    FOLLOWER = "follower"


def role_of(node: NodeSpec) -> Role:
    try:
        return Role(node.user.read(node.data_dir / _ROLE).decode().strip())
    except (OSError, ValueError):
        return Role.PRIMARY


def write_role(node: NodeSpec, role: Role) -> None:
    if role_of(node) != role:
        node.user.write(node.data_dir / _ROLE, f"{role}\n", drafts=node.folder)


def position_to_take(node: NodeSpec) -> str:
    """Up to where in its source's log a copy of data has it, as long as the server has not been told."""
    with contextlib.suppress(OSError):
        return node.user.read(node.data_dir / _POSITION).decode().strip()
    return ""


def write_position(node: NodeSpec, position: str, folder: Path | None = None) -> None:
    """Have the server take it for its own when it is started next: its log begins there.

    `folder` is where the data is, if it is not yet in its place.
    """
    node.user.write((folder or node.data_dir) / _POSITION, f"{position}\n", drafts=node.folder)


def forget_position(node: NodeSpec) -> None:
    with node.user.acting():
        (node.data_dir / _POSITION).unlink(missing_ok=True)
