"""The application without a store, never started: its routes, its document, what is refused before the store."""

from pathlib import Path
from typing import cast

from litestar import Litestar

from openrds.api.access.rates import Rates
from openrds.api.app import create_app
from openrds.api.state import Service
from openrds.domain.identity import Account, Accounts
from openrds.domain.settings import Settings
from openrds.store.database import Reads, Session, Store
from openrds.tasks.events import Events
from openrds.tasks.lookups import Lookups
from openrds.tasks.memory import EndedTasks
from openrds.tasks.queue import Queue
from openrds.tasks.running import RunningTasks


def unstarted_application(*accounts: Account) -> Litestar:
    nowhere = Settings(data_dir=Path("/nonexistent"))
    session = Session("")
    events, ended_tasks = Events(""), EndedTasks("")
    service = Service(
        settings=nowhere,
        reads=cast(Reads, None),
        session=session,
        running_tasks=RunningTasks(Lookups(session), events, ended_tasks),
        events=events,
        store=cast(Store, None),
        queue=Queue(),
        ended_tasks=ended_tasks,
        rates=Rates(1000),
    )
    return create_app(service, Accounts(accounts))
