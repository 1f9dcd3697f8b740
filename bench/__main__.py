"""``python -m bench``: all measurements, both sides alternating; writes out/bench/results.json and prints a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console

from bench import measure, questions, report
from bench.search import LOSS_LIMIT, Found
from bench.sides import Side, Treecast, Vxlan
from lab import Lab, Machine
from lab.load import Latency, build
from lab.topology import DEFAULT_MTU_BYTES

SUBSCRIBERS = (1, 4, 8)
RESULTS = Path("out/bench/results.json")

T = TypeVar("T")


class SideName(StrEnum):
    VXLAN = Vxlan.name
    TREECAST = Treecast.name


@dataclass(frozen=True, slots=True)
class Plan:
    """How often and how long."""

    runs: int
    trial_s: float
    first_trials: int
    further_trials: int
    tcp_s: int
    latency_s: float


FULL = Plan(runs=3, trial_s=1.5, first_trials=9, further_trials=6, tcp_s=3, latency_s=3.0)
QUICK = Plan(runs=1, trial_s=1.0, first_trials=6, further_trials=0, tcp_s=2, latency_s=1.5)


class Bench:
    """The measurements, in one lab with all sides up."""

    def __init__(self, console: Console, plan: Plan, machines: Sequence[Machine], sides: Sequence[Side]) -> None:
        self._console = console
        self._plan = plan
        self._machines = machines
        self._sides = sides
        self._reference = sides[0].name

    def measures(self) -> tuple[report.Measure, ...]:
        multicast = (self._multicast(number) for number in SUBSCRIBERS)
        return (self._tcp(), *multicast, *self._latency(), self._questions(True), self._questions(False))

    def _tcp(self) -> report.Measure:
        client, server = self._machines[:2]
        runs = self._alternate("TCP", lambda side, _: measure.tcp_bps(side, client, server, self._plan.tcp_s))
        sides = {name: report.side_result(values) for name, values in runs.items()}
        return report.measure("unicast, one TCP flow", "bit/s", sides, reference=self._reference)

    def _multicast(self, subscribers: int) -> report.Measure:
        machines = self._machines[: 1 + subscribers]

        def run(side: Side, before: Sequence[Found]) -> Found:
            guess_pps = before[-1].pps if before and before[-1].pps else None
            trials = self._plan.further_trials if guess_pps else self._plan.first_trials
            return measure.multicast_rate(side, machines, guess_pps, self._plan.trial_s, trials)

        runs = self._alternate(f"multicast to {subscribers}", run)
        sides = {
            name: report.side_result([own.pps for own in found], [own.trials for own in found])
            for name, found in runs.items()
        }
        return report.measure(f"multicast to {subscribers}, each", "packets/s", sides, reference=self._reference)

    def _latency(self) -> tuple[report.Measure, ...]:
        runs = self._alternate(
            "latency", lambda side, _: measure.multicast_latency(side, self._machines, self._plan.latency_s)
        )
        pick: dict[str, Callable[[Latency], int]] = {
            "median": lambda own: own.median_ns,
            "p99": lambda own: own.p99_ns,
        }
        what = f"one-way latency, {measure.LATENCY_RATE_PPS} packets/s to {len(self._machines) - 1}"
        return tuple(
            report.measure(
                f"{what}, {name}",
                "ns",
                {side: report.side_result([value(own) for own in latencies]) for side, latencies in runs.items()},
                reference=self._reference,
                higher_is_better=False,
            )
            for name, value in pick.items()
        )

    def _questions(self, known: bool) -> report.Measure:
        what = f"frames across the overlay per ARP request, {'known' if known else 'unknown'} host"
        runs = self._alternate(what, lambda side, _: questions.crossings_per_request(side, self._machines, known=known))
        sides = {name: report.side_result(values) for name, values in runs.items()}
        return report.measure(what, "frames", sides, reference=self._reference, higher_is_better=False)

    def _alternate(self, what: str, run: Callable[[Side, Sequence[T]], T]) -> dict[str, list[T]]:
        """Each run measures all sides, every second one in opposite order; ``run`` sees its side's values so far."""
        values: dict[str, list[T]] = {side.name: [] for side in self._sides}
        for number in range(self._plan.runs):
            for side in self._sides if number % 2 == 0 else reversed(self._sides):
                self._console.print(f"[dim]{what}: {side.name}, run {number + 1} of {self._plan.runs}[/dim]")
                values[side.name].append(run(side, values[side.name]))
        return values


def main(
    quick: Annotated[bool, typer.Option(help="One short run of each: about a minute.")] = False,
    only: Annotated[SideName | None, typer.Option(help="Measure one side alone.")] = None,
) -> None:
    """Measures Treecast beside kernel VXLAN with head-end replication, in the same lab and period."""
    console, plan = Console(), QUICK if quick else FULL
    build()
    with Lab() as lab:
        lan = lab.switch(DEFAULT_MTU_BYTES)
        machines = [lab.machine(f"n{number}", lan) for number in range(1 + max(SUBSCRIBERS))]
        makers: dict[SideName, Callable[[], Side]] = {
            SideName.VXLAN: lambda: Vxlan(machines, DEFAULT_MTU_BYTES),
            SideName.TREECAST: lambda: Treecast(machines, lab.directory),
        }
        sides = [make() for name, make in makers.items() if only in (None, name)]
        conditions = report.conditions(
            datagram_bytes=measure.DATAGRAM_BYTES,
            loss_limit=LOSS_LIMIT,
            trial_s=plan.trial_s,
            runs=plan.runs,
            sides={side.name: side.describe() for side in sides},
        )
        results = report.Results(conditions, Bench(console, plan, machines, sides).measures())
        for side in sides:
            side.stop()
    report.write(results, RESULTS)
    console.print(report.table(results))
    for line in report.lines(conditions):
        console.print(line, highlight=False)
    console.print(f"Every run and trial: {RESULTS}", highlight=False)


if __name__ == "__main__":
    typer.run(main)
