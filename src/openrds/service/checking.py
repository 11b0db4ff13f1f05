"""`openrds check`: compare the counts of tasks with the tasks, beside a running service or on a stopped one."""

import sys
from pathlib import Path

import psycopg

from openrds.domain.settings import Settings
from openrds.engines.protocol import EngineError
from openrds.hosts.errors import HostError, in_words
from openrds.service import places
from openrds.service.opened_store import opened_store
from openrds.store.database import Store
from openrds.tasks.counting import recount, wrong_counts

_MOST_SHOWN = 20


def check(settings: Settings, *, repair: bool) -> int:
    """Print what differs; the exit code."""
    try:
        with opened_store(settings) as store:
            return _check(store, settings.data_dir, repair=repair)
    except (HostError, EngineError, places.DataDirectoryError, OSError) as error:
        print(f"openrds: {in_words(error)}", file=sys.stderr)
    except psycopg.Error as error:
        print(f"openrds: the store cannot be used: {error}", file=sys.stderr)
    return 1


def _check(store: Store, data_dir: Path, *, repair: bool) -> int:
    wrong = wrong_counts(store)
    if not wrong:
        print("The counts of tasks are right.")
        return 0
    for row in wrong[:_MOST_SHOWN]:
        what = f"project {row['project_id']}, {row['name'] or 'any name'}, {row['status'] or 'any status'}"
        place = f"level {row['level']}, number {row['number']}"
        print(f"{what}, {place}: {row['counted']} counted, {row['actual']} there")
    print(f"{len(wrong)} counts of tasks are wrong.")
    if not repair:
        print(f"To count anew: openrds check --repair --data-dir {data_dir}")
        return 1
    recount(store)
    print("All tasks were counted anew.")
    return 0
