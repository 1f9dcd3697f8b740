"""``python -m bench.simulate``: a network of each size in a process of its own, bounded in time and memory."""

from __future__ import annotations

import multiprocessing
import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from bench.simulate import report, spreading
from bench.simulate.run import Figures, measure

DIRECTORY = Path("out/simulate")
FILE_COLUMNS = 140


def main(
    sizes: Annotated[str, typer.Option(help="Numbers of nodes, with commas between.")] = "32,128,300,1000",
    limit: Annotated[float, typer.Option(help="Seconds of processor time for each size.")] = 300.0,
    memory: Annotated[float, typer.Option(help="GB that one size may take.")] = 8.0,
) -> None:
    """Prints what networks of real engines cost in virtual time, and writes out/simulate/."""
    console = Console(width=None if sys.stdout.isatty() else FILE_COLUMNS)
    try:
        asked = sorted({int(size) for size in sizes.split(",")})
    except ValueError:
        asked = []
    if not asked or asked[0] < 2:
        sys.exit(f"--sizes {sizes!r} is no list of numbers from 2 on: write --sizes 32,128")
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    figures: list[Figures] = []
    for size in asked:
        figures.append(in_process(size, limit, memory))
        console.print(f"{size:,} nodes: {figures[-1].ended or 'all measured'}", highlight=False)
        _write(DIRECTORY / f"{size}.json", figures[-1])
    disseminations = [one for size in asked for one in spreading.disseminations(size)]
    _write(DIRECTORY / "spreading.json", disseminations)
    report.plot(figures, DIRECTORY / "simulate.png")
    console.print(report.table(figures), report.spreading_table(disseminations))
    console.print(f"Figures and plot: {DIRECTORY}/", highlight=False)


def _write(path: Path, value: object) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(value)) + b"\n")


def in_process(size: int, limit_s: float, memory_gb: float) -> Figures:
    """One size, in a process that ends with its measurement or at its limit of processor time, in seconds."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=measure, args=(size, limit_s, memory_gb, theirs))
    process.start()
    theirs.close()
    latest = Figures(size)
    try:
        while True:
            latest = ours.recv()
    except EOFError:
        latest.ended = latest.ended or ("" if latest.death_cpu_s is not None else "its process died")
    process.join()
    return latest


if __name__ == "__main__":
    typer.run(main)
