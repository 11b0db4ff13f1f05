"""Run measurements and print them as a table."""

import importlib
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil

# The harness that starts a service is the tests' own.
sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from bench.figures import Figure
from bench.hands import HANDS
from support.command import Program
from support.engines import found, why_missing
from support.service import ServiceUnderTest

# What is measured starts as it does for a user.
ServiceUnderTest.program = Program

MEASUREMENTS = (
    "create",
    "creations",
    "volume",
    "steps",
    "fair",
    "requests",
    "events",
    "strangers",
    "idle",
    "memory",
    "ha",
    "restore",
    "accounts",
    "repository",
    "parameters",
    "metrics",
)
#: Also of the other engines, and `servers` of those alone: `create-mysql`.
OF_EACH_ENGINE = ("create", "ha", "restore", "parameters", "servers", "accounts", "metrics")
MEASUREMENTS_OF_ENGINES = tuple(
    f"{name}-{engine}" for engine in HANDS if engine != "postgresql" for name in OF_EACH_ENGINE
)
#: Only when asked for: it fills a store with millions of tasks, and takes many minutes.
LONG_MEASUREMENTS = ("tasks",)


def main(names: list[str]) -> int:
    usual = (*MEASUREMENTS, *MEASUREMENTS_OF_ENGINES)
    known = (*usual, *LONG_MEASUREMENTS)
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"There is no measurement {', '.join(unknown)}; there are {', '.join(known)}.")
        return 2
    print(
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}, {os.cpu_count()} cores, "
        f"{psutil.virtual_memory().total / 2**30:.0f} GiB, load {os.getloadavg()[0]:.1f}"
    )
    figures: list[Figure] = []
    for name in names or usual:
        print(f"measuring {name} ...", flush=True)
        for figure in measure(name):
            print(f"  {figure}", flush=True)
            figures.append(figure)
    missed = [figure for figure in figures if not figure.holds]
    print(f"{len(figures) - len(missed)} of {len(figures)} figures hold.")
    return 1 if missed else 0


def measure(name: str) -> Iterator[Figure]:
    """The figures of a measurement; none, where the host lacks the engine."""
    module, _, engine = name.partition("-")
    measured = importlib.import_module(f"bench.{module}").measure
    if not engine:
        yield from measured()
    elif found(HANDS[engine].dialect.engine):
        yield from measured(HANDS[engine])
    else:
        print(f"  left out: {why_missing(HANDS[engine].dialect.engine)}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
