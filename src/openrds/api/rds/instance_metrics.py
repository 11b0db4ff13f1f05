"""What was measured of an instance, a minute each: an extension of openrds."""

import datetime as dt

import msgspec
from litestar import get
from litestar.params import FromPath

from openrds.api.rds.instance_reads import find_instance
from openrds.api.rds.tasks import Milliseconds, check_window, moment
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest, service_of
from openrds.domain.metrics import KEPT, Sample
from openrds.store.database import Row
from openrds.store.queries import Queries

_sql = Queries("metrics")

_USUAL = dt.timedelta(hours=1)
#: A day of a pair.
_MOST = 2 * 24 * 60


class TimedSample(Sample, frozen=True, kw_only=True):
    """`time` in milliseconds since 1970, the beginning of a minute."""

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
) -> SamplesAnswer:
    """Of each node of an instance a sample a minute, oldest first, at most 2880: of the last hour unless one says."""
    check_window(start_time, end_time)
    await find_instance(request, project_id, instance_id)
    now = dt.datetime.now(dt.UTC)
    since, until = moment(start_time) or now - _USUAL, moment(end_time) or now
    parameters = {
        "instance_id": instance_id,
        "since": max(since, now - KEPT),
        "until": until,
        "limit": _MOST,
    }
    rows = await service_of(request).reads.rows(_sql.samples_of_instance, parameters)
    return SamplesAnswer([_sample(row) for row in rows])


def _sample(row: Row) -> TimedSample:
    at = int(row["at"].timestamp() * 1000)
    return msgspec.convert(
        {**{name: row[name] for name in Sample.__struct_fields__}, "time": at}, TimedSample
    )


HANDLERS = [list_samples]
