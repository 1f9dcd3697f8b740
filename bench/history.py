"""Earlier runs, so that a regression shows: a line of bench/history.jsonl for each whole run, and the plot of them."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from matplotlib.figure import Figure

from bench.report import Results, progress

FILE = Path(__file__).parent / "history.jsonl"


@dataclass(frozen=True, slots=True)
class Entry:
    """One run: what ``report.progress`` keeps of it."""

    time: str
    commit: str
    kernel: str
    processor: str
    cores: int
    values: Mapping[str, float]


def read(path: Path = FILE) -> list[Entry]:
    """Oldest first. msgspec.ValidationError for a file that is none."""
    lines = path.read_bytes().splitlines() if path.exists() else []
    return [msgspec.json.decode(line, type=Entry) for line in lines]


def append(results: Results, path: Path = FILE) -> None:
    own = results.conditions
    entry = Entry(own.time, _commit(), own.kernel, own.processor, own.cores, progress(results))
    with path.open("ab") as file:
        file.write(msgspec.json.encode(entry) + b"\n")


def plot(results: Results, entries: Sequence[Entry], path: Path) -> None:
    """Left: this run's ratios, with what must be and should be reached. Right: the same ratios over the runs."""
    asked = [
        (own, own.target)
        for own in results.measures
        if own.target is not None and own.target.against and own.target.against in own.ratios
    ]
    figure = Figure(figsize=(14, 5), layout="constrained")
    left, right = figure.subplots(1, 2)
    for row, (own, target) in enumerate(asked):
        left.barh(row, own.ratios[target.against], color="#4c78a8")
        left.plot([target.must] * 2, [row - 0.4, row + 0.4], color="#e45756", label="must" if row == 0 else None)
        left.plot([target.aim] * 2, [row - 0.4, row + 0.4], color="#54a24b", label="aim" if row == 0 else None)
        series = [entry.values.get(f"{own.name} / {target.against}", float("nan")) for entry in entries]
        right.plot(range(len(entries)), series, marker="o", label=f"{own.name} / {target.against}")
    left.set_yticks(range(len(asked)), [f"{own.name}\n/ {target.against}" for own, target in asked], fontsize=8)
    left.set_title("Treecast over what is beside it")
    left.set_xlabel("ratio")
    right.set_xticks(range(len(entries)), [entry.commit for entry in entries], rotation=45, fontsize=8)
    right.set_title("earlier runs")
    for axes in (left, right):
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _commit() -> str:
    words = ["git", "-C", str(FILE.parent), "describe", "--always", "--dirty", "--abbrev=7"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
