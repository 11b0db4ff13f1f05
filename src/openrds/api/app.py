"""The application: every route, authenticated, with every failure answered in the contract's form."""

import gc
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.middleware import DefineMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from openrds.api import health, schema
from openrds.api.access.authentication import MAX_BODY_BYTES, AuthenticationMiddleware, Authenticator
from openrds.api.access.rates import RatesMiddleware
from openrds.api.access.revocations import Revocations
from openrds.api.access.sign_ins import SignIns
from openrds.api.cloud.iam import iam_router
from openrds.api.cloud.network import network_router
from openrds.api.cloud.versions import versions_router
from openrds.api.errors import EXCEPTION_HANDLERS, add_request_id
from openrds.api.holding import Holding
from openrds.api.rds import (
    access,
    backup_files,
    backup_policies,
    backup_settings,
    backup_usage,
    backups,
    catalogue,
    certificates,
    configuration_uses,
    configurations,
    database_users,
    databases,
    dns_names,
    empty_lists,
    events,
    extensions,
    instance_actions,
    instance_batches,
    instance_changes,
    instance_ha,
    instance_metrics,
    instance_network,
    instance_parameters,
    instance_policies,
    instance_size,
    instance_summaries,
    instance_tasks,
    instances,
    log_files,
    logs,
    not_offered,
    passwords,
    privileges,
    recycle_bin,
    replication,
    restorable,
    restores,
    schedule_events,
    schedule_tasks,
    task_export,
    tasks,
    version_upgrades,
    webhooks,
)
from openrds.api.rds.log_reads import Turns
from openrds.api.state import Service
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.identity import Accounts

MAX_ADDRESS_BYTES = 8 * 1024


class Pages(Protocol):
    """What is served besides the API, by a layer above it."""

    def router(self) -> Router: ...

    def state(self, service: Service, authenticator: Authenticator) -> dict[str, Any]:
        """What its handlers find in the application's state."""


def create_app(service: Service, accounts: Accounts, pages: Sequence[Pages] = ()) -> Litestar:
    """The ASGI application of one API process; it opens the service's pools when it starts.

    `pages` is what is served besides the API.
    """
    revocations = Revocations(service.store)
    authenticator = Authenticator(accounts, revoked=revocations)
    state = {
        "service": service,
        "settings": service.settings,
        "authenticator": authenticator,
        "sign_ins": SignIns(),
        "revocations": revocations,
        "asking": {},
        "log_turns": Turns(),
        "holding": Holding(),
        **health.shared_answers(service),
    }
    for page in pages:
        state |= page.state(service, authenticator)

    @asynccontextmanager
    async def pools(_app: Litestar) -> AsyncIterator[None]:
        async with (
            service.reads,
            service.session,
            service.ended_tasks.following(),
            service.events.following(),
        ):
            with service.store:
                revocations.load()
                # What there is by now stays: the collector, which stops all requests meanwhile, need not look at it.
                gc.collect()
                gc.freeze()
                yield

    return Litestar(
        route_handlers=[
            _rds_router(),
            iam_router(),
            network_router(),
            versions_router(),
            *health.HANDLERS,
            schema.page_file,
            *(page.router() for page in pages),
        ],
        middleware=[
            _measure,
            _refuse_long_addresses,
            DefineMiddleware(AuthenticationMiddleware, authenticator=authenticator),
            DefineMiddleware(RatesMiddleware, rates=service.rates),
        ],
        exception_handlers=EXCEPTION_HANDLERS,
        before_send=[add_request_id],
        lifespan=[pools],
        state=State(state),
        request_max_body_size=MAX_BODY_BYTES,
        openapi_config=schema.openapi_config(),
        plugins=[schema.Security()],
        # The process has set up its log; Litestar would write lines of another form.
        logging_config=None,
        debug=False,
    )


def _rds_router() -> Router:
    handlers = [
        *tasks.HANDLERS,
        *task_export.HANDLERS,
        *events.HANDLERS,
        *webhooks.HANDLERS,
        *instance_tasks.HANDLERS,
        *schedule_events.HANDLERS,
        *schedule_tasks.HANDLERS,
        *replication.HANDLERS,
        *instances.HANDLERS,
        *instance_actions.HANDLERS,
        *instance_batches.HANDLERS,
        *instance_summaries.HANDLERS,
        *instance_changes.HANDLERS,
        *access.HANDLERS,
        *databases.HANDLERS,
        *extensions.HANDLERS,
        *database_users.HANDLERS,
        *privileges.HANDLERS,
        *dns_names.HANDLERS,
        *instance_size.HANDLERS,
        *instance_policies.HANDLERS,
        *version_upgrades.HANDLERS,
        *backups.HANDLERS,
        *backup_usage.HANDLERS,
        *backup_files.HANDLERS,
        *backup_policies.HANDLERS,
        *backup_settings.HANDLERS,
        *recycle_bin.HANDLERS,
        *restores.HANDLERS,
        *restorable.HANDLERS,
        *instance_ha.HANDLERS,
        *instance_network.HANDLERS,
        *certificates.HANDLERS,
        *logs.HANDLERS,
        *instance_metrics.HANDLERS,
        *log_files.HANDLERS,
        *configurations.HANDLERS,
        *configuration_uses.HANDLERS,
        *instance_parameters.HANDLERS,
        *catalogue.HANDLERS,
        *passwords.HANDLERS,
        *empty_lists.HANDLERS,
        *not_offered.HANDLERS,
    ]
    return Router("/", route_handlers=handlers)


def _refuse_long_addresses(app: ASGIApp) -> ASGIApp:
    """So bounds every id, filter and name that stands in one."""

    async def bounded(scope: Scope, receive: Receive, send: Send) -> None:
        if len(scope["raw_path"]) + len(scope["query_string"]) > MAX_ADDRESS_BYTES:
            raise Refusal(ErrorCode.ADDRESS_TOO_LONG)
        await app(scope, receive, send)

    return bounded


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
