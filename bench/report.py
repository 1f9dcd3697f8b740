"""The results as records, as a file and as a table."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from rich.table import Table

from bench.search import Trial


@dataclass(frozen=True, slots=True)
class Conditions:
    """What the numbers hold for."""

    time: str
    kernel: str
    processor: str
    cores: int
    python: str
    datagram_bytes: int
    loss_limit: float
    trial_s: float
    runs: int
    sides: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SideResult:
    """The runs of one side, in the order they were made, and the trials behind them where there are any."""

    runs: tuple[float, ...]
    median: float
    trials: tuple[tuple[Trial, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Measure:
    """One work, all sides. ``ratios``: each other side's median over the first's."""

    name: str
    unit: str
    higher_is_better: bool
    sides: Mapping[str, SideResult]
    ratios: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Results:
    conditions: Conditions
    measures: tuple[Measure, ...]


def side_result(runs: Sequence[float], trials: Sequence[tuple[Trial, ...]] = ()) -> SideResult:
    return SideResult(tuple(runs), statistics.median(runs), tuple(trials))


def measure(
    name: str, unit: str, sides: Mapping[str, SideResult], *, reference: str, higher_is_better: bool = True
) -> Measure:
    """With the ratio of each side to the ``reference`` side, where that was measured and is not 0."""
    base = sides[reference].median if reference in sides else 0.0
    ratios = {side: result.median / base for side, result in sides.items() if side != reference and base}
    return Measure(name, unit, higher_is_better, sides, ratios)


def conditions(
    *, datagram_bytes: int, loss_limit: float, trial_s: float, runs: int, sides: Mapping[str, str]
) -> Conditions:
    return Conditions(
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        kernel=platform.release(),
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)),
        python=platform.python_version(),
        datagram_bytes=datagram_bytes,
        loss_limit=loss_limit,
        trial_s=trial_s,
        runs=runs,
        sides=sides,
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def write(results: Results, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=2) + b"\n")


SCALES: Mapping[str, tuple[float, str, Callable[[float], str]]] = {
    "bit/s": (1e9, "Gbit/s", "{:.2f}".format),
    "packets/s": (1e3, "k packets/s", "{:.1f}".format),
    "ns": (1e3, "us", "{:.0f}".format),
    "frames": (1, "frames", "{:.1f}".format),
}


def table(results: Results) -> Table:
    """A row per measure: each side's median with its extremes, and the ratios."""
    names = list(results.conditions.sides)
    reference = names[0]
    shown = Table(title="Medians (least - most of the runs)", title_justify="left")
    shown.add_column("work")
    for name in names:
        shown.add_column(name, justify="right")
    for name in names[1:]:
        shown.add_column(f"{name} / {reference}", justify="right")
    for own in results.measures:
        divisor, unit, text = SCALES[own.unit]
        cells = [_cell(own.sides[name], divisor, text) for name in names]
        ratios = [f"{own.ratios[name]:.2f} x" if name in own.ratios else "-" for name in names[1:]]
        better = "" if own.higher_is_better else ", lower is better"
        shown.add_row(f"{own.name} ({unit}{better})", *cells, *ratios)
    return shown


def _cell(result: SideResult, divisor: float, text: Callable[[float], str]) -> str:
    median, least, most = (text(value / divisor) for value in (result.median, min(result.runs), max(result.runs)))
    return median if len(result.runs) == 1 else f"{median} ({least} - {most})"


def lines(own: Conditions) -> list[str]:
    """The conditions, for people."""
    return [
        f"Linux {own.kernel}, {own.processor}, {own.cores} cores for source, nodes and all subscribers; veth underlay",
        f"{own.datagram_bytes}-byte datagrams, at most {own.loss_limit:.1%} loss at every subscriber, "
        f"{own.trial_s:g} s a trial, {own.runs} runs, the sides alternating",
        *(f"{name}: {text}" for name, text in own.sides.items()),
    ]
