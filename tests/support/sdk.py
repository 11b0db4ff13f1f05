"""The cloud's own Python SDK, `huaweicloudsdkrds`, unmodified: a client, and what its users do with jobs."""

import inspect
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkrds.v3 import RdsClient
from huaweicloudsdkrds.v3 import model as m

from support.service import ServiceUnderTest, wait_for

#: Seconds until a task of a pair has ended, on a machine that has much else to do.
LONG = 240.0

_REQUEST = re.compile(r'"method": "(\w+)".*?"resource_path": "([^"]+)"', re.DOTALL)


@contextmanager
def connected(service: ServiceUnderTest, **changed: Any) -> Iterator[RdsClient]:
    """A client of the service's default account; `changed` are other keys or another project id."""
    keys = {
        "ak": service.credentials["access_key"],
        "sk": service.credentials["secret_key"],
        "project_id": service.project_id,
        **changed,
    }
    builder = RdsClient.new_builder().with_credentials(BasicCredentials(**keys))
    client = builder.with_endpoint(service.endpoint).build()
    try:
        yield client
    finally:
        client.get_http_client().close()


def creation(body: dict[str, Any], **more: Any) -> m.CustomerCreateInstanceReq:
    """A body as `ServiceUnderTest.create_body` makes it, and what else is asked for."""
    parts = {"datastore": m.Datastore, "volume": m.Volume, "ha": m.Ha}
    given = {name: parts[name](**value) if name in parts else value for name, value in body.items()}
    return m.CustomerCreateInstanceReq(**given, **more)


def job_of(client: RdsClient, job_id: str) -> m.GetJobInfoResponseBodyJob:
    return client.list_job_info(m.ListJobInfoRequest(id=job_id)).job


def ended(client: RdsClient, job_id: str, seconds: float = 60.0) -> m.GetJobInfoResponseBodyJob:
    """The job once it has ended, polled as users of the SDK do; it is readable from the first poll."""

    def look() -> m.GetJobInfoResponseBodyJob | None:
        job = job_of(client, job_id)
        if job.status == "Running":
            assert job.process.endswith("%") and 0 <= int(job.process[:-1]) <= 100
            assert job.ended is None and job.fail_reason is None
        else:
            assert job.process == "" and job.ended
        return job if job.status != "Running" else None

    found: m.GetJobInfoResponseBodyJob = wait_for(look, seconds, f"the end of {job_id}")
    return found


def completed(client: RdsClient, job_id: str, seconds: float = 60.0) -> m.GetJobInfoResponseBodyJob:
    job = ended(client, job_id, seconds)
    assert job.status == "Completed", job
    return job


def listed(client: RdsClient, **filters: Any) -> list[m.InstanceResponse]:
    found: list[m.InstanceResponse] = client.list_instances(m.ListInstancesRequest(**filters)).instances
    return found


def switch_over(client: RdsClient, instance_id: str) -> m.StartFailoverResponse:
    """Begin a switchover, in a second of its own: others may have asked for the same just before."""
    next_second()
    request = m.StartFailoverRequest(instance_id=instance_id, body=m.FailoverRequest())
    answer: m.StartFailoverResponse = client.start_failover(request)
    return answer


def next_second() -> None:
    """Of two equal calls in one second, which have the same signature, the second does nothing."""
    time.sleep(1.0 - time.time() % 1.0)


def operations() -> dict[str, tuple[str, str]]:
    """Method and path of each operation of the SDK, by its name."""
    found = {}
    for name in dir(RdsClient):
        if name.endswith("_http_info"):
            source = inspect.getsource(getattr(RdsClient, name))
            match = _REQUEST.search(source)
            assert match is not None, name
            found[name.strip("_").removesuffix("_http_info")] = (match[1], match[2])
    return found
