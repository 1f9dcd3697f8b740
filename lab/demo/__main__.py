"""``make demo``: plays the story, prints the verdict, exits 0 only if all of it is true."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from rich.console import Console

from lab.demo.report import Report
from lab.demo.story import Story

DIRECTORY = Path("out/demo")
PLAIN_WIDTH = 100


def main() -> int:
    console = Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH)
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    DIRECTORY.mkdir(parents=True)
    report = Story(DIRECTORY, console).play()
    show(report, console)
    return 0 if report.passed else 1


def show(report: Report, console: Console) -> None:
    """The verdict in words."""
    for failure in report.failures:
        console.print(f"[red]FAILED[/red] {failure}")
    if report.passed:
        subscribers = [node for node in report.nodes if node.subscribed]
        for node in subscribers:
            left = "" if node.leave_ms is None else f", stopped {node.leave_ms:.1f} ms after leaving"
            console.print(
                f"{node.node}: {node.packets_received:,} datagrams, 0 lost, joined in {node.join_ms:.1f} ms{left}"
            )
        console.print(
            f"underlay: {report.underlay_packets_looked_at:,} packets looked at, no plaintext; "
            "the bystander got no packet of the stream"
        )
        console.print("[green]PASSED[/green]")
    console.print(f"{DIRECTORY}/report.json and one picture per screen: {DIRECTORY}/screen*.png")


if __name__ == "__main__":
    sys.exit(main())
