"""What was measured of an instance, each minute or more closely: an extension of openrds."""

import datetime as dt
from dataclasses import dataclass

import msgspec
from litestar import get
from litestar.params import FromPath, FromQuery

from openrds.api.rds.instance_reads import find_instance
from openrds.api.rds.tasks import Milliseconds, check_window, moment
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest, service_of
from openrds.domain.metrics import KEPT, KEPT_CLOSE, Sample
from openrds.domain.rules import check_one_of
from openrds.store.database import Row
from openrds.store.queries import Queries

_sql = Queries("metrics")

#: A day of a pair.
_MOST = 2 * 24 * 60


@dataclass(frozen=True)
class _Kept:
    """What is kept for how long, and of which time it is told where nobody says."""

    statement: bytes
    kept: dt.timedelta
    usual: dt.timedelta


_RESOLUTIONS = {
    "minute": _Kept(_sql.samples_of_instance, KEPT, dt.timedelta(hours=1)),
    "second": _Kept(_sql.close_samples_of_instance, KEPT_CLOSE, dt.timedelta(minutes=10)),
}


class TimedSample(Sample, frozen=True, kw_only=True):
    """`time` in milliseconds since 1970, the beginning of a minute, or of its second or five seconds."""

    time: int


class SamplesAnswer(msgspec.Struct):
    samples: list[TimedSample]


@get(
    "/v3/{project_id:str}/instances/{instance_id:str}/metrics",
    responses=refusals(instance=True),
    tags=["Extensions"],
)
async def list_samples(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    start_time: Milliseconds = None,
    end_time: Milliseconds = None,
    resolution: FromQuery[str] = "minute",
) -> SamplesAnswer:
    """Of each node of an instance a sample a minute, oldest first, at most 2880: of the last hour unless one says.

    With `resolution=second` those of second-level monitoring, of an hour at most: of the last ten minutes unless one
    says.
    """
    check_window(start_time, end_time)
    check_one_of("resolution", resolution, _RESOLUTIONS)
    await find_instance(request, project_id, instance_id)
    now, of = dt.datetime.now(dt.UTC), _RESOLUTIONS[resolution]
    since, until = moment(start_time) or now - of.usual, moment(end_time) or now
    parameters = {
        "instance_id": instance_id,
        "since": max(since, now - of.kept),
        "until": until,
        "limit": _MOST,
    }
    rows = await service_of(request).reads.rows(of.statement, parameters)
    return SamplesAnswer([_sample(row) for row in rows])


def _sample(row: Row) -> TimedSample:
    at = int(row["at"].timestamp() * 1000)
    return msgspec.convert(
        {**{name: row[name] for name in Sample.__struct_fields__}, "time": at}, TimedSample
    )


HANDLERS = [list_samples]
