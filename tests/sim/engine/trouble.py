"""Troubles of a network: actions as values, and the world in which they are carried out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from treecast.base.commands import (
    Command,
    CreateTree,
    InstallSession,
    MakeKey,
    OfferKey,
    OfferTree,
    SetHost,
    SetRoute,
    SetTreeMembers,
    UseKey,
)
from treecast.base.downstream_commands import AcceptKey, AcceptTree
from treecast.base.events import CommandRefusalReason
from treecast.base.ids import NodeIndex
from treecast.base.membership import NO_SOURCE, FilterMode, SourceFilter
from treecast.base.time import Duration
from treecast.sim.world import SimNode, World

REFUSABLE = (
    AcceptKey,
    AcceptTree,
    CreateTree,
    InstallSession,
    MakeKey,
    OfferKey,
    OfferTree,
    SetHost,
    SetRoute,
    SetTreeMembers,
    UseKey,
)
GROUPS = ("239.1.1.1", "239.1.1.2", "232.1.1.1")
SHORT_LIFETIME: Duration = 90.0
"""The life of a certificate that ends while things happen."""


@dataclass(frozen=True)
class Join:
    node: int
    group: str
    mode: FilterMode
    sources: tuple[int, ...] = ()


@dataclass(frozen=True)
class Leave:
    node: int
    group: str


@dataclass(frozen=True)
class Kill:
    node: int


@dataclass(frozen=True)
class Restart:
    """``pause`` after its end; ``peer`` None: without --peer; ``clock_error``: its clock was set."""

    node: int
    pause: Duration
    peer: int | None
    clock_error: Duration


@dataclass(frozen=True)
class Cut:
    source: int
    destination: int
    both_ways: bool


@dataclass(frozen=True)
class Weather:
    loss: float
    jitter: Duration
    duplication: float


@dataclass(frozen=True)
class Heal:
    pass


@dataclass(frozen=True)
class Stream:
    """Frames, 10 ms apart, while the next actions are carried out."""

    node: int
    group: str
    frames: int


@dataclass(frozen=True)
class Wait:
    seconds: Duration


@dataclass(frozen=True)
class Refuse:
    """The node's data plane refuses this share of what it may refuse from now on."""

    node: int
    share: float


Action = Refuse | Join | Leave | Kill | Restart | Cut | Weather | Heal | Stream | Wait
Frame = tuple[int, str, int]
"""Sender, group, number."""


class TroubledWorld:
    """Nodes 1..size; node numbers of actions are taken modulo what there is. Node 1 is everybody's --peer."""

    def __init__(self, seed: int, size: int, short_lived: Sequence[int] = ()) -> None:
        self.world = World(seed)
        self.wanted: dict[NodeIndex, dict[str, SourceFilter]] = {}
        self.refused: Counter[str] = Counter()
        self._frames = 0
        first: SimNode | None = None
        for number in range(1, size + 1):
            lifetime = SHORT_LIFETIME if number in short_lived and number > 1 else 86_400.0
            node = self.world.add(peer=first, lifetime=lifetime)
            first = first or node
            self.wanted[node.index] = {}

    @property
    def nodes(self) -> dict[NodeIndex, SimNode]:
        return self.world.nodes

    def present(self) -> list[SimNode]:
        """The nodes that run and may be believed."""
        unix_now = int(1_800_000_000.0 + self.world.underlay.now)
        return [
            node
            for node in self.nodes.values()
            if not node.stopped and node.identity.certificate.not_after_s > unix_now
        ]

    def address(self, number: int) -> IPv4Address:
        interface = self._node(number).identity.certificate.ipv4
        assert interface is not None
        return interface.ip

    def _node(self, number: int) -> SimNode:
        return self.nodes[NodeIndex(1 + (number - 1) % len(self.nodes))]

    def carry_out(self, action: Action) -> None:
        underlay = self.world.underlay
        match action:
            case Join(number, group, mode, sources):
                self._want(number, group, SourceFilter(mode, frozenset(self.address(s) for s in sources)))
            case Leave(number, group):
                self._want(number, group, NO_SOURCE)
            case Kill(number):
                self._node(number).stop()
            case Restart(number, pause, peer_number, clock_error):
                node = self._node(number)
                node.stop()
                self.world.run(pause)
                self.wanted[node.index] = {}
                peer = self._node(peer_number) if peer_number is not None else None
                self.world.restart(node, peer=peer if peer is not node else None, clock_error=clock_error)
            case Cut(source, destination, both_ways):
                one, other = self._node(source).endpoint, self._node(destination).endpoint
                underlay.cut(one, other)
                if both_ways:
                    underlay.cut(other, one)
            case Weather(loss, jitter, duplication):
                underlay.loss, underlay.jitter, underlay.duplication = loss, jitter, duplication
            case Heal():
                underlay.heal()
            case Refuse(number, share):
                self._refuse(self._node(number), share)
            case Stream(number, group, frames):
                self.stream(self._node(number), group, frames)
            case Wait(seconds):
                self.world.run(seconds)

    def _refuse(self, node: SimNode, share: float) -> None:
        rng = self.world.rng

        def refuses(command: Command) -> CommandRefusalReason | None:
            if isinstance(command, REFUSABLE) and rng.random() < share:
                self.refused[type(command).__name__] += 1
                return rng.choice((CommandRefusalReason.TABLE_FULL, CommandRefusalReason.UNKNOWN))
            return None

        node.forwarder.refuses = refuses

    def end_refusals(self) -> None:
        """Every data plane has room from now on."""
        for node in self.nodes.values():
            node.forwarder.refuses = lambda _: None

    def _want(self, number: int, group: str, wanted: SourceFilter) -> None:
        node = self._node(number)
        if node.stopped:
            return
        self.wanted[node.index][group] = wanted
        node.report(group, wanted.mode, tuple(str(source) for source in sorted(wanted.sources)))

    def stream(self, node: SimNode, group: str, frames: int) -> list[Frame]:
        """Begin to send; returns the frames."""
        sent: list[Frame] = []
        for number in range(frames):
            self._frames += 1
            frame = (node.index, group, self._frames)
            sent.append(frame)
            self._send_later(node, group, frame, 0.01 * number)
        return sent

    def _send_later(self, node: SimNode, group: str, frame: Frame, delay: Duration) -> None:
        def send() -> None:
            if not node.stopped:
                node.send(group, frame)

        underlay = self.world.underlay
        underlay.at(type(underlay.now)(underlay.now + delay), send)

    def wants(self, node: SimNode, group: str, source: IPv4Address) -> bool:
        return self.wanted[node.index].get(group, NO_SOURCE).accepts(source)

    def doubled(self) -> dict[NodeIndex, list[object]]:
        """Frames that a node's hosts got more than once."""
        counts = {
            index: Counter(frame for frame in node.forwarder.delivered if isinstance(frame, tuple))
            for index, node in self.nodes.items()
        }
        return {
            index: [frame for frame, count in counter.items() if count > 1]
            for index, counter in counts.items()
            if any(count > 1 for count in counter.values())
        }
