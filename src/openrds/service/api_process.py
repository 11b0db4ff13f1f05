"""The API process: the application behind its door."""

from openrds.api.app import create_app
from openrds.api.rates import Rates
from openrds.api.state import Service
from openrds.api.wire.bounds import Bounds
from openrds.api.wire.server import serve
from openrds.engines.postgresql.engine import PostgreSQL
from openrds.hosts.user import ServerUser
from openrds.operations.sight import Sight
from openrds.service import child
from openrds.service.identities import load_accounts
from openrds.store.database import Reads, Store
from openrds.tasks.memory import EndedTasks
from openrds.tasks.queue import Queue

_READ_CONNECTIONS = 8
_WRITE_CONNECTIONS = 8


async def serve_api(brief: child.Brief) -> None:
    with Store(brief.dsn, connections=1) as store:
        accounts = load_accounts(store)
    service = Service(
        settings=brief.settings,
        reads=Reads(brief.dsn, connections=_READ_CONNECTIONS),
        store=Store(brief.dsn, connections=_WRITE_CONNECTIONS),
        queue=Queue(),
        ended_tasks=EndedTasks(brief.dsn),
        rates=Rates(brief.settings.request_rate),
        sight=_sight(brief),
    )
    host, _, port = brief.settings.listen.rpartition(":")
    await serve(create_app(service, accounts), host, int(port), Bounds.of(brief.settings))


def _sight(brief: child.Brief) -> Sight:
    settings = brief.settings
    user = ServerUser.choose(settings.os_user)
    postgresql = PostgreSQL(settings.data_dir, user, settings.engine_dirs, spare_data_dirs=0)
    return Sight(settings.host, settings.nodes_dir, brief.socket_root, {postgresql.name: postgresql})


if __name__ == "__main__":
    child.run(serve_api)
