"""The API process: the application on Granian."""

from granian.server.embed import Server

from openrds.api.app import create_app
from openrds.api.rates import Rates
from openrds.api.state import Service
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
    )
    host, _, port = brief.settings.listen.rpartition(":")
    server = Server(
        create_app(service, accounts),
        address=host,
        port=int(port),
        interface="asgi",  # type: ignore[arg-type]
        websockets=False,
        log_enabled=False,
    )
    try:
        await server.serve()
    finally:
        server.stop()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    child.run(serve_api)
