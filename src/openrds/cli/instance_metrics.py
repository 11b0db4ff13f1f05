"""`openrds instance metrics`: what was last measured of its servers, and how often that is done."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from itertools import groupby
from typing import Annotated

import typer

from openrds.cli import lookups
from openrds.cli.client import Json
from openrds.cli.instances import IdOrName
from openrds.cli.session import Session, client_command

app = typer.Typer()


class Each(StrEnum):
    """Seconds."""

    SECOND = "1"
    FIVE_SECONDS = "5"
    MINUTE = "60"


_HEADER = ("NODE", "TIME", "CPU", "MEMORY", "VOLUME", "CONNECTIONS", "TRANSACTIONS", "LAG")


@client_command(app, "metrics")
def metrics(
    session: Session,
    instance: IdOrName,
    *,
    each: Annotated[
        Each | None, typer.Option(help="Have it measured each so many seconds from now on.")
    ] = None,
) -> None:
    """Show what was last measured of the servers of an instance: CPU in cores, transactions a second."""
    client = session.client
    path = f"instances/{lookups.find_instance_id(client, instance)}"
    if each is not None:
        client.put(f"{path}/second-level-monitor", _monitoring(each))
    setting = client.get(f"{path}/second-level-monitor")
    resolution = "second" if setting["switch_option"] else "minute"
    answer = client.get(f"{path}/metrics", {"resolution": resolution})
    session.output.rows(answer, _HEADER, _rows(answer["samples"]))


def _monitoring(each: Each) -> Json:
    on = each is not Each.MINUTE
    return {"switch_option": on, **({"interval": int(each)} if on else {})}


def _rows(samples: list[Json]) -> Iterator[tuple[object, ...]]:
    """The last sample of each node, with what happened since the one before."""
    for _, of_node in groupby(sorted(samples, key=_order), lambda sample: sample["node_id"]):
        *_, before, last = [{}, *of_node]
        yield _row(before, last)


def _order(sample: Json) -> tuple[str, int]:
    return sample["node_id"], sample["time"]


def _row(before: Mapping[str, float | None], last: Json) -> tuple[object, ...]:
    connections = [last[f"connections_{state}"] for state in ("active", "idle", "idle_in_transaction")]
    return (
        last["node_id"],
        datetime.fromtimestamp(last["time"] / 1000, UTC).strftime("%H:%M:%S UTC"),
        _rate(before, last, "cpu_seconds", ".2f"),
        _mb(last["memory_bytes"]),
        _mb(last["volume_used_bytes"]),
        "" if connections[0] is None else sum(filter(None, connections)),
        _rate(before, last, "transactions", ".0f"),
        "" if last["lag_seconds"] is None else f"{last['lag_seconds']:.1f} s",
    )


def _rate(before: Mapping[str, float | None], last: Json, name: str, form: str) -> str:
    """How much of it came in a second; nothing where that is not known, as after a restart."""
    earlier, later = before.get(name), last[name]
    if earlier is None or later is None or later < earlier:
        return ""
    seconds = (last["time"] - (before["time"] or 0)) / 1000
    return format((later - earlier) / seconds, form)


def _mb(number: int | None) -> str:
    return "" if number is None else f"{number / 2**20:.0f} MB"
