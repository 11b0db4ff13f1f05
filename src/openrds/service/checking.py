"""`openrds check`: compare the counts of tasks with the tasks, and see whether backups get out of this machine.

Beside a running service or on a stopped one.
"""

import sys
from pathlib import Path

import psycopg

from openrds.domain.settings import Settings
from openrds.engines.protocol import EngineError
from openrds.hosts.errors import HostError, in_words
from openrds.repository.errors import RepositoryError
from openrds.service import places
from openrds.service.means import choose_copies, choose_repository
from openrds.service.opened_store import opened_store
from openrds.store.database import Store
from openrds.store.queries import Queries
from openrds.tasks.counting import recount, wrong_counts

_sql = Queries("repository")
_copies = Queries("copies")

_MOST_SHOWN = 20


def check(settings: Settings, *, repair: bool) -> int:
    """Print what differs; the exit code."""
    try:
        with opened_store(settings) as store:
            wrong = _check(store, settings.data_dir, repair=repair)
            return max(wrong, _check_repository(store, settings), _check_copies(store, settings))
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


def _check_repository(store: Store, settings: Settings) -> int:
    """Whether the repository can be reached and is this service's, and how old what is in it is."""
    place = choose_repository(settings)
    if place is None:
        return 0
    try:
        service = place.open().service()
    except RepositoryError as error:
        print(error)
        return 1
    known = next(iter(store.rows(_sql.repository)), None)
    if service is not None and (known is None or known["service"] != service):
        print(f"The backup repository {place.url} is another service's: nothing is written to it.")
        return 1
    print(f"The backup repository {place.url} can be reached.")
    (waiting,) = store.rows(_sql.waiting)
    if waiting["backups"]:
        print(
            f"{waiting['backups']} backups are not there yet, the oldest of {waiting['oldest']:%Y-%m-%d %H:%M} UTC."
        )
    ages = store.rows(_sql.ages)
    if ages:
        oldest = max(ages, key=lambda row: row["seconds"])
        print(
            f"Archived log is there up to {oldest['seconds']:.0f} s ago or later (instance {oldest['id']})."
        )
    return 0


def _check_copies(store: Store, settings: Settings) -> int:
    """Whether the place of the copies can be reached and is this service's, and how old what is in it is."""
    place = choose_copies(settings)
    if place is None:
        return 0
    try:
        service = place.open().service()
    except RepositoryError as error:
        print(error)
        return 1
    ours = next((row["service"] for row in store.rows(_sql.repository)), None)
    known = next(iter(store.rows(_copies.known)), None)
    if service is not None and known is not None and service != ours:
        print(f"The copies at {place.url} are another service's: nothing is written to them.")
        return 1
    print(f"The place of copies {place.url} can be reached.")
    if known is None or known["address"] != place.url:
        print("Nothing was copied there yet.")
        return 1
    (waiting,) = store.rows(_copies.waiting)
    if waiting["backups"]:
        print(
            f"{waiting['backups']} backups are not copied yet, the oldest of {waiting['oldest']:%Y-%m-%d %H:%M} UTC."
        )
    oldest = max(store.rows(_copies.ages), key=lambda row: row["seconds"])
    print(
        f"What was in the repository {oldest['seconds']:.0f} s ago is copied ({oldest['kind']} are the oldest)."
    )
    if known["problem"]:
        print(f"The last time something was not copied: {known['problem']}")
        return 1
    return 0
