"""For how many days the deleted instances of a project can be had back. Source: reads.md 11."""

import re

import msgspec

from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.lengths import Text
from openrds.operations.intake.intake import Intake
from openrds.store.queries import Queries

_sql = Queries("backups")

_DAYS = re.compile(r"[0-7]", re.ASCII)
_DEFAULT = "7"


class RecyclePolicy(msgspec.Struct):
    """`1` to `7`, as a word or a number; 7 where nothing is said. `0` is openrds's own: none is kept."""

    retention_period_in_days: Text | int | None = None


def set_recycle_policy(intake: Intake, policy: RecyclePolicy) -> None:
    """From now on; what is in the bin already stays as long as was said when it was deleted.

    Raises:
        Refusal: PARAMETER.
    """
    asked = policy.retention_period_in_days
    text = _DEFAULT if asked in (None, "") else str(asked)
    if not _DAYS.fullmatch(text):
        raise Refusal(
            ErrorCode.PARAMETER,
            "recycle_policy.retention_period_in_days must be 1 to 7; 0 switches the recycle bin off.",
        )
    key = {"project_id": intake.project_id, "days": int(text) or None}
    intake.connection.execute(_sql.set_recycle_policy, key)
