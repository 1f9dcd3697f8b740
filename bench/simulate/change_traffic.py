"""Traffic that a change causes, apart from what nodes send anyway.

An idle network refreshes each NODE, acknowledges those, and probes its links, with a comparison now and then. At 128
nodes that is more than a join meanwhile: a rate that is taken off leaves nothing, so each datagram is looked at.
"""

from __future__ import annotations

from treecast.sim.datagrams import Key, SessionDatagram, TreeState, kind_and_bytes
from treecast.wire.advertisement import Kind, parse_signed
from treecast.wire.control import Acknowledge, Digest, Flood, Ranges, parse_control


class ChangeTraffic:
    """Counts the control datagrams, key offers and states of trees of changes; give it each datagram that is sent.

    No node may be new meanwhile: each NODE counts as a refresh.
    """

    def __init__(self) -> None:
        self.datagrams = 0
        self.size_bytes = 0
        self._refreshes: set[tuple[int, int, int]] = set()

    def reset(self) -> None:
        """Count what is sent from now on."""
        self.datagrams = self.size_bytes = 0

    def sent(self, datagram: object) -> None:
        match datagram:
            case SessionDatagram(body=bytes() as control) if not self._is_idle(control):
                pass
            case SessionDatagram(body=Key() | TreeState()):
                pass
            case _:
                return
        self.datagrams += 1
        self.size_bytes += kind_and_bytes(datagram)[1]

    def _is_idle(self, control: bytes) -> bool:
        match parse_control(control):
            case Digest() | Ranges():
                return True
            case Flood(advertisements=advertisements):
                return not [wire for wire in advertisements if not self._is_refresh(wire)]
            case Acknowledge(items=items):
                return self._refreshes.issuperset(items)
        return False

    def _is_refresh(self, wire: bytes) -> bool:
        _, body = parse_signed(wire)
        if body.kind != Kind.NODE:
            return False
        self._refreshes.add((body.origin, body.epoch, body.sequence))
        return True
