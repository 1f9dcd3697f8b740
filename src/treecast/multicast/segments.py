"""The segments of a node by port and VLAN, which of them forward, and when each has something due. Decides nothing."""

from __future__ import annotations

from collections.abc import Iterator

from treecast.base.time import Instant
from treecast.base.timers import Timers
from treecast.multicast.segment import Segment


class Segments:
    """Holds the segments of a node's ports.

    A port forwards unless that was switched off: then its hosts are another node's.
    """

    def __init__(self) -> None:
        self._segments: dict[tuple[int, int], Segment] = {}
        self._by_vlan: dict[int, dict[int, Segment]] = {}
        self._not_forwarding: set[int] = set()
        self._wake_ups: Timers[tuple[int, int]] = Timers()
        """The time at which each segment has something due, or an earlier one."""

    def add(self, segment: Segment) -> None:
        """A VLAN has begun on a port."""
        self._segments[segment.port, segment.vlan] = segment
        self._by_vlan.setdefault(segment.vlan, {})[segment.port] = segment

    def remove(self, segment: Segment) -> None:
        """A VLAN has ended on a port."""
        del self._segments[segment.port, segment.vlan]
        self._wake_ups.cancel((segment.port, segment.vlan))
        del self._by_vlan[segment.vlan][segment.port]
        if not self._by_vlan[segment.vlan]:
            del self._by_vlan[segment.vlan]

    def get(self, port: int, vlan: int) -> Segment | None:
        """The segment of a port and VLAN."""
        return self._segments.get((port, vlan))

    def of_port(self, port: int) -> list[Segment]:
        """All VLANs of a port."""
        return [segment for segment in self._segments.values() if segment.port == port]

    def of_vlan(self, vlan: int) -> dict[int, Segment]:
        """All ports of a VLAN, by port."""
        return self._by_vlan.get(vlan, {})

    def forwarding(self, vlan: int) -> list[Segment]:
        """The ports of a VLAN whose hosts are this node's."""
        return [segment for port, segment in self.of_vlan(vlan).items() if self.forwards(port)]

    def longest_without_messages(self) -> Segment | None:
        """The longest silent one of the VLANs whose hosts have never reported a group."""
        silent = (segment for segment in self._segments.values() if segment.vlan and not segment.has_messages)
        return min(silent, key=lambda segment: (segment.quiet_at, segment.port, segment.vlan), default=None)

    def vlans(self) -> list[int]:
        """All VLANs, unsorted."""
        return list(self._by_vlan)

    def set_forwarding(self, port: int, *, forwarding: bool) -> bool:
        """Whether the port's hosts are this node's. True when that is new."""
        if forwarding is self.forwards(port):
            return False
        (self._not_forwarding.discard if forwarding else self._not_forwarding.add)(port)
        return True

    def forwards(self, port: int) -> bool:
        return port not in self._not_forwarding

    def wake(self, segment: Segment) -> None:
        """Something of the segment has changed: follow its deadline."""
        deadline = segment.next_deadline()
        if deadline is None:
            self._wake_ups.cancel((segment.port, segment.vlan))
        else:
            self._wake_ups.set((segment.port, segment.vlan), deadline)

    def due(self, now: Instant) -> list[Segment]:
        """The segments that have something due. Each stays due until ``wake``: what raises costs no deadline."""
        keys = self._wake_ups.due(now)
        for key in keys:
            self._wake_ups.set(key, now)
        return [self._segments[key] for key in keys]

    def next_deadline(self) -> Instant | None:
        return self._wake_ups.next()

    def __iter__(self) -> Iterator[Segment]:
        """Segments by port and VLAN."""
        return iter([self._segments[key] for key in sorted(self._segments)])

    def __len__(self) -> int:
        return len(self._segments)
