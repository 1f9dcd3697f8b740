"""One network of a given size: started at once, left idle, joined by a host, robbed of a node."""

from __future__ import annotations

import math
import resource
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType

from bench.simulate.change_traffic import ChangeTraffic
from treecast.sim.metering import Meter
from treecast.sim.world import SimNode, World

SEED = 1
START_LIMIT_S = 30.0
"""Virtual seconds in which all nodes must know each other."""
SETTLE_S = 10.0
IDLE_S = 30.0
"""Virtual: one interval of NODE advertisements."""
CHANGE_LIMIT_S = 20.0
ACKNOWLEDGED_S = 2.0
"""Everything is acknowledged long before: nothing is lost here."""
STEP_S = 0.1
TURN_INTERVAL_S = 0.02
"""A busy node takes several datagrams in one turn."""
GROUP = "239.1.1.1"
LOSS = 0.0


GRACE_S = 10
"""Processor time in which a run that was told to end does."""


class OutOfTimeError(BaseException):
    """The limit of processor time, wherever it was reached: no engine takes it for a fault of its own."""


@dataclass(slots=True)
class Figures:
    """The cost of one size. None: not measured, and ``ended`` says why.

    ``start_s`` until all know and are linked to all, ``join_reached_s`` until all know the subscriber, ``death_gone_s``
    until no node is linked to the dead one, all in virtual seconds.
    CPU is the engines', without the model's, and all that they do meanwhile; messages are the control datagrams and key
    offers that the change causes until it is acknowledged everywhere (``ChangeTraffic``).
    """

    nodes: int
    ended: str = ""
    start_s: float | None = None
    start_cpu_s: float | None = None
    start_busiest_node_second_ms: float | None = None
    idle_cpu_ms_per_node_s: float | None = None
    idle_busiest_node_second_ms: float | None = None
    idle_control_kbit_s: float | None = None
    idle_probe_kbit_s: float | None = None
    memory_kb_per_node: float | None = None
    join_reached_s: float | None = None
    join_messages: int | None = None
    join_kbytes: float | None = None
    join_cpu_s: float | None = None
    death_gone_s: float | None = None
    death_messages: int | None = None
    death_kbytes: float | None = None
    death_cpu_s: float | None = None
    wall_s: float = 0.0
    by_kind: dict[str, int] = field(default_factory=dict)
    """Datagrams of the idle phase."""


def measure(size: int, limit_s: float, memory_gb: float, results: Connection) -> None:
    """Send the figures after each phase; ends when this process has had ``limit_s`` of processor time, or when memory
    does. For a process of its own.
    """
    most = int(memory_gb * 1e9)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    run = Run(size, results.send)
    signal.signal(signal.SIGXCPU, _end)
    last = math.ceil(time.process_time() + limit_s)
    resource.setrlimit(resource.RLIMIT_CPU, (last, last + GRACE_S))
    try:
        run.measure()
    except MemoryError:
        run.figures.ended = f"more than {memory_gb:g} GB of memory"
        results.send(run.figures)


def _end(number: int, _frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # it comes again each second
    raise OutOfTimeError


class Run:
    """Measures one size; ``figures`` holds what is known so far, whenever it ends."""

    def __init__(self, nodes: int, send: Callable[[Figures], None]) -> None:
        self.figures = Figures(nodes)
        self._began = time.monotonic()
        self._send = send
        self._meter = Meter(time.thread_time)
        self._world = World(SEED, loss=LOSS, cities=True, turn_interval=TURN_INTERVAL_S, meter=self._meter)
        self._change = ChangeTraffic()

    def measure(self) -> Figures:
        phases = {"start": self._start, "idle": self._idle, "join": self._join, "death": self._death}
        now = "start"
        try:
            for name, phase in phases.items():
                now = name
                phase()
                self._report()
        except OutOfTimeError:
            self.figures.ended = f"{now}: the limit of processor time, at {self._world.underlay.now:.1f} virtual s"
        except AssertionError as error:
            self.figures.ended = f"{now}: {error}"
        self._report()
        return self.figures

    def _report(self) -> None:
        self.figures.wall_s = round(time.monotonic() - self._began, 1)
        self._send(self.figures)

    # phases

    def _start(self) -> None:
        before = _resident_bytes()
        first = self._world.add()
        for _ in range(self.figures.nodes - 1):
            self._world.add(peer=first)
        self.figures.start_s = self._until(self._all_linked, START_LIMIT_S)
        self.figures.start_cpu_s = round(self._meter.total_s, 2)
        self.figures.start_busiest_node_second_ms = round(self._meter.busiest_s * 1000, 1)
        self._world.underlay.on_send = self._change.sent
        self._pass(SETTLE_S)
        self.figures.memory_kb_per_node = round((_resident_bytes() - before) / 1024 / self.figures.nodes, 1)

    def _idle(self) -> None:
        self._begin()
        self._pass(IDLE_S)
        figures, sent = self.figures, self._world.underlay
        node_seconds = figures.nodes * IDLE_S
        figures.idle_cpu_ms_per_node_s = round(self._meter.total_s * 1000 / node_seconds, 3)
        figures.idle_busiest_node_second_ms = round(self._meter.busiest_s * 1000, 1)
        figures.idle_control_kbit_s = round(sent.bytes_of["control"] * 8 / 1000 / node_seconds, 1)
        figures.idle_probe_kbit_s = round(sent.bytes_of["probe"] * 8 / 1000 / node_seconds, 1)
        figures.by_kind = dict(sorted(sent.datagrams_of.items()))

    def _join(self) -> None:
        self._begin()
        last = self._nodes()[-1]
        last.report(GROUP)
        others = [node for node in self._nodes() if node is not last]
        self.figures.join_reached_s = self._until(
            lambda: all(node.subscribes(last, GROUP) for node in others), CHANGE_LIMIT_S
        )
        self.figures.join_cpu_s = round(self._meter.total_s, 3)
        self._pass(ACKNOWLEDGED_S)
        self.figures.join_messages, self.figures.join_kbytes = self._sent()

    def _death(self) -> None:
        self._pass(SETTLE_S)
        self._begin()
        dead, *others = self._nodes()
        dead.stop()
        limit = 5 * CHANGE_LIMIT_S
        self.figures.death_gone_s = self._until(lambda: not any(node.is_linked(dead) for node in others), limit)
        self.figures.death_cpu_s = round(self._meter.total_s, 3)
        self._pass(ACKNOWLEDGED_S)
        self.figures.death_messages, self.figures.death_kbytes = self._sent()

    # parts

    def _nodes(self) -> list[SimNode]:
        return list(self._world.nodes.values())

    def _all_linked(self) -> bool:
        others = self.figures.nodes - 1
        return all(
            len(node.peers()) == others and all(node.knows(other) for other in self._nodes()) for node in self._nodes()
        )

    def _begin(self) -> None:
        self._meter.reset()
        self._world.underlay.reset_counts()
        self._change.reset()

    def _sent(self) -> tuple[int, float]:
        """Datagrams and kB of the change that this phase made."""
        return self._change.datagrams, round(self._change.size_bytes / 1000, 1)

    def _pass(self, virtual_s: float) -> None:
        for _ in range(round(virtual_s / STEP_S)):
            self._step()

    def _until(self, condition: Callable[[], bool], limit_s: float) -> float:
        began = self._world.underlay.now
        while not condition():
            if self._world.underlay.now - began >= limit_s:
                raise AssertionError(f"not within {limit_s:.0f} virtual s")
            self._step()
        return round(self._world.underlay.now - began, 2)

    def _step(self) -> None:
        self._world.run(STEP_S)


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
