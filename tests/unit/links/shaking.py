"""Links in the hands of a test: nodes, and handshakes between them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Network
from random import Random
from typing import ParamSpec

from treecast.base.addresses import Endpoint, IPAddress
from treecast.base.commands import InstallSession, SendDatagram, SendHandshake
from treecast.base.counters import Drops
from treecast.base.events import HandshakeDatagram, SessionConfirmed, SessionHandshake, SessionReport
from treecast.base.ids import NodeIndex
from treecast.base.path_commands import SetPeerUnderlayMtu
from treecast.base.time import Instant
from treecast.base.underlay_routes import UnderlayRouteType
from treecast.identity.certificate import Certificate, CertificateContent, issue
from treecast.identity.keys import NodeKeys, SigningKey
from treecast.identity.network import Network
from treecast.identity.revocation import Revocations
from treecast.links.link_events import LinkEvent
from treecast.links.links import Links
from treecast.links.sessions import AEAD_AES_256_GCM
from treecast.sim.handshake import ModelFactory, ModelHandshake
from treecast.wire.handshake import HandshakePayload

CA, OTHER_CA = SigningKey(bytes([1] * 32)), SigningKey(bytes([2] * 32))
P = ParamSpec("P")

NETWORK = Network("test", CA.public, IPv4Network("10.77.0.0/16"), IPv6Network("fd00::/64"), bytes(32))
UNIX_NOW = 1000.0


def endpoint_of(index: int) -> Endpoint:
    return Endpoint(IPv4Address(f"192.0.2.{index}"), 7700)


def certificate_of(index: int, *, ca: SigningKey = CA, not_after_s: int = 2000) -> Certificate:
    keys = NodeKeys.from_seeds(bytes([index] * 32), bytes([index + 100] * 32))
    network = Network("test", ca.public, NETWORK.ipv4, NETWORK.ipv6, NETWORK.key)
    address = IPv4Interface(f"10.77.0.{index}/16")
    claims = CertificateContent(
        network.id,
        NodeIndex(index),
        f"n{index}",
        keys.static.public,
        keys.signing.public,
        address,
        None,
        0,
        not_after_s,
    )
    return issue(ca, claims)


def verify_certificate(wire: bytes, unix_now_s: float) -> Certificate:
    certificate = Certificate.decode(wire)
    certificate.verify(CA.public, unix_now_s)
    return certificate


class InSession(bytes):
    """A handshake datagram that goes in a session."""


class Node:
    """Links, and what they sent."""

    def __init__(
        self,
        index: int,
        *,
        certificate: Certificate | None = None,
        static: bytes = b"",
        epoch: int = 1,
        ahead_s: float = 0.0,
        underlay_mtu: int = 1500,
        capabilities: int = 0,
        aead: int = AEAD_AES_256_GCM,
    ) -> None:
        """``ahead_s``: how much its wall clock is ahead of that of the others."""
        self.index = index
        self.ahead_s = ahead_s
        self.listed = True
        """Whether others advertise links with whatever node."""
        self.next_hops: dict[NodeIndex, tuple[NodeIndex, ...]] = {}
        """The neighbours by which nodes are reached, as others advertise, the nearest first."""
        self.loopback: dict[int, IPAddress] = {}
        """The addresses that it listens on, where they are on loopback."""
        self.unroutable: set[IPAddress] = set()
        """Addresses that this machine has no route to."""
        self.looked_up: list[IPAddress] = []
        """Each look at this machine's routes."""
        self.broadcast: set[IPAddress] = set()
        """Addresses of whole subnets of this machine."""
        self.certificate = certificate or certificate_of(index)
        self.drops = Drops()
        self.revocations = Revocations()
        self.links = Links(
            me=HandshakePayload(
                self.certificate.encode(), aead, epoch, 0, 0, underlay_mtu, "1.0", capabilities=capabilities
            ),
            my_index=self.certificate.node_index,
            factory=ModelFactory(static or self.certificate.static_key),
            families=(4,),
            loopback=self.loopback,
            underlay_route_type=self.underlay_route_type,
            verify_certificate=lambda wire: self.revocations.require_none(verify_certificate(wire, UNIX_NOW + ahead_s)),
            wall_clock_ms=lambda now: int((UNIX_NOW + self.ahead_s + now) * 1000),
            is_listed=lambda _: self.listed,
            is_revoked=self.revocations.is_serial_revoked,
            next_hop=self.next_hop,
            newest_name=lambda _: "",
            rng=Random(index + epoch),
            drops=self.drops,
        )
        self._events: list[LinkEvent] = []
        self._record_events()
        self.installed: list[InstallSession] = []
        self.limits: list[tuple[int, int]] = []
        """Node and underlay MTU, as the data plane is told."""

    def next_hop(self, node: NodeIndex, without: Collection[NodeIndex]) -> NodeIndex | None:
        return next((each for each in self.next_hops.get(node, ()) if each not in without), None)

    def underlay_route_type(self, address: IPAddress) -> UnderlayRouteType:
        self.looked_up.append(address)
        if address in self.broadcast:
            return UnderlayRouteType.BROADCAST
        return UnderlayRouteType.NONE if address in self.unroutable else UnderlayRouteType.UNICAST

    def sent(self) -> list[bytes]:
        commands = list(self.links.commands)
        self.links.commands.clear()
        self.installed += [command for command in commands if isinstance(command, InstallSession)]
        self.limits += [(c.peer, c.mtu_bytes) for c in commands if isinstance(c, SetPeerUnderlayMtu)]
        usual = SendDatagram | SendHandshake | InstallSession | SetPeerUnderlayMtu
        self.others = [command for command in commands if not isinstance(command, usual)]
        datagrams = [command for command in commands if isinstance(command, SendDatagram | SendHandshake)]
        return [one.data if isinstance(one, SendDatagram) else InSession(one.data) for one in datagrams]

    def hear(self, now: float, data: bytes, source: int) -> None:
        """A datagram that the node ``source`` sent arrives."""
        if not isinstance(data, InSession):
            self.links.receive(Instant(now), HandshakeDatagram(0, endpoint_of(source), data))
            return
        peer = self.links.peer(NodeIndex(source))
        assert peer is not None
        self.hear_in(now, data, source, peer.current.index)

    def hear_in(self, now: float, data: bytes, source: int, session: int) -> None:
        """A handshake datagram of the node ``source`` arrives in a session with it."""
        self.links.receive(Instant(now), SessionHandshake(NodeIndex(source), session, bytes(data)))

    def events(self) -> list[LinkEvent]:
        events, self._events = self._events, []
        return events

    def _record_events(self) -> None:
        """Keep what the methods of ``links`` return of links that came up or ended."""
        for name in ("receive", "refused", "confirmed", "goodbye", "cut", "cut_expired", "review", "advance"):
            setattr(self.links, name, self._recording(getattr(self.links, name)))

    def _recording(self, method: Callable[P, list[LinkEvent]]) -> Callable[P, list[LinkEvent]]:
        def recorded(*args: P.args, **kwargs: P.kwargs) -> list[LinkEvent]:
            self._events += method(*args, **kwargs)
            return []  # to a method that calls another one

        return recorded


