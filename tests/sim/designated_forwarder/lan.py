"""A LAN in virtual time: nodes' listeners, frames that take 1 ms, ports cut or looped; who forwards, and when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from treecast.base.addresses import MacAddress
from treecast.base.commands import Command, Inject, SetPortForwarding
from treecast.base.counters import Drops
from treecast.base.ids import NetworkId, NodeIndex
from treecast.base.storm_control import NO_LIMITS
from treecast.base.time import Duration, Instant, after
from treecast.designated_forwarder.designated_forwarder import BeaconSigner, DesignatedForwarder
from treecast.identity.keys import SigningKey, verify
from treecast.wire import ethernet

STEP: Duration = 0.001
START = Instant(1000.0)
NETWORK = NetworkId(b"N" * 16)


def signing_key(index: int) -> SigningKey:
    """The key of a node."""
    return SigningKey(index.to_bytes(32, "big"))


@dataclass(slots=True)
class LanNode:
    """One node with port 0 on the LAN. ``reflecting``: what it sends comes back to it."""

    index: int
    designated_forwarder: DesignatedForwarder
    drops: Drops
    forwarding: bool = True
    able: bool = True
    alive: bool = True
    reflecting: bool = False
    sent: int = 0
    due: Instant | None = None


@dataclass(slots=True)
class Lan:
    """``history``: the sets of forwarding nodes, each with the instant it began."""

    seed: int = 1
    loss: float = 0.0
    now: Instant = START
    nodes: dict[int, LanNode] = field(default_factory=dict)
    history: list[tuple[Instant, frozenset[int]]] = field(default_factory=list)
    signers: dict[NodeIndex, tuple[bytes, int]] = field(default_factory=dict)
    """Public signing key and epoch of each node, as its advertisements have them."""
    without_role: set[NodeIndex] = field(default_factory=set)
    """Nodes whose certificate lacks the role bridge."""
    checks: int = 0
    """Signatures that were verified."""
    cut: set[frozenset[int]] = field(default_factory=set)
    keeps: set[int] = field(default_factory=set)
    """EtherTypes that its switch passes not."""
    _flying: list[tuple[LanNode, bytes]] = field(default_factory=list)
    _rng: Random = field(default_factory=lambda: Random(7))

    def add(self, index: int) -> LanNode:
        """Starts a node (again)."""
        drops = Drops()
        mac = MacAddress(b"\x02\x54" + index.to_bytes(4, "big"))
        key = signing_key(index)
        sender = BeaconSigner(NETWORK, NodeIndex(index), mac, int(self.now * 1000), key)
        self.signers[NodeIndex(index)] = (key.public, sender.epoch_ms)
        forwarder = DesignatedForwarder(
            sender,
            drops,
            find_signer=self.signers.get,
            may_carry=lambda node: node not in self.without_role,
            verify_signature=self._verify,
        )
        node = self.nodes[index] = LanNode(index, forwarder, drops)
        node.designated_forwarder.open(self.now, 0, mac, (), NO_LIMITS)
        self._turn(node)
        return node

    def run(self, duration: Duration) -> None:
        """Frames of the last millisecond arrive, then whoever has a deadline acts."""
        end = after(self.now, duration)
        while self.now < end:
            self.now = after(self.now, STEP)
            flying, self._flying = self._flying, []
            for receiver, wire in flying:
                if receiver.alive and self._rng.random() >= self.loss:
                    receiver.designated_forwarder.receive(self.now, 0, ethernet.parse(wire))
                    self._turn(receiver)
            for node in self._alive():
                if node.due is not None and node.due <= self.now:
                    self._turn(node)
            forwarding = frozenset(node.index for node in self._alive() if node.forwarding)
            if not self.history or self.history[-1][1] != forwarding:
                self.history.append((self.now, forwarding))

    def run_until(self, condition: Callable[[], bool], limit: Duration) -> Duration:
        began = self.now
        while not condition():
            assert self.now - began < limit, f"not within {limit} s"
            self.run(STEP)
        return self.now - began

    def forwarding(self) -> set[int]:
        return {node.index for node in self._alive() if node.forwarding}

    def most_at_once(self) -> int:
        return max(len(forwarding) for _, forwarding in self.history)

    def able(self, node: LanNode, able: bool) -> None:
        node.able = able
        self._turn(node)

    def carry_out(self, node: LanNode, commands: list[Command]) -> None:
        for command in commands:
            match command:
                case SetPortForwarding(on=on):
                    node.forwarding = on
                case Inject(frame=frame):
                    node.sent += 1
                    if ethernet.parse(frame).ethertype not in self.keeps:
                        self._flying += [(other, frame) for other in self._alive() if self._hears(node, other)]

    def _verify(self, public_key: bytes, context: bytes, body: bytes, signature: bytes) -> bool:
        self.checks += 1
        return verify(public_key, context, body, signature)

    def _hears(self, sender: LanNode, other: LanNode) -> bool:
        if other is sender:
            return sender.reflecting
        return frozenset((sender.index, other.index)) not in self.cut

    def _turn(self, node: LanNode) -> None:
        node.designated_forwarder.advance(self.now, able=node.able)
        commands = list(node.designated_forwarder.commands)
        node.designated_forwarder.commands.clear()
        self.carry_out(node, commands)
        node.due = node.designated_forwarder.next_deadline(self.now)

    def _alive(self) -> list[LanNode]:
        return [node for node in self.nodes.values() if node.alive]
