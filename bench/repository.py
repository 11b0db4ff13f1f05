"""A backup into an object storage on the same machine, beside the same done by hand.

By hand: `pg_basebackup` into a folder, `tar` and `zstd` of that into a file, and the file copied there; neither
encrypted, nor read back. Both are done in turn; a ratio is the median of the ratios of neighbours.
"""

import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import obstore

from bench.create import installation_of
from bench.figures import Figure, rounds, spread
from bench.hands import POSTGRESQL
from openrds.engines.postgresql.configuration import SUPERUSER
from openrds.service import places
from support.folders import short_folder
from support.repositories import await_outside, opened, s3_settings, store_rows
from support.s3 import S3, running_s3
from support.service import ServiceUnderTest, fresh, running_service, session, wait_for

ROUNDS = 5
#: Of data in the instance.
MB = int(os.environ.get("OPENRDS_BENCH_MB", "1000"))
_ROWS_IN_A_MB = 9400
_LIMIT = 1.2


def measure() -> Iterator[Figure]:
    by_hand, by_service = [], []
    kept = short_folder()
    try:
        with running_s3() as s3, running_service(spare_data_dirs="0", **s3_settings(s3, kept)) as service:
            instance = service.create(flavor_ref=POSTGRESQL.dialect.flavor("large.2"))
            with session(instance) as client:
                client.execute(
                    "create table filler as select i, md5(i::text) || md5((-i)::text) as note "
                    f"from generate_series(1, {MB * _ROWS_IN_A_MB}) as i"
                )
            # Of which there is as much as of data: it would be on its way at the same time.
            _await_log(service)
            stored = 0
            for round_ in range(rounds(ROUNDS) + 1):
                times = (
                    _by_hand(service, instance, s3, kept),
                    _by_service(service, instance["id"], f"round-{round_}"),
                )
                if round_ == 0:  # it warms the page cache
                    stored = sum(
                        size for name, size in opened(service).sizes("instances") if "/log/" not in name
                    )
                else:
                    by_hand.append(times[0])
                    by_service.append(times[1])
    finally:
        shutil.rmtree(kept)
    ratio = statistics.median(ours / theirs for ours, theirs in zip(by_service, by_hand, strict=True))
    detail = f"{spread(by_service)}; by hand {spread(by_hand)}; {stored / 2**20:.0f} MB there"
    yield Figure(f"backup of {MB} MB to S3 / by hand", ratio, _LIMIT, detail=detail)


def _await_log(service: ServiceUnderTest) -> None:
    (moment,) = store_rows(service, "select now() as now")
    statement = "select from log_outside where reached_at > %s"
    wait_for(lambda: store_rows(service, statement, moment["now"]), 600, "its log is there")


def _by_hand(service: ServiceUnderTest, instance: dict[str, object], s3: S3, kept: Path) -> float:
    node_id, port = instance["nodes"][0]["id"], instance["port"]  # type: ignore[index]
    program = installation_of(service, POSTGRESQL).bin_dir / "pg_basebackup"
    socket = places.socket_root(service.data_dir) / node_id
    folder, packed = kept / "base", kept / "base.tar.zst"
    begun = time.perf_counter()
    where = ("-h", str(socket), "-p", str(port), "-U", SUPERUSER)
    subprocess.run([program, *where, "-D", folder, "--checkpoint=fast"], check=True)
    with packed.open("wb") as file:
        tar = subprocess.Popen(["tar", "-C", folder, "-c", "."], stdout=subprocess.PIPE)
        subprocess.run(["zstd", "-q", "-3", "-c"], stdin=tar.stdout, stdout=file, check=True)
        assert tar.wait() == 0
    obstore.put(s3.store("first"), "by-hand", packed)
    took = time.perf_counter() - begun
    shutil.rmtree(folder)
    packed.unlink()
    return took


def _by_service(service: ServiceUnderTest, instance_id: str, name: str) -> float:
    begun = time.perf_counter()
    body = {"instance_id": instance_id, "name": name}
    backup_id = service.call("POST", "backups", body, headers=fresh()).json()["backup"]["id"]
    await_outside(service, backup_id, 600)
    took = time.perf_counter() - begun
    service.call("DELETE", f"backups/{backup_id}", headers=fresh())
    return took