def begin(node: Node, other: Node, now: float = 0.0) -> bytes:
    node.links.configure(Instant(now), "peer", (endpoint_of(other.index),))
    node.links.advance(Instant(now))
    (init,) = node.sent()
    return init


def answer(node: Node, other: Node, init: bytes, now: float) -> list[bytes]:
    """The other one has the node's INIT, and the node its RESPONSE: what it sends then."""
    other.hear(now, init, node.index)
    (response,) = other.sent()
    node.hear(now, response, other.index)
    return node.sent()


def shake(node: Node, other: Node, now: float = 0.0) -> None:
    """A whole handshake, and the datagram that confirms it to the initiator."""
    (final,) = answer(node, other, begin(node, other, now), now)
    other.hear(now, final, node.index)
    other.sent()
    confirm(node, other, now)


def confirm(node: Node, other: Node, now: float = 0.0) -> None:
    """The other side's first datagram on the newest session arrives."""
    handshake = node.installed[-1].handshake
    assert isinstance(handshake, ModelHandshake)
    node.links.confirmed(Instant(now), SessionConfirmed(NodeIndex(other.index), handshake.index))


def report(node: Node, *, silent_s: float = 0.0, sealed: int = 0) -> list[SessionReport]:
    return [
        SessionReport(session.index, peer.node, 0.0, silent_s, None, sealed)
        for peer in node.links.peers()
        for session in peer.sessions
    ]
