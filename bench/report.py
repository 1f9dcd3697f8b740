"""The results as records, as a file and as a table."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from rich.table import Table

from bench.search import Trial

OWN = "treecast"


@dataclass(frozen=True, slots=True)
class Conditions:
    """The machine and time that the numbers hold for."""

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
class Target:
    """A target: a ratio to the side ``against``, or where that is empty a value in the work's unit."""

    must: float
    aim: float
    against: str = ""


@dataclass(frozen=True, slots=True)
class Measure:
    """One work, all sides. ``ratios``: Treecast's median over that of each other side, where that is not 0."""

    name: str
    unit: str
    higher_is_better: bool
    sides: Mapping[str, SideResult]
    ratios: Mapping[str, float]
    target: Target | None = None

    def reached(self, side: str) -> str:
        """``aim``, ``must`` or ``missed`` beside ``side`` ("": the value itself); empty where nothing is asked."""
        target = self.target
        if target is None or target.against != side or OWN not in self.sides:
            return ""
        value = self.ratios.get(side) if side else self.sides[OWN].median
        if value is None:
            return ""
        for name, limit in (("aim", target.aim), ("must", target.must)):
            if value >= limit if self.higher_is_better else value <= limit:
                return name
        return "missed"


@dataclass(frozen=True, slots=True)
class Results:
    conditions: Conditions
    measures: tuple[Measure, ...]


def side_result(runs: Sequence[float], trials: Sequence[tuple[Trial, ...]] = ()) -> SideResult:
    return SideResult(tuple(runs), statistics.median(runs), tuple(trials))


def measure(
    name: str,
    unit: str,
    sides: Mapping[str, SideResult],
    *,
    higher_is_better: bool = True,
    target: Target | None = None,
) -> Measure:
    """A measure with the ratio of Treecast to each other side."""
    own = sides.get(OWN)
    others = {side: result.median for side, result in sides.items() if side != OWN and result.median}
    ratios = {side: own.median / median for side, median in others.items()} if own else {}
    return Measure(name, unit, higher_is_better, sides, ratios, target)


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
    "s": (1e-3, "ms", "{:.1f}".format),
    "frames": (1, "frames", "{:.1f}".format),
    "CPU s/Gbit": (1, "CPU s/Gbit", "{:.3f}".format),
    "CPU s/packet": (1e-6, "CPU us/packet", "{:.2f}".format),
    "bytes": (1, "bytes", "{:,.0f}".format),
    "core": (1e-2, "% of a core", "{:.2f}".format),
    "packets/core-s": (1e6, "M packets/core-s", "{:.2f}".format),
}


def table(results: Results, before: Mapping[str, float]) -> Table:
    """A row for each work and side it is compared to. ``before``: ``progress`` of an earlier run."""
    shown = Table(title="Medians (least - most of the runs)", title_justify="left")
    shown.add_column("work", ratio=2)
    for name in (OWN, "beside", "ratio", "before", "must", "aim", "reached"):
        shown.add_column(name, justify="right")
    for own in results.measures:
        _, unit, _ = SCALES[own.unit]
        better = "" if own.higher_is_better else ", lower is better"
        first = f"{own.name} ({unit}{better})"
        for row in _rows(own, before):
            shown.add_row(first, *row)
            first = ""
    return shown


def _rows(own: Measure, before: Mapping[str, float]) -> Iterator[tuple[str, ...]]:
    divisor, _, text = SCALES[own.unit]
    target = own.target
    others = [side for side in own.sides if side != OWN]
    value = _cell(own.sides[OWN], divisor, text) if OWN in own.sides else "-"
    if not others or (target is not None and not target.against):
        limits = ("", "") if target is None else (text(target.must / divisor), text(target.aim / divisor))
        yield (value, "", "", _before(own, "", before), *limits, own.reached(""))
        value = ""
    for side in others:
        ratio = f"{own.ratios[side]:.2f} x" if side in own.ratios else "-"
        asked = target is not None and target.against == side
        limits = (f"{target.must:g} x", f"{target.aim:g} x") if target is not None and asked else ("", "")
        beside = f"{side} {_cell(own.sides[side], divisor, text)}"
        yield (value, beside, ratio, _before(own, side, before), *limits, own.reached(side))
        value = ""


def progress(results: Results) -> dict[str, float]:
    """Values compared from run to run: ratios, or where nothing is beside it the value. By ``key``."""
    kept: dict[str, float] = {}
    for own in results.measures:
        if OWN in own.sides:
            kept[key(own, "")] = own.sides[OWN].median
        kept |= {key(own, side): ratio for side, ratio in own.ratios.items()}
    return kept


def key(own: Measure, side: str) -> str:
    return f"{own.name} / {side}" if side else own.name


def _before(own: Measure, side: str, before: Mapping[str, float]) -> str:
    value = before.get(key(own, side))
    if value is None:
        return ""
    divisor, _, text = SCALES[own.unit]
    return f"{value:.2f} x" if side else text(value / divisor)


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
