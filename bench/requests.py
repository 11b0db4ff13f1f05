"""`GET jobs?id=` of a running task beside a static JSON route of the same API process, both signed.

The load comes from one process on keep-alive connections; the two routes take turns.
"""

import signal
import statistics
from collections.abc import Iterator

from bench.figures import Figure, spread
from bench.load import UNBOUNDED, signed_get, throughput
from support.service import running_service

SECONDS = 2.0
ROUNDS = 9


def measure() -> Iterator[Figure]:
    with running_service(request_rate=UNBOUNDED) as service:
        instance = service.create(name="bench-requests")
        # A worker that is stopped keeps the task running for as long as it is asked for.
        worker = service.child("worker")
        worker.send_signal(signal.SIGSTOP)
        try:
            answer = service.call("POST", f"instances/{instance['id']}/action", {"restart": {}})
            job_id = answer.json()["job_id"]
            assert service.job(job_id)["status"] == "Running"
            job = signed_get(service, f"/v3/{service.project_id}/jobs?id={job_id}")
            static = signed_get(service, "/v3/regions")
            throughput(service, [job], SECONDS), throughput(service, [static], SECONDS)
            pairs = [
                (throughput(service, [job], SECONDS), throughput(service, [static], SECONDS))
                for _ in range(ROUNDS)
            ]
            assert service.job(job_id)["status"] == "Running"
        finally:
            worker.send_signal(signal.SIGCONT)
        service.completed(job_id)
    ratio = statistics.median(jobs / statics for jobs, statics in pairs)
    jobs, statics = zip(*pairs, strict=True)
    yield Figure(
        "GET jobs?id= / static JSON route",
        ratio,
        0.9,
        at_least=True,
        detail=f"jobs {spread(jobs, '/s')}; static {spread(statics, '/s')}",
    )
