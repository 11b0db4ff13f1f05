"""A measured figure beside what it must reach."""

import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """`value` must be at most, or with `at_least` at least, the `limit`; `detail` says how it came about."""

    name: str
    value: float
    limit: float
    unit: str = ""
    at_least: bool = False
    detail: str = ""

    @property
    def holds(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self) -> str:
        sign = ">=" if self.at_least else "<="
        verdict = "ok" if self.holds else "MISSED"
        return f"{self.name}: {self.value:.3g}{self.unit} ({sign} {self.limit:g}{self.unit}) {verdict}  {self.detail}"


def spread(values: Sequence[float], unit: str = "s", scale: float = 1.0) -> str:
    """Median and range, for a detail."""
    scaled = [value * scale for value in values]
    return f"{statistics.median(scaled):.3g} {unit} ({min(scaled):.3g} to {max(scaled):.3g}, n={len(scaled)})"


def percentile(values: Sequence[float], percent: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def rounds(usual: int) -> int:
    """As many as usual, or as are asked for: fewer show that a measurement works, and say less."""
    return min(usual, int(os.environ.get("OPENRDS_BENCH_ROUNDS", usual)))
