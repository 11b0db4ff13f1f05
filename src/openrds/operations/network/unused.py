"""What something uses is not deleted."""

from openrds.domain.errors import ErrorCode, Refusal
from openrds.operations.intake.intake import Intake


def check_unused(intake: Intake, statement: bytes, id_: str, named: str) -> None:
    """`statement` finds a user of what has this id, which the caller has locked.

    Raises:
        Refusal: NETWORK_IN_USE.
    """
    key = {"id": id_, "project_id": intake.project_id}
    user = intake.connection.execute(statement, key).fetchone()
    if user is not None:
        raise Refusal(
            ErrorCode.NETWORK_IN_USE, f"The {named} {id_} is used by the {user['kind']} {user['id']}."
        )
