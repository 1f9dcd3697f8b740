"""Measured UDP streams between machines: the program of ``bench/load``, built when first needed.

Each datagram carries a stream number, a sequence number and when it was sent; all machines of a lab share one clock
(CLOCK_MONOTONIC, ``time.monotonic_ns()``), so a one-way latency is what it says.
"""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from signal import SIGTERM, SIGUSR1
from typing import TypeVar

import msgspec

from lab.machine import Machine
from lab.process import Process

SOURCE = Path(__file__).parent.parent / "bench" / "load"
PROGRAM = SOURCE / "target" / "release" / "treecast-load"
FILLER = b"treecast-load plaintext "  # what follows the 24-byte header of each datagram, repeated
START_LIMIT_S = 10.0
ANSWER_LIMIT_S = 10.0

_scopes: list[list[Process]] = []
"""Programs started within each ``ending_streams`` that goes on, the innermost last."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sent:
    """A sender's account. ``skipped``: due, but not sent, for the sender was held up longer than its burst."""

    stream: int
    size_bytes: int
    sent: int
    failed: int
    skipped: int
    first_ns: int
    last_ns: int

    @property
    def rate_pps(self) -> float:
        """Datagrams per second between the first and the last; 0 for fewer than two."""
        span_ns = self.last_ns - self.first_ns
        return (self.sent - 1) * 1e9 / span_ns if span_ns > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Latency:
    """One-way latencies. ``histogram``: (largest value of the bucket, count), buckets under 0.8 % wide."""

    count: int
    min_ns: int
    median_ns: int
    p99_ns: int
    max_ns: int
    histogram: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Stream:
    """Datagrams received of one stream of one source. ``lost``: missing between the lowest and highest number seen."""

    source: str
    port: int
    stream: int
    received: int
    lost: int
    duplicated: int
    reordered: int
    lowest: int
    highest: int
    bytes: int
    first_ns: int
    last_ns: int
    longest_gap_ns: int
    latency: Latency


@dataclass(frozen=True, slots=True)
class Received:
    """A receiver's account. ``other``: datagrams of no stream; ``socket_drops``: refused by its full buffer."""

    last: bool
    joined_ns: int
    other: int
    socket_drops: int
    streams: tuple[Stream, ...]

    @property
    def received(self) -> int:
        return sum(stream.received for stream in self.streams)

    @property
    def lost(self) -> int:
        return sum(stream.lost for stream in self.streams)

    @property
    def duplicated(self) -> int:
        return sum(stream.duplicated for stream in self.streams)

    @property
    def reordered(self) -> int:
        return sum(stream.reordered for stream in self.streams)

    @property
    def first_ns(self) -> int:
        """The time at which the first datagram came; ValueError when none has."""
        return min(stream.first_ns for stream in self.streams)

    @property
    def join_ns(self) -> int:
        """The time from the join to the first datagram; ValueError when none has come."""
        return self.first_ns - self.joined_ns

    def of(self, stream: int) -> Stream | None:
        """The stream of this number, from whatever source; None when nothing of it has come."""
        return next((known for known in self.streams if known.stream == stream), None)


class Sender:
    """A program on a machine that sends one stream; it runs until its count, its duration, or ``stop``."""

    def __init__(
        self,
        machine: Machine,
        address: str,
        port: int,
        *,
        interface: str = "",
        size_bytes: int = 1200,
        rate_pps: int | None = None,
        count: int | None = None,
        duration_s: float | None = None,
        stream: int = 0,
        batch: int = 32,
        together: int = 1,
        ttl: int = 4,
    ) -> None:
        """Starts sending. ``rate_pps`` None: as fast as the socket takes them; ``together``: so many at once."""
        limits = _options(("--interface", interface or None), ("--rate", rate_pps), ("--count", count))
        limits += _options(("--duration", duration_s), ("--size", size_bytes), ("--stream", stream))
        limits += _options(("--batch", batch), ("--together", together), ("--ttl", ttl))
        self._process = _start(machine, ["send", _endpoint(address, port), *limits])

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait(self, limit_s: float) -> Sent:
        """Its account at its end."""
        return _decode(_last_line(self._process, limit_s), Sent)

    def stop(self) -> Sent:
        """Ends it now."""
        self._process.send_signal(SIGTERM)
        return self.wait(ANSWER_LIMIT_S)


