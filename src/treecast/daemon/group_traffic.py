"""The traffic of groups as the data plane counts it: what went out, what hosts were given, who sends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from typing import Protocol

from treecast.base.addresses import IPAddress
from treecast.base.flows import CountedFlow, Flow, GroupKey
from treecast.base.installed_trees import Volume

NO_VOLUME: Volume = (0, 0)


class GroupNumbers(Protocol):
    """The numbers of ``adapters.native.DataPlane`` that are read."""

    def sent_by_flow(self) -> Iterable[tuple[Flow, Volume]]: ...

    def sent_flows(self) -> Iterable[CountedFlow]: ...

    def delivered_flows(self) -> Iterable[CountedFlow]: ...


class GroupTraffic:
    """Counters by group, as of the last ``read``."""

    def __init__(self) -> None:
        self._sent: dict[Flow, Volume] = {}
        self._delivered: dict[GroupKey, dict[IPAddress, Volume]] = {}
        self._senders: dict[GroupKey, list[CountedFlow]] = {}

    def read(self, plane: GroupNumbers) -> Iterator[None]:
        """Step by step: whoever takes the steps may pause between them."""
        for flow, volume in plane.sent_by_flow():
            self._sent[flow] = volume
            yield
        sent_here: set[tuple[GroupKey, IPAddress]] = set()
        for counted in plane.sent_flows():
            if counted.is_sending:
                self._senders.setdefault(counted.key, []).append(counted)
                sent_here.add((counted.key, counted.source))
            yield
        for counted in plane.delivered_flows():  # also of hosts here, to another port
            sources = self._delivered.setdefault(counted.key, {})
            sources[counted.source] = _sum(sources.get(counted.source, NO_VOLUME), (counted.packets, counted.bytes))
            if counted.is_sending and (counted.key, counted.source) not in sent_here:
                self._senders.setdefault(counted.key, []).append(counted)
            yield

    def groups(self) -> Iterable[GroupKey]:
        """Groups that somebody sends to."""
        return self._senders.keys()

    def sent(self, flow: Flow) -> Volume:
        """Frames of hosts here that the flow's tree took."""
        return self._sent.get(flow, NO_VOLUME)

    def delivered(self, flow: Flow, others: Set[IPAddress]) -> Volume:
        """Frames of the flow's source that hosts here got; of any source: of all but the ``others``."""
        volumes = self._delivered.get((flow.vlan, flow.group), {})
        if flow.source is not None:
            return volumes.get(flow.source, NO_VOLUME)
        total = NO_VOLUME
        for source, volume in volumes.items():
            if source not in others:
                total = _sum(total, volume)
        return total

    def senders(self, key: GroupKey) -> list[CountedFlow]:
        """Senders by source, then by node and port."""
        return sorted(self._senders.get(key, []), key=_order)


def _order(counted: CountedFlow) -> tuple[int, int, int]:
    return (int(counted.source), counted.root, -1 if counted.port is None else counted.port)


def _sum(one: Volume, other: Volume) -> Volume:
    return (one[0] + other[0], one[1] + other[1])
