"""IPv4 packets without end, at a steady rate, from a machine that writes any source into them."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from lab import Machine, wait_until
from tests.lab.hostile.siege import LIMIT_S


@dataclass(slots=True)
class Flood:
    """Packets with their destinations, in turn. ``sent``, ``elapsed_s``: so far."""

    packets: Sequence[tuple[bytes, str]]
    pps: int
    sent: int = 0
    elapsed_s: float = 0.0
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def sent_pps(self) -> float:
        return self.sent / self.elapsed_s if self.elapsed_s else 0.0

    def run(self, raw: socket.socket) -> None:
        """Sends until it is over; what is late is sent at once."""
        began = time.monotonic()
        while not self.over.wait(0.001):
            self.elapsed_s = time.monotonic() - began
            while not self.over.is_set() and self.sent < self.elapsed_s * self.pps:
                packet, target = self.packets[self.sent % len(self.packets)]
                raw.sendto(packet, (target, 0))
                self.sent += 1

    def wait_more(self, count: int) -> None:
        wanted = self.sent + count
        wait_until(lambda: self.sent >= wanted, LIMIT_S, "the flood goes on", poll_s=0.002)


@contextmanager
def flooding(machine: Machine, packets: Sequence[tuple[bytes, str]], pps: int) -> Iterator[Flood]:
    """A number of these packets a second leaves the machine for their destinations, until the block ends."""
    with machine.enter():
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    with raw:
        flood = Flood(packets, pps)
        thread = threading.Thread(target=flood.run, args=(raw,))
        thread.start()
        try:
            yield flood
        finally:
            flood.over.set()
            thread.join()
