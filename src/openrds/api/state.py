"""What the API's handlers work with: one value, put into the application's state at its start."""

from dataclasses import dataclass
from typing import TypeAlias, cast

from litestar import Request
from litestar.datastructures import State

from openrds.api.access.rates import Rates
from openrds.domain.identity import Caller, Project
from openrds.domain.settings import Settings
from openrds.operations.intake.sight import Sight
from openrds.repository.place import Place
from openrds.store.database import Reads, Session, Store
from openrds.tasks.events import Events
from openrds.tasks.memory import EndedTasks
from openrds.tasks.queue import Queue
from openrds.tasks.running import RunningTasks

ApiRequest: TypeAlias = Request[Caller, Caller, State]


@dataclass(frozen=True)
class Service:
    """`reads` answers queries on the event loop, but for those for one task, which have a `session` of their own.

    `store` is for changes, which run in threads. `sight` is what this process sees of the servers of its host;
    `repository` is where backups are besides.
    """

    settings: Settings
    reads: Reads
    session: Session
    running_tasks: RunningTasks
    events: Events
    store: Store
    queue: Queue
    ended_tasks: EndedTasks
    rates: Rates
    sight: Sight | None = None
    repository: Place | None = None


def service_of(request: ApiRequest) -> Service:
    return cast("Service", request.app.state.service)


def project_of(request: ApiRequest) -> Project:
    return request.user.project
