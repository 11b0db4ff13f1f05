"""For whoever runs the service: is it alive, is it ready, and what does it do (Prometheus)."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import psycopg
from litestar import MediaType, Request, Response, get
from litestar.datastructures import State
from litestar.openapi.datastructures import ResponseSpec
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.core import REGISTRY

from openrds.api.cloud.iam import settings_of
from openrds.api.instance_metrics import add_instance_metrics, check_token
from openrds.api.refusals import refusals
from openrds.api.state import Service
from openrds.domain.errors import ErrorCode
from openrds.store.database import answered_within
from openrds.store.queries import Queries

_tasks = Queries("tasks")
_queue = Queries("queue")
_instances = Queries("instances")
_metrics = Queries("metrics")
_repository = Queries("repository")
_copies = Queries("copies")

#: The store must answer in so many seconds to count as ready.
_READY_SECONDS = 3.0
_PUBLIC = {"public": True}
_NOT_READY = ResponseSpec(str, media_type=MediaType.TEXT, description="The store does not answer.")

REQUESTS = Counter("openrds_requests", "Requests answered.", ["method", "route", "status"])
REQUEST_SECONDS = Histogram(
    "openrds_request_seconds",
    "Time from a request to its answer.",
    ["route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)


@get("/healthz", opt=_PUBLIC, media_type=MediaType.TEXT, responses=refusals(public=True), tags=["Health"])
async def healthz() -> str:
    """The API process is alive."""
    return "ok"


@get(
    "/readyz",
    opt=_PUBLIC,
    media_type=MediaType.TEXT,
    responses=refusals(public=True) | {503: _NOT_READY},
    tags=["Health"],
)
async def readyz(request: Request[None, None, State]) -> Response[str]:
    """The store answers, so that requests can be served."""
    try:
        await request.app.state.readiness.get()
    except psycopg.OperationalError:
        return Response("the store does not answer", status_code=503)
    return Response("ok")


@get(
    "/metrics",
    opt=_PUBLIC,
    media_type=MediaType.TEXT,
    responses=refusals(ErrorCode.STORE_UNAVAILABLE, ErrorCode.UNAUTHENTICATED, public=True),
    tags=["Health"],
)
async def metrics(request: Request[None, None, State]) -> Response[bytes]:
    """Metrics in Prometheus' text format: of this process and of the store; with the setting `metrics_token`, of each
    instance too, for who has it.
    """
    check_token(request.headers.get("authorization", ""), settings_of(request).metrics_token)
    of_store = await request.app.state.store_metrics.get()
    return Response(generate_latest(REGISTRY) + of_store, headers={"content-type": CONTENT_TYPE_LATEST})


class Shared:
    """An answer that those who ask while it is being found out get together: anybody may ask, as often as they like."""

    def __init__(self, find_out: Callable[[], Coroutine[Any, Any, bytes]]) -> None:
        self._find_out = find_out
        self._running: asyncio.Task[bytes] | None = None

    async def get(self) -> bytes:
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._find_out())
        # Who goes away takes the answer from nobody.
        return await asyncio.shield(self._running)


def shared_answers(service: Service) -> dict[str, Shared]:
    """What the handlers here need in the application's state."""

    async def readiness() -> bytes:
        async with answered_within(_READY_SECONDS):
            await service.reads.row(b"select 1 as one")
        return b"ok"

    async def store_metrics() -> bytes:
        return generate_latest(await _store_metrics(service))

    return {"readiness": Shared(readiness), "store_metrics": Shared(store_metrics)}


async def _store_metrics(service: Service) -> CollectorRegistry:
    registry = CollectorRegistry()
    tasks = Gauge("openrds_tasks", "Tasks of the last month.", ["name", "status"], registry=registry)
    for row in await service.reads.rows(_tasks.count_by_name):
        tasks.labels(row["name"], row["status"]).set(row["tasks"])
    depth = Gauge("openrds_queue_depth", "Steps that wait or run.", ["queue", "status"], registry=registry)
    for row in await service.reads.rows(_queue.depth):
        depth.labels(f"host:{row['host']}", "doing" if row["taken"] else "todo").set(row["steps"])
    steps = Gauge(
        "openrds_step_seconds",
        "How long a step takes, moving average.",
        ["operation", "step"],
        registry=registry,
    )
    for row in await service.reads.rows(_tasks.step_durations):
        steps.labels(row["operation"], row["step"]).set(row["seconds"])
    instances = Gauge("openrds_instances", "Instances.", ["engine", "status"], registry=registry)
    for row in await service.reads.rows(_instances.count_by_status):
        instances.labels(row["engine"], row["status"]).set(row["instances"])
    revivals = Gauge(
        "openrds_revivals",
        "How often in a row a server was brought back in the last minutes.",
        ["instance"],
        registry=registry,
    )
    rows = await service.reads.rows(_instances.revivals_of_instances)
    _set_of_instances(service, revivals, {row["instance_id"]: row["revivals"] for row in rows})
    if service.settings.metrics_token:
        add_instance_metrics(registry, await service.reads.rows(_metrics.latest_samples))
    if service.settings.backup_repository:
        await _add_repository_metrics(service, registry)
    if service.settings.backup_copies:
        await _add_copies_metrics(service, registry)
    return registry


async def _add_repository_metrics(service: Service, registry: CollectorRegistry) -> None:
    waiting = Gauge(
        "openrds_repository_backups_waiting",
        "Finished backups that are not in the backup repository yet.",
        registry=registry,
    )
    row = await service.reads.row(_repository.waiting)
    waiting.set(row["backups"] if row else 0)
    ages = Gauge(
        "openrds_repository_age_seconds",
        "How long ago all archived log of an instance was in the backup repository.",
        ["instance"],
        registry=registry,
    )
    rows = await service.reads.rows(_repository.ages)
    _set_of_instances(service, ages, {row["id"]: row["seconds"] for row in rows})


def _set_of_instances(service: Service, gauge: Gauge, values: Mapping[str, float]) -> None:
    """Where anybody may read metrics, they name no instance: then there is the largest value of any."""
    told = values if service.settings.metrics_token else {"": max(values.values())} if values else {}
    for instance_id, value in told.items():
        gauge.labels(instance_id).set(value)


async def _add_copies_metrics(service: Service, registry: CollectorRegistry) -> None:
    waiting = Gauge(
        "openrds_copies_backups_waiting",
        "Backups in the backup repository that are not in its copy yet.",
        registry=registry,
    )
    row = await service.reads.row(_copies.waiting)
    waiting.set(row["backups"] if row else 0)
    ages = Gauge(
        "openrds_copies_age_seconds",
        "How long the oldest of what is in the backup repository and not in its copy has been there, at most.",
        ["kind"],
        registry=registry,
    )
    for row in await service.reads.rows(_copies.ages):
        ages.labels(row["kind"]).set(row["seconds"])


HANDLERS = [healthz, readyz, metrics]
