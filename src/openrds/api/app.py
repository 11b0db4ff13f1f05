"""The application: every route, authenticated, with every failure answered in the contract's form."""

import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from litestar import Litestar, Response, Router
from litestar.datastructures import State
from litestar.exceptions import NotFoundException
from litestar.middleware import DefineMiddleware
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, SwaggerRenderPlugin
from litestar.static_files import create_static_files_router
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from swagger_ui_bundle import swagger_ui_path

from openrds import __version__
from openrds.api import (
    backups,
    catalogue,
    health,
    instance_actions,
    instance_changes,
    instance_ha,
    instance_network,
    instance_size,
    instances,
    public_ips,
    replication,
    restores,
    schedule_tasks,
    task_export,
    tasks,
)
from openrds.api.authentication import MAX_BODY_BYTES, AuthenticationMiddleware, Authenticator
from openrds.api.errors import EXCEPTION_HANDLERS, add_request_id
from openrds.api.iam import iam_router
from openrds.api.network import network_router
from openrds.api.rates import RatesMiddleware
from openrds.api.state import Service
from openrds.domain.identity import Accounts

_UI = "/schema/ui"


def create_app(service: Service, accounts: Accounts) -> Litestar:
    """The ASGI application of one API process; it opens the service's pools when it starts."""
    authenticator = Authenticator(accounts)

    @asynccontextmanager
    async def pools(_app: Litestar) -> AsyncIterator[None]:
        async with service.reads, service.ended_tasks.following():
            with service.store:
                # What there is by now stays: the collector, which stops all requests meanwhile, need not look at it.
                gc.collect()
                gc.freeze()
                yield

    return Litestar(
        route_handlers=[_rds_router(), iam_router(), network_router(), *health.HANDLERS, _ui_router()],
        middleware=[
            _measure,
            DefineMiddleware(AuthenticationMiddleware, authenticator=authenticator),
            DefineMiddleware(RatesMiddleware, rates=service.rates),
        ],
        exception_handlers=EXCEPTION_HANDLERS,
        before_send=[add_request_id],
        lifespan=[pools],
        state=State({"service": service, "settings": service.settings, "authenticator": authenticator}),
        request_max_body_size=MAX_BODY_BYTES,
        openapi_config=_openapi(),
        debug=False,
    )


def _rds_router() -> Router:
    handlers = [
        *tasks.HANDLERS,
        *task_export.HANDLERS,
        *schedule_tasks.HANDLERS,
        *replication.HANDLERS,
        *instances.HANDLERS,
        *instance_actions.HANDLERS,
        *instance_changes.HANDLERS,
        *instance_size.HANDLERS,
        *backups.HANDLERS,
        *restores.HANDLERS,
        *instance_ha.HANDLERS,
        *instance_network.HANDLERS,
        *public_ips.HANDLERS,
        *catalogue.HANDLERS,
    ]
    return Router("/", route_handlers=handlers)


def _openapi() -> OpenAPIConfig:
    """The document at `/schema/openapi.json`, and a page to browse it that needs nothing from elsewhere."""
    return OpenAPIConfig(
        title="openrds",
        version=__version__,
        description="A self-hosted relational database service behind the Huawei Cloud RDS v3 API.",
        openapi_router=Router(
            "/schema",
            route_handlers=[],
            include_in_schema=False,
            opt={"public": True},
            after_request=_refuse_unknown,
        ),
        render_plugins=[
            SwaggerRenderPlugin(
                path="/",
                favicon=f"<link rel='icon' type='image/png' href='{_UI}/favicon-32x32.png'>",
                js_url=f"{_UI}/swagger-ui-bundle.js",
                css_url=f"{_UI}/swagger-ui.css",
                standalone_preset_js_url=f"{_UI}/swagger-ui-standalone-preset.js",
            ),
            JsonRenderPlugin(path="/openapi.json"),
        ],
    )


def _refuse_unknown(response: Response[Any]) -> Response[Any]:
    """Litestar answers an unknown path below the document's with a page of its own."""
    if response.status_code == 404:
        raise NotFoundException
    return response


def _ui_router() -> Router:
    return create_static_files_router(
        path=_UI, directories=[Path(swagger_ui_path)], include_in_schema=False, opt={"public": True}
    )


def _measure(app: ASGIApp) -> ASGIApp:
    """Count each request by its route, and how long it took."""

    async def measured(scope: Scope, receive: Receive, send: Send) -> None:
        method = str(scope.get("method", ""))
        begun = time.perf_counter()
        route = scope["path_template"]

        async def note(message: Message) -> None:
            if message["type"] == "http.response.start":
                health.REQUESTS.labels(method, route, message["status"]).inc()
                health.REQUEST_SECONDS.labels(route).observe(time.perf_counter() - begun)
            await send(message)

        await app(scope, receive, note)

    return measured
