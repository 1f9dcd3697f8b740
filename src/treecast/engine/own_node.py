"""This node as the others know it: its certificate, where it is reached, what its underlay carries."""

from __future__ import annotations

from dataclasses import replace

from treecast.base.addresses import Endpoint, IPAddress
from treecast.base.errors import IdentityTakenError
from treecast.base.time import Instant
from treecast.broadcast.quotas import quota_of
from treecast.engine.environment import NodeEnvironment
from treecast.engine.identities import must_end, replaced
from treecast.engine.rooms import Rooms, given_by, may_relay, own_addresses
from treecast.identity.certificate import Certificate
from treecast.wire.advertisement import NodeContent


class OwnNode:
    """Advertises each change of these. ``addresses``: those of the node's own host."""

    def __init__(self, rooms: Rooms, environment: NodeEnvironment) -> None:
        self.certificate = rooms.certificate
        self.addresses: tuple[IPAddress, ...] = own_addresses(rooms.certificate, ipv6=environment.ipv6)
        self.endpoints: tuple[Endpoint, ...] = ()
        self._rooms = rooms
        self._underlay_mtu = environment.underlay_mtu
        self._relaying = environment.relaying
        self._certificate_bytes = rooms.certificate.encode()

    def start(self, now: Instant, endpoints: tuple[Endpoint, ...]) -> None:
        """Advertise this node, and its own host."""
        self.set_endpoints(now, endpoints)
        self._rooms.discovery.add_own(now, self.certificate.mac, self.addresses)

    def set_endpoints(self, now: Instant, endpoints: tuple[Endpoint, ...]) -> None:
        """Where this node is reached from now on."""
        if endpoints != self.endpoints:
            self._rooms.links.moved_itself(now)
        self.endpoints = endpoints
        self._advertise(now)

    def set_underlay_mtu(self, now: Instant, mtu_bytes: int) -> None:
        """The length that this machine's interfaces carry from now on."""
        self._underlay_mtu = mtu_bytes
        self._rooms.links.set_underlay_mtu(mtu_bytes)
        self._advertise(now)

    def renew(self, now: Instant, certificate: Certificate) -> None:
        """Show another certificate of this node: one for the same keys, index, name and addresses."""
        self.certificate, self._certificate_bytes = certificate, certificate.encode()
        self._rooms.newest.require(certificate)
        self._rooms.nodes.put(self._rooms.me, certificate)
        self._rooms.links.renew(now, certificate)
        self._rooms.discovery.certify_own(given_by(certificate))
        self._rooms.topology.permit_own(certificate.rights.send_to)
        self._rooms.tree_states.judge()
        self._advertise(now)
        self._rooms.broadcast.set_quota(now, quota_of(certificate.rights))

    def stop_relaying(self, now: Instant) -> None:
        """Advertise that this node relays no more, and take no other place with children."""
        self._relaying = replace(self._relaying, relays=False)
        self._rooms.nodes.put_relaying(self._rooms.me, self._relaying)
        self._advertise(now)

    def look_for_twin(self) -> None:
        """Handshakes meet another instance of this node sooner than advertisements do."""
        met = self._rooms.links.met_twin()
        if met is not None:
            self._rooms.broadcast.twins.met(met.at, met.endpoint, met.started_ms)

    def must_end(self, now: Instant) -> IdentityTakenError | None:
        """The reason when the node is to end: its identity is another machine's, too, or only that one's."""
        replacing = self._rooms.newest.replacing_own()
        if replacing is not None:
            return replaced(self.certificate.name, replacing)
        return must_end(now, self._rooms.broadcast, self.certificate.name)

    def _advertise(self, now: Instant) -> None:
        relaying = replace(self._relaying, relays=may_relay(self._rooms.nodes, self._rooms.me))
        content = NodeContent.of(self._certificate_bytes, self.endpoints, self._underlay_mtu, relaying)
        self._rooms.broadcast.announce(now, content)
