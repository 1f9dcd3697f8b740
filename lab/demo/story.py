"""Plays the demo: five nodes, one stream, one who joins late, one who leaves early."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table

from lab import Capture, Counters, Lab, Process, wait_until
from lab.demo.meter import Meter, Positions
from lab.demo.programs import play, watch
from lab.demo.report import Evidence, NodeReport, Report, judge, write
from lab.demo.table import Row, table
from lab.demo.underlay import has_plaintext, look, packets
from lab.node import Overlay, TreecastNode

SOURCE, EARLY, LATE, LEAVER, BYSTANDER = "source", "screen1", "screen2", "screen3", "bystander"
SCREENS = (EARLY, LATE, LEAVER)
STREAM_S = 28
JOIN_AT_S = 7.0
LEAVE_AT_S = 18.0
TICK_S = 0.5
PLAIN_TICK_S = 5.0
END_LIMIT_S = 15.0


@dataclass(slots=True)
class Stage:
    """One node of the demo and what is measured there."""

    node: TreecastNode
    meter: Meter
    before: Counters
    watcher: Process | None = None
    subscribed: bool = False


class Story:
    """One run. ``play`` returns the report that it has written to ``directory``."""

    def __init__(self, directory: Path, console: Console) -> None:
        self._directory = directory
        self._console = console
        self._stages: dict[str, Stage] = {}
        self._positions = Positions()

    def play(self) -> Report:
        with Lab() as lab:
            lan = lab.switch()
            machines = [lab.machine(name, lan) for name in (SOURCE, *SCREENS, BYSTANDER)]
            self._console.print("five machines on one switch that knows nothing of multicast; starting their nodes ...")
            overlay = Overlay(machines, lab.directory)
            overlay.start()
            self._console.print("all nodes are linked to each other; encrypted links, one UDP port each\n")
            with ExitStack() as meters:
                for node in overlay.nodes:
                    meter = meters.enter_context(Meter(node.machine, node.interface))
                    self._stages[node.name] = Stage(node, meter, node.machine.counters())
                captures = self._run(lab.directory)
            evidence = self._evidence(captures)
            overlay.stop()
        failures = judge(evidence)
        report = Report(
            passed=not failures,
            failures=failures,
            stream_seconds=STREAM_S,
            plaintext_packets_on_underlay=evidence.source_wire.plaintext_packets,
            underlay_packets_looked_at=evidence.source_wire.packets,
            bystander_group_packets=evidence.bystander_wire.group_packets,
            nodes=evidence.nodes,
        )
        write(report, self._directory / "report.json")
        return report

    def _run(self, scratch: Path) -> dict[str, Capture]:
        captures = {
            "source": self._stages[SOURCE].node.machine.capture(scratch / "source.pcap", "udp"),
            "bystander": self._stages[BYSTANDER].node.machine.capture(scratch / "bystander.pcap", "udp"),
            "control": self._stages[SOURCE].node.machine.capture(
                scratch / "control.pcap", "udp port 5004", interface=self._stages[SOURCE].node.interface
            ),
        }
        with ExitStack() as stack:
            for name in ("source", "bystander"):
                stack.enter_context(captures[name])
            self._subscribe(EARLY)
            self._subscribe(LEAVER)
            source = self._stages[SOURCE]
            began = time.monotonic()
            player = play(source.node.machine, source.node.ipv4, STREAM_S, self._directory / "source.log")
            with self._shown(began):
                with captures["control"]:
                    self._until(began, JOIN_AT_S)
                self._subscribe(LATE)
                self._until(began, LEAVE_AT_S)
                self._leave(LEAVER)
                self._until_ended(began, player)
            self._end_watchers()
        return captures

    def _subscribe(self, name: str) -> None:
        stage = self._stages[name]
        picture, log = self._directory / f"{name}.png", self._directory / f"{name}.log"
        stage.watcher = watch(stage.node.machine, stage.node.ipv4, picture, log)
        stage.subscribed = True
        wait_until(lambda: stage.meter.joins, 10.0, f"{name}'s kernel reports its membership")

    def _leave(self, name: str) -> None:
        stage = self._stages[name]
        if stage.watcher is not None and stage.watcher.running:
            stage.watcher.stop(END_LIMIT_S)

    def _end_watchers(self) -> None:
        """They wait for the stream until their own patience ends; both at once."""
        watching = [stage.watcher for stage in self._stages.values() if stage.watcher and stage.watcher.running]
        for watcher in watching:
            watcher.send_signal(signal.SIGTERM)
        for watcher in watching:
            watcher.wait(END_LIMIT_S)

    # what people see meanwhile

    @contextmanager
    def _shown(self, began: float) -> Iterator[None]:
        if self._console.is_terminal:
            with Live(console=self._console, auto_refresh=False) as live:
                self._live: Live | None = live
                yield
                live.update(self._table(began), refresh=True)
        else:
            self._live = None
            yield
            self._console.print(self._table(began))

    def _until(self, began: float, at_s: float) -> None:
        self._tick(began, lambda: time.monotonic() - began >= at_s, at_s + END_LIMIT_S)

    def _until_ended(self, began: float, player: Process) -> None:
        self._tick(began, lambda: not player.running, STREAM_S + END_LIMIT_S)

    def _tick(self, began: float, is_over: Callable[[], bool], limit_s: float) -> None:
        last_plain = time.monotonic()

        def ticked() -> bool:
            nonlocal last_plain
            if self._live is not None:
                self._live.update(self._table(began), refresh=True)
            elif time.monotonic() - last_plain >= PLAIN_TICK_S:
                last_plain = time.monotonic()
                self._console.print(self._table(began))
            return is_over()

        wait_until(ticked, limit_s, "the next scene", poll_s=TICK_S)

    def _table(self, began: float) -> Table:
        rows = [self._row(name, stage) for name, stage in self._stages.items()]
        return table(rows, min(time.monotonic() - began, STREAM_S), STREAM_S)

    def _row(self, name: str, stage: Stage) -> Row:
        roles = {
            SOURCE: "plays",
            EARLY: "watches",
            LATE: "joins late",
            LEAVER: "leaves early",
            BYSTANDER: "asks nothing",
        }
        self._positions.update(self._stages[SOURCE].meter.datagrams)
        now = stage.node.machine.counters()
        datagrams = list(stage.meter.datagrams)
        is_source = name == SOURCE
        watching = stage.watcher is not None and stage.watcher.running
        return Row(
            node=name,
            role=roles[name],
            subscribed=watching,
            sent=len(datagrams) if is_source else 0,
            received=0 if is_source else len(datagrams),
            lost=0 if is_source else self._positions.lost(datagrams),
            underlay_rx_bytes=now.rx_bytes - stage.before.rx_bytes,
            underlay_tx_bytes=now.tx_bytes - stage.before.tx_bytes,
        )

    # what remains

    def _evidence(self, captures: dict[str, Capture]) -> Evidence:
        self._positions.update(self._stages[SOURCE].meter.datagrams)
        errors = [f"the meter of {n} missed packets" for n, s in self._stages.items() if s.meter.missed_by_meter]
        errors += [f"the capture of {n} is not complete" for n, c in captures.items() if c.counts.dropped]
        received = {name: self._stages[name].meter.datagrams for name in SCREENS}
        return Evidence(
            nodes=[self._node_report(name, stage) for name, stage in self._stages.items()],
            source_wire=look(captures["source"].path),
            control_plaintext=sum(has_plaintext(frame) for frame in packets(captures["control"].path)),
            bystander_wire=look(captures["bystander"].path),
            pictures={name: self._directory / f"{name}.png" for name in SCREENS},
            disorder=[name for name, datagrams in received.items() if not self._positions.in_order(datagrams)],
            measuring_errors=errors,
        )

    def _node_report(self, name: str, stage: Stage) -> NodeReport:
        row = self._row(name, stage)
        is_source = name == SOURCE
        return NodeReport(
            node=name,
            subscribed=stage.subscribed,
            packets_sent=row.sent,
            packets_received=row.received,
            lost=row.lost,
            underlay_rx_bytes=row.underlay_rx_bytes,
            payload_bytes=stage.meter.payload_bytes if is_source else None,
            underlay_tx_bytes=row.underlay_tx_bytes if is_source else None,
            join_ms=self._join_ms(name, stage),
            leave_ms=self._leave_ms(name, stage),
        )

    def _join_ms(self, name: str, stage: Stage) -> float | None:
        """The time from the kernel's report, or the stream's beginning if that is later, to the first datagram."""
        sent = self._stages[SOURCE].meter.datagrams
        if name == SOURCE or not stage.meter.joins or not stage.meter.datagrams or not sent:
            return None
        asked = max(stage.meter.joins[0], sent[0].at_s)
        return round(1000 * (stage.meter.datagrams[0].at_s - asked), 3)

    def _leave_ms(self, name: str, stage: Stage) -> float | None:
        """The time from the kernel's leave to the last datagram; 0 when none came after it."""
        if name != LEAVER or not stage.meter.leaves or not stage.meter.datagrams:
            return None
        return round(1000 * max(0.0, stage.meter.datagrams[-1].at_s - stage.meter.leaves[0]), 3)