class Receiver:
    """A program on a machine that has joined and counts. Several may listen on one machine and group."""

    def __init__(
        self,
        machine: Machine,
        address: str,
        port: int,
        *,
        interface: str = "",
        sources: Sequence[str] = (),
        count: int | None = None,
        duration_s: float | None = None,
        buffer_bytes: int | None = None,
    ) -> None:
        """Returns when the socket is bound and, for a group, joined. ``sources``: a source-specific join."""
        options = _options(("--interface", interface or None), ("--count", count), ("--duration", duration_s))
        options += _options(("--buffer", buffer_bytes), *(("--source", source) for source in sources))
        self._process = _start(machine, ["recv", _endpoint(address, port), *options])

    @property
    def pid(self) -> int:
        return self._process.pid

    def snapshot(self) -> Received:
        """The receiver's account so far; it goes on."""
        self._process.send_signal(SIGUSR1)
        return _decode(self._process.read_line(ANSWER_LIMIT_S), Received)

    def wait(self, limit_s: float) -> Received:
        """Its account at its end, for one with a count or a duration."""
        return _decode(_last_line(self._process, limit_s), Received)

    def stop(self) -> Received:
        """Leaves the group and ends: its account."""
        self._process.send_signal(SIGTERM)
        return self.wait(ANSWER_LIMIT_S)

    def kill(self) -> None:
        """SIGKILL: the kernel leaves the group."""
        self._process.kill()


@contextmanager
def ending_streams() -> Iterator[None]:
    """Senders and receivers that are started within it end with it, if they have not ended before."""
    started: list[Process] = []
    _scopes.append(started)
    try:
        yield
    finally:
        _scopes.remove(started)
        for process in started:
            process.kill()


@functools.cache
def build() -> Path:
    """Compiles the program when its source has changed: its path."""
    manifest = str(SOURCE / "Cargo.toml")
    subprocess.run(["cargo", "build", "--release", "--locked", "--quiet", "--manifest-path", manifest], check=True)
    return PROGRAM


def merge_latencies(latencies: Sequence[Latency]) -> Latency:
    """The latencies of several receivers as one distribution; ValueError when there are none."""
    counts: dict[int, int] = {}
    for latency in latencies:
        for upper_ns, count in latency.histogram:
            counts[upper_ns] = counts.get(upper_ns, 0) + count
    histogram = tuple(sorted(counts.items()))
    return Latency(
        count=sum(counts.values()),
        min_ns=min(latency.min_ns for latency in latencies if latency.count),
        median_ns=_quantile(histogram, 0.5),
        p99_ns=_quantile(histogram, 0.99),
        max_ns=max(latency.max_ns for latency in latencies),
        histogram=histogram,
    )


def _quantile(histogram: Sequence[tuple[int, int]], share: float) -> int:
    wanted = share * sum(count for _, count in histogram)
    seen = 0
    for upper_ns, count in histogram:
        seen += count
        if seen >= wanted:
            return upper_ns
    return 0


def _start(machine: Machine, arguments: list[str]) -> Process:
    process = machine.spawn([build(), *arguments], stdout=subprocess.PIPE)
    if _scopes:
        _scopes[-1].append(process)
    line = process.read_line(START_LIMIT_S)
    if line != "ready":
        raise RuntimeError(f"treecast-load {' '.join(arguments)} said {line!r}")
    return process


def _last_line(process: Process, limit_s: float) -> str:
    line = process.read_line(limit_s)
    process.wait(ANSWER_LIMIT_S)
    process.kill()  # closes its pipe
    return line


def _endpoint(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ip_address(address).version == 6 else f"{address}:{port}"


def _options(*pairs: tuple[str, str | float | None]) -> list[str]:
    return [word for name, value in pairs if value is not None for word in (name, str(value))]


def _decode(line: str, kind: type[T]) -> T:
    return msgspec.json.decode(line.encode(), type=kind)
