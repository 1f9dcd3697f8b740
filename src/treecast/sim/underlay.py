"""The underlay and the clock: datagrams with delay, loss, reordering, duplicates and cut paths, in virtual time."""

from __future__ import annotations

import gc
import heapq
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from random import Random

from treecast.base.addresses import Endpoint
from treecast.base.time import Duration, Instant, after
from treecast.sim.datagrams import kind_and_bytes

TakeDatagram = Callable[[Endpoint, object], None]
"""Source and datagram."""

DelayBetween = Callable[[Endpoint, Endpoint], Duration]


@contextmanager
def no_garbage_in_cycles() -> Iterator[None]:
    """A run makes none: looking for it would cost a quarter of it."""
    is_collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if is_collecting:
            gc.enable()


class Underlay:
    """Delivers datagrams between endpoints. The same seed gives the same run.

    ``jitter`` reorders: each datagram waits ``delay`` and up to as much more. ``loss`` and ``duplication`` are shares
    of the datagrams sent. ``delay_between`` gives each pair of endpoints its own delay instead.
    """

    def __init__(
        self,
        rng: Random,
        *,
        delay: Duration = 0.010,
        jitter: Duration = 0.0,
        loss: float = 0.0,
        delay_between: DelayBetween | None = None,
    ) -> None:
        self.now = Instant(0.0)
        self.delay = delay
        self.jitter = jitter
        self.loss = loss
        self.duplication = 0.0
        self.datagrams = 0
        self.datagrams_of: Counter[str] = Counter()
        self.bytes_of: Counter[str] = Counter()
        """Datagrams and bytes that were sent, by kind (``kind_and_bytes``)."""
        self.on_send: Callable[[object], None] | None = None
        """Receives each datagram that is sent: for counting more finely than by kind."""
        self._rng = rng
        self._delay_between = delay_between
        self._receivers: dict[Endpoint, TakeDatagram] = {}
        self._cut: set[tuple[Endpoint, Endpoint]] = set()
        self._swallowed: dict[Endpoint, Callable[[object], bool]] = {}
        self._queue: list[tuple[Instant, int, Callable[[], None]]] = []
        self._order = 0

    def attach(self, endpoint: Endpoint, receiver: TakeDatagram) -> None:
        self._receivers[endpoint] = receiver

    def detach(self, endpoint: Endpoint) -> None:
        self._receivers.pop(endpoint, None)

    def cut(self, source: Endpoint, destination: Endpoint) -> None:
        """Lose everything that goes this way; the other way stays as it is."""
        self._cut.add((source, destination))

    def swallow(self, destination: Endpoint, which: Callable[[object], bool]) -> None:
        """Lose those datagrams to a node of which this is true, for it does not want to have got them."""
        self._swallowed[destination] = which

    def heal(self) -> None:
        """No cut, no loss, no duplicates, no reordering from now on."""
        self._cut.clear()
        self._swallowed.clear()
        self.jitter = self.loss = self.duplication = 0.0

    def reset_counts(self) -> None:
        """Count what is sent from now on."""
        self.datagrams = 0
        self.datagrams_of.clear()
        self.bytes_of.clear()

    def send(self, source: Endpoint, destination: Endpoint, datagram: object) -> None:
        self.datagrams += 1
        kind, size_bytes = kind_and_bytes(datagram)
        self.datagrams_of[kind] += 1
        self.bytes_of[kind] += size_bytes
        if self.on_send is not None:
            self.on_send(datagram)
        if self._rng.random() < self.loss or (self._cut and (source, destination) in self._cut):
            return
        self._send_once(source, destination, datagram)
        if self.duplication and self._rng.random() < self.duplication:
            self._send_once(source, destination, datagram)

    def forge(self, source: Endpoint, destination: Endpoint, datagram: object) -> None:
        """Deliver what somebody else sends under this source: it takes another way than what is cut or lost."""
        self._deliver(source, destination, datagram)

    def _send_once(self, source: Endpoint, destination: Endpoint, datagram: object) -> None:
        delay = self._delay_between(source, destination) if self._delay_between else self.delay
        due = after(self.now, delay + self._rng.random() * self.jitter)
        self.at(due, partial(self._deliver, source, destination, datagram))

    def _deliver(self, source: Endpoint, destination: Endpoint, datagram: object) -> None:
        receiver = self._receivers.get(destination)
        if self._swallowed:
            swallows = self._swallowed.get(destination)
            if swallows is not None and swallows(datagram):
                return
        if receiver is not None:
            receiver(source, datagram)

    def at(self, instant: Instant, action: Callable[[], None]) -> None:
        """Do this then; actions of one instant run in the order in which they were planned."""
        self._order += 1
        heapq.heappush(self._queue, (instant, self._order, action))

    def run_until(self, instant: Instant) -> None:
        """Do all that is due by then."""
        with no_garbage_in_cycles():
            while self._queue and self._queue[0][0] <= instant:
                self.now, _, action = heapq.heappop(self._queue)
                action()
        self.now = instant
