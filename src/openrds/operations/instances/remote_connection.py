"""Let the administrator of a MySQL instance log in from outside, or not: an extension. Source: operations.md 10."""

import msgspec

from openrds.domain.errors import ErrorCode, Refusal
from openrds.operations.intake.intake import Intake


class SetRemoteConnection(msgspec.Struct):
    is_open: bool


def refuse(intake: Intake, instance_id: str) -> Refusal:
    """Only MySQL tells where an account may log in from; which addresses answer at all is what binding one is for."""
    engine = intake.instance(instance_id)["engine"]
    return Refusal(
        ErrorCode.INSTANCE_TYPE,
        f"{engine} has no remote connection to open or close; bind a public address, or unbind it, instead.",
    )
