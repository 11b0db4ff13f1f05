"""How much a project may have of what a host has to share, and how a call that wants more is refused.

Each check holds until the caller's transaction ends: two calls at once cannot both take the last place.
"""

import shutil

from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.settings import Settings
from openrds.store.database import Row, Writer
from openrds.store.queries import Queries

_sql = Queries("quotas")
_webhooks = Queries("webhooks")

_KB_PER_GB = 2**20
_MB = 2**20


def check_tasks(connection: Writer, project_id: str, settings: Settings) -> None:
    """Whether the project may have one more task that runs, or waits for its window.

    Raises:
        Refusal: QUOTA.
    """
    used, quota = _used(connection, project_id)["tasks"], settings.task_quota
    if used >= quota:
        raise Refusal(
            ErrorCode.QUOTA,
            f"The project has {used} of {quota} tasks that run or wait for their window; wait until one has ended.",
        )


def check_backups(connection: Writer, project_id: str, settings: Settings, size_kb: int) -> None:
    """Whether the project may have one more backup, by hand or for the recycle bin, which will take about so much.

    Raises:
        Refusal: QUOTA.
    """
    used = _used(connection, project_id)
    if used["backups"] >= settings.backup_quota:
        raise Refusal(
            ErrorCode.QUOTA,
            f"The project has {used['backups']} of {settings.backup_quota} backups, by hand and in the "
            "recycle bin; delete one first.",
        )
    if used["backup_kb"] + size_kb > settings.backup_gb_quota * _KB_PER_GB:
        raise Refusal(
            ErrorCode.QUOTA,
            "The project's backups, by hand and in the recycle bin, take "
            f"{used['backup_kb'] / _KB_PER_GB:.1f} of {settings.backup_gb_quota} GB, and this one would "
            f"take {size_kb / _KB_PER_GB:.1f} more; delete one first.",
        )


def check_public_addresses(connection: Writer, project_id: str, settings: Settings) -> None:
    """Whether the project may bind one more public address.

    Raises:
        Refusal: QUOTA.
    """
    used, quota = _used(connection, project_id)["public_addresses"], settings.public_address_quota
    if used >= quota:
        raise Refusal(
            ErrorCode.QUOTA, f"The project has bound {used} of {quota} public addresses; unbind one first."
        )


#: How many rules a project may have for each security group that it may have.
_RULES_PER_GROUP = 10


def check_networks(connection: Writer, project_id: str, settings: Settings, what: str, more: int = 1) -> None:
    """Whether the project may make so many more of `what`: see `network_quota`.

    Raises:
        Refusal: QUOTA.
    """
    connection.execute(_sql.lock_project, [project_id])
    (made,) = connection.execute(_sql.networks_used, {"project_id": project_id}).fetchall()
    used, quota = made[what], network_quota(settings, what)
    if used + more > quota:
        named = what.replace("_", " ")
        raise Refusal(
            ErrorCode.QUOTA,
            f"The project has made {used} of {quota} {named}; delete some first, or have network_quota raised.",
        )


def network_quota(settings: Settings, what: str) -> int:
    """How many `vpcs`, `subnets`, `security_groups` or `security_group_rules` a project may make."""
    return settings.network_quota * (_RULES_PER_GROUP if what == "security_group_rules" else 1)


def check_webhooks(connection: Writer, project_id: str, settings: Settings) -> None:
    """Whether the project may have one more webhook.

    Raises:
        Refusal: QUOTA.
    """
    connection.execute(_sql.lock_project, [project_id])
    (found,) = connection.execute(_webhooks.count, {"project_id": project_id}).fetchall()
    used, quota = found["webhooks"], settings.webhook_quota
    if used >= quota:
        raise Refusal(
            ErrorCode.QUOTA,
            f"The project has {used} of {quota} webhooks; delete one first, or have webhook_quota raised.",
        )


def check_disk(settings: Settings, what: str, needed_bytes: int = 0) -> None:
    """Whether the data directory's disk has room for so much, and `min_free_mb` beside it.

    Raises:
        Refusal: STORAGE_SOLD_OUT; it says that `what`, such as "a backup", needs more.
    """
    free_mb = shutil.disk_usage(settings.data_dir).free // _MB
    needed_mb = settings.min_free_mb + needed_bytes // _MB
    if free_mb < needed_mb:
        raise Refusal(
            ErrorCode.STORAGE_SOLD_OUT,
            f"The data directory has {free_mb} MB left, and {what} needs {needed_mb} MB.",
        )


def _used(connection: Writer, project_id: str) -> Row:
    # The last lock that a call takes, so that no two wait for each other.
    connection.execute(_sql.lock_project, [project_id])
    (used,) = connection.execute(_sql.used, {"project_id": project_id}).fetchall()
    return used
