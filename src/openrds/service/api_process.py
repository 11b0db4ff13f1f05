"""The API process: the application behind its door."""

from collections.abc import Callable

from openrds.api.access.rates import Rates
from openrds.api.app import create_app
from openrds.api.state import Service
from openrds.api.wire.bounds import Bounds
from openrds.api.wire.server import serve
from openrds.console.console import Console
from openrds.engines.registry import engines_of_host
from openrds.operations.intake.sight import Sight
from openrds.operations.steps.owners import Owners
from openrds.service.child import Brief
from openrds.service.endpoint import certificate_of
from openrds.service.identities import load_accounts
from openrds.service.means import choose_repository, choose_users
from openrds.store.database import Reads, Session, Store
from openrds.tasks.events import Events
from openrds.tasks.lookups import Lookups
from openrds.tasks.memory import EndedTasks
from openrds.tasks.queue import Queue
from openrds.tasks.running import RunningTasks

_READ_CONNECTIONS = 8
_WRITE_CONNECTIONS = 8


async def serve_api(brief: Brief, _announce_ready: Callable[[], None]) -> None:
    """Its clients see that it is ready."""
    with Store(brief.dsn, connections=1) as first:
        accounts = load_accounts(first)
    store = Store(brief.dsn, connections=_WRITE_CONNECTIONS)
    reads = Reads(brief.dsn, connections=_READ_CONNECTIONS)
    session = Session(brief.dsn)
    events, ended_tasks = Events(brief.dsn), EndedTasks(brief.dsn)
    service = Service(
        settings=brief.settings,
        reads=reads,
        session=session,
        running_tasks=RunningTasks(Lookups(session), events, ended_tasks),
        events=events,
        store=store,
        queue=Queue(),
        ended_tasks=ended_tasks,
        rates=Rates(brief.settings.request_rate),
        sight=_sight(brief, store),
        repository=choose_repository(brief.settings),
    )
    host, _, port = brief.settings.listen.rpartition(":")
    await serve(
        create_app(service, accounts, [Console()]),
        host,
        int(port),
        Bounds.of(brief.settings),
        certificate_of(brief.settings),
    )


def _sight(brief: Brief, store: Store) -> Sight:
    settings = brief.settings
    users = choose_users(settings)
    return Sight(
        host=settings.host,
        nodes_dir=settings.nodes_dir,
        socket_root=brief.socket_root,
        engines=engines_of_host(settings.data_dir, users, settings.engine_dirs),
        owners=Owners(store, settings.host, users),
    )
