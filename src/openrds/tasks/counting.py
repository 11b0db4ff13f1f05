"""The counts that `tasklist` is answered from: kept in step with the tasks, and checked against them.

Whoever changes a task writes what it changes in the counts beside it, by a trigger, in the same transaction. An
answer adds these changes to the counts, so it is exact at every moment; here they are moved into the counts, so that
it is fast.
"""

from collections.abc import Sequence

from openrds.store.database import Row, Store
from openrds.store.queries import Queries

_sql = Queries("tasks")

#: Changes moved in one transaction: about as many as tasks in a block, so that blocks stay of one size.
_BATCH = 1024


def add_changes(store: Store) -> None:
    """Move all changes into the counts. Of several callers at once, one does it."""
    added = _BATCH
    while added == _BATCH:
        (row,) = store.rows(_sql.add_count_changes, [_BATCH])
        added = row["added"]


def wrong_counts(store: Store) -> Sequence[Row]:
    """Count all tasks, and return what is counted differently.

    Columns: project_id, name, status, level and number of the block, and how many tasks are `counted` and how many
    are `actual`. An empty name or status stands for any.
    """
    return store.rows(_sql.wrong_counts)


def recount(store: Store) -> None:
    """Count all tasks anew. Tasks can be read meanwhile, not changed."""
    store.rows(_sql.recount)
