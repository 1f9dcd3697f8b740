"""The cost of carrying: processor time of the nodes' processes, while a stream of known rate is delivered whole."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import measure
from bench.sides import Side, Treecast
from lab.machine import Machine
from lab.waiting import wait_until

SLOWER = (1.0, 0.9, 0.8, 0.65, 0.5, 0.35)
DELIVERED = 0.99
STREAM_PPS = 833  # 8 Mb/s of 1200-byte datagrams
PICTURE = 33  # datagrams of one of 25 pictures a second


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one stream to some subscribers."""

    source_s: float
    """Processor time of the source's node."""
    all_s: float
    """Processor time of all nodes, the source's included."""
    sent: int
    delivered: int
    """Datagrams, all subscribers together."""
    duration_s: float

    @property
    def delivered_gbit(self) -> float:
        return self.delivered * measure.DATAGRAM_BYTES * 8 / 1e9


def stream_cost(side: Treecast, machines: Sequence[Machine], rate_pps: int, duration_s: float) -> Cost:
    """The cost of a stream from the first machine to all others, slower where so much is not carried whole.

    RuntimeError where no rate is.
    """
    for share in SLOWER:
        own = _stream_cost(side, machines, max(round(rate_pps * share), 1), duration_s)
        if own.delivered >= DELIVERED * own.sent * (len(machines) - 1):
            return own
    raise RuntimeError(f"of {own.sent} datagrams to each {own.delivered} came in all: this is no place to measure")


def _stream_cost(side: Treecast, machines: Sequence[Machine], rate_pps: int, duration_s: float) -> Cost:
    source, *others = machines
    subscribers = measure.subscribe(side, source, others)
    try:
        before = processor_times_s(side, machines)
        sent = subscribers.send(1, rate_pps, duration_s).wait(duration_s + measure.GRACE_S).sent
        entries = [received.of(1) for received in subscribers.settled()]
        after = processor_times_s(side, machines)
    finally:
        subscribers.stop()
    delivered = sum(entry.received for entry in entries if entry)
    spent = [later - earlier for earlier, later in zip(before, after, strict=True)]
    return Cost(spent[0], sum(spent), sent, delivered, duration_s)


@dataclass(frozen=True, slots=True)
class Shares:
    """Cores that a small stream takes at its source: of the node (0 where the kernel carries it), of the program."""

    node: float
    program: float


def small_stream(side: Side, machines: Sequence[Machine], duration_s: float, together: int) -> Shares:
    """8 Mb/s from the first machine to all others, ``together`` datagrams at a time. RuntimeError when any are lost."""
    source, *others = machines
    subscribers = measure.subscribe(side, source, others)
    try:
        stream = subscribers.send(1, STREAM_PPS, None, together)
        pids = [stream.pid, *([side.node(source).process.pid] if isinstance(side, Treecast) else [])]
        began, before = time.monotonic(), [threads_time_s(pid) for pid in pids]
        wait_until(lambda: time.monotonic() >= began + duration_s, duration_s + 1, "the stream runs", poll_s=0.5)
        spent = [threads_time_s(pid) - earlier for pid, earlier in zip(pids, before, strict=True)]
        lasted_s = time.monotonic() - began
        sent = stream.stop().sent
        entries = [received.of(1) for received in subscribers.settled()]
    finally:
        subscribers.stop()
    if any(entry is None or entry.received < DELIVERED * sent for entry in entries):
        raise RuntimeError(f"not all subscribers got {sent} datagrams of 8 Mb/s: this is no place to measure")
    program, node = (*spent, 0.0)[:2]
    return Shares(node / lasted_s, program / lasted_s)


def idle_share(side: Treecast, machines: Sequence[Machine], duration_s: float) -> float:
    """Cores that one node uses, on average over all, while nobody sends anything."""
    before, started = processor_times_s(side, machines), time.monotonic()
    wait_until(lambda: time.monotonic() >= started + duration_s, duration_s + 1, "nothing happens", poll_s=0.5)
    spent = sum(processor_times_s(side, machines)) - sum(before)
    return spent / (time.monotonic() - started) / len(machines)


def processor_times_s(side: Treecast, machines: Sequence[Machine]) -> list[float]:
    """The processor time of each machine's node so far, all its threads together."""
    return [threads_time_s(side.node(machine).process.pid) for machine in machines]


def threads_time_s(pid: int, threads: Sequence[int] | None = None) -> float:
    """Time on a processor (/proc/PID/task/TID/schedstat, nanoseconds) of a process, or of some of its threads."""
    tasks = Path(f"/proc/{pid}/task")
    chosen = [tasks / str(thread) for thread in threads] if threads is not None else list(tasks.iterdir())
    return sum(int((task / "schedstat").read_text(encoding="ascii").split()[0]) for task in chosen) / 1e9
