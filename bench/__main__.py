"""``python -m bench``: all measurements, the sides alternating; writes out/bench/ and prints a table."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench import cost, history, measure, memory, other_overlays, relaying, report, switching
from bench.report import OWN, Measure, Target
from bench.search import LOSS_LIMIT
from bench.sides import Raw, Side, Treecast, Vxlan
from bench.works import FULL, QUICK, SUBSCRIBERS, Plan, Works
from lab import Lab
from lab.load import build
from lab.topology import DEFAULT_MTU_BYTES

RESULTS = Path("out/bench/results.json")
PLOT = Path("out/bench/results.png")
IDLE_NODES = 33
FILE_COLUMNS = 180


def main(quick: Annotated[bool, typer.Option(help="One short run of each: two minutes.")] = False) -> None:
    """Measures Treecast beside the kernel and other overlays, in the same lab and period."""
    console, plan = Console(width=None if sys.stdout.isatty() else FILE_COLUMNS), QUICK if quick else FULL
    build()
    described: dict[str, str] = {}
    measures = [*_measure_in_one_lab(console, plan, described), *_idle(console, plan)]
    measures += [_relay(console, plan), *_memory(console), *_switching(console, plan)]
    conditions = report.conditions(
        datagram_bytes=measure.DATAGRAM_BYTES,
        loss_limit=LOSS_LIMIT,
        trial_s=plan.trial_s,
        runs=plan.runs,
        sides=described,
    )
    results = report.Results(conditions, tuple(measures))
    entries = history.read()
    report.write(results, RESULTS)
    console.print(report.table(results, entries[-1].values if entries else {}))
    for line in report.lines(conditions):
        console.print(line, highlight=False)
    if not quick:
        history.append(results)
    history.plot(results, history.read(), PLOT)
    console.print(f"Every run and trial: {RESULTS}, plot: {PLOT}", highlight=False)


def _measure_in_one_lab(console: Console, plan: Plan, described: dict[str, str]) -> Iterator[Measure]:
    with Lab() as lab:
        lan = lab.switch(DEFAULT_MTU_BYTES)
        machines = [lab.machine(f"n{number}", lan) for number in range(1 + max(SUBSCRIBERS))]
        vxlan, treecast = Vxlan(machines, DEFAULT_MTU_BYTES), Treecast(machines, lab.directory)
        others = [
            other_overlays.OtherOverlay(program, machines[:2], lab.directory) for program in other_overlays.installed()
        ]
        sides: list[Side] = [Raw(), vxlan, *others, treecast]
        described.update({side.name: side.describe() for side in sides})
        works = Works(console, plan, machines, treecast, vxlan, others)
        yield from works.measures()
        vxlan.stop()
        treecast.stop()


def _idle(console: Console, plan: Plan) -> Iterator[Measure]:
    console.print(f"[dim]idle: {IDLE_NODES} nodes[/dim]")
    with Lab() as lab:
        lan = lab.switch(DEFAULT_MTU_BYTES)
        machines = [lab.machine(f"n{number}", lan) for number in range(IDLE_NODES)]
        side = Treecast(machines, lab.directory)
        shares = [cost.idle_share(side, machines, plan.idle_s) for _ in range(plan.runs)]
        resident = [memory.resident_bytes(side.node(machine).process.pid) for machine in machines]
        side.stop()
    name = f"idle node with {IDLE_NODES - 1} peers, Python included"
    sides = {OWN: report.side_result(shares)}
    yield report.measure(name, "core", sides, higher_is_better=False, target=Target(0.005, 0.002))
    sides = {OWN: report.side_result(resident)}
    yield report.measure("memory of the same", "bytes", sides, higher_is_better=False)


def _relay(console: Console, plan: Plan) -> Measure:
    console.print("[dim]relay[/dim]")
    rates = [relaying.relayed_per_core_second(plan.trial_s) for _ in range(plan.runs)]
    name = f"relay to {relaying.CHILDREN} children, {relaying.SEGMENTS} segments, packets sent"
    return report.measure(name, "packets/core-s", {OWN: report.side_result(rates)}, target=Target(1.5e6, 2.0e6))


def _memory(console: Console) -> Iterator[Measure]:
    console.print("[dim]memory of the tables[/dim]")
    for kind, size in memory.table_bytes().items():
        sides = {OWN: report.side_result([size])}
        yield report.measure(f"memory of a {kind}, data plane", "bytes", sides, higher_is_better=False)


def _switching(console: Console, plan: Plan) -> Iterator[Measure]:
    console.print("[dim]switch mode: joins and leaves[/dim]")
    found = switching.measure(plan.joins)
    for name, unit, runs in (
        ("join of a host on another LAN, to the first datagram", "s", found.join_s),
        ("leave of it, to the last datagram on its LAN", "s", found.leave_s),
        ("sent by 3 nodes for one join", "bytes", (found.join_bytes,)),
    ):
        yield report.measure(f"switch mode: {name}", unit, {OWN: report.side_result(runs)}, higher_is_better=False)


if __name__ == "__main__":
    typer.run(main)
