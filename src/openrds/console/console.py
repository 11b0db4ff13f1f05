"""All routes of the console, as `create_app` takes them."""

from typing import Any

from litestar import Router

from openrds.api.access.authentication import Authenticator
from openrds.api.state import Service
from openrds.console import create_instance, files, instance_actions, instances, overview, sign_in, tasks
from openrds.console.failures import FAILURES
from openrds.console.guard import Guard
from openrds.console.pages import add_headers
from openrds.console.sessions import Sessions


class Console:
    def router(self) -> Router:
        return Router(
            "/console",
            route_handlers=[
                *files.HANDLERS,
                *sign_in.HANDLERS,
                *overview.HANDLERS,
                *tasks.HANDLERS,
                *instances.HANDLERS,
                *create_instance.HANDLERS,
                *instance_actions.HANDLERS,
            ],
            middleware=[Guard],
            exception_handlers=FAILURES,
            after_request=add_headers,
            # Signatures and tokens are nothing here.
            opt={"public": True},
            include_in_schema=False,
        )

    def state(self, service: Service, authenticator: Authenticator) -> dict[str, Any]:
        return {"console_sessions": Sessions(service.reads, service.store, authenticator)}
