"""Reception of one event: the room that it is for takes it. Read ``base.events`` for the kinds."""

from __future__ import annotations

from collections.abc import Set

from treecast.base.addresses import MacAddress
from treecast.base.errors import MalformedError
from treecast.base.events import (
    CommandRefused,
    ControlDatagram,
    Event,
    FingerprintDiffers,
    ForeignHandshake,
    ForwardedHandshake,
    HandshakeDatagram,
    HostSeen,
    KeyOffered,
    KeyWorn,
    ParentFailed,
    PathAnswered,
    PathSeen,
    SessionConfirmed,
    SessionHandshake,
    TapFrame,
    TreeOffered,
    TreeUsed,
)
from treecast.base.ids import KeyId, NodeIndex, StreamId, TreeEpoch
from treecast.base.time import Instant
from treecast.dataplane.tree_plan import LostPlace
from treecast.engine.following import Following
from treecast.engine.learning import Learning
from treecast.engine.membership_sync import MembershipSync
from treecast.engine.refusals import CommandRefusals
from treecast.engine.rooms import Rooms
from treecast.wire import ethernet
from treecast.wire.beacon import is_beacon
from treecast.wire.control import (
    CONTROL_MALFORMED,
    Acknowledge,
    Ciphertext,
    Digest,
    EncapsulationKey,
    Flood,
    Goodbye,
    KeyAcknowledgement,
    KeyRefusal,
    ParentLost,
    Ranges,
    StreamEnd,
    TracedTree,
    TraceRequest,
    TreeAcknowledgement,
    TreeQuery,
    TreeRefusal,
    TreeReport,
    parse_control,
)


class Reception:
    """Hands each event to its room. ``open_ports``: as they are now; what comes late from another counts no more."""

    def __init__(
        self,
        rooms: Rooms,
        open_ports: Set[int],
        following: Following,
        learning: Learning,
        membership_sync: MembershipSync,
        refusals: CommandRefusals,
    ) -> None:
        self._open_ports = open_ports
        self._rooms = rooms
        self._following = following
        self._learning = learning
        self._membership_sync = membership_sync
        self._refusals = refusals

    def take(self, now: Instant, event: Event) -> None:
        """Something happened."""
        match event:
            case TapFrame(port) | HostSeen(port) if port not in self._open_ports:
                self._rooms.drops.count("port_closed")
            case TapFrame():
                self._tap_frame(now, event)
            case HostSeen(port, vlan, mac):
                self._rooms.designated_forwarder.saw(now, port, vlan, mac)
                self._rooms.discovery.host_seen(now, port, vlan, mac)
                self._vlan_seen(now, port, vlan, mac)
            case HandshakeDatagram() | SessionHandshake() | ForwardedHandshake():
                self._following.links(now, self._rooms.links.receive(now, event))
            case ForeignHandshake(source):
                self._rooms.links.foreign(now, source)
            case ControlDatagram():
                self._control(now, event)
            case KeyOffered():
                self._rooms.downstream_trees.offered(now, event)
            case TreeOffered():
                self._rooms.tree_states.offered(now, event)
            case ParentFailed():
                self._rooms.tree_states.parent_failed(now, event)
            case PathSeen():
                self._rooms.links.paths.seen(event)
            case PathAnswered():
                self._following.links(now, self._rooms.links.paths.answered(event))
            case SessionConfirmed():
                self._following.links(now, self._rooms.links.confirmed(now, event))
            case FingerprintDiffers(peer, difference):
                self._rooms.broadcast.fingerprint_differs(now, peer, int.from_bytes(difference, "big"))
            case TreeUsed(stream):
                self._following.used(now, stream)
            case KeyWorn(stream, key_id):
                self._rooms.root_trees.key_worn(stream, key_id)
            case CommandRefused():
                self._refusals.take(now, event)

    def _tap_frame(self, now: Instant, event: TapFrame) -> None:
        try:
            frame = ethernet.parse(event.data)
            if is_beacon(frame):
                self._rooms.designated_forwarder.receive(now, event.port, frame)
                return
            self._rooms.designated_forwarder.saw(now, event.port, frame.vlan_id or 0, frame.source)
            if self._rooms.discovery.receive(now, event.port, frame, event.data):
                self._vlan_seen(now, event.port, frame.vlan_id or 0, frame.source)
                return
        except MalformedError as error:
            self._rooms.drops.count(error.reason)
            return
        other = self._node_on_lan(event.port, frame.source)
        if other is not None:
            self._rooms.drops.count("membership_of_a_node")  # its queries and reports are for hosts, and end with them
            self._rooms.designated_forwarder.receive_from_node(now, event.port, other)
            return
        self._membership_sync.take(now, self._rooms.membership.receive(now, event.port, frame))

    def _vlan_seen(self, now: Instant, port: int, vlan: int, mac: MacAddress) -> None:
        """A host uses a VLAN: listeners there wait for queries. What another node sends there keeps no VLAN alive."""
        if vlan and self._node_on_lan(port, mac) is None:
            self._membership_sync.take(now, self._rooms.membership.saw(now, port, vlan))

    def _node_on_lan(self, port: int, mac: MacAddress) -> NodeIndex | None:
        """The other node whose MAC this is, on a LAN that nodes may share."""
        is_shared = self._rooms.designated_forwarder.is_shared(port)
        return self._rooms.nodes.other_with_mac(mac) if is_shared else None

    def _control(self, now: Instant, event: ControlDatagram) -> None:
        try:
            message = parse_control(event.data)
        except MalformedError as error:
            self._rooms.drops.count(error.reason)
            if error.reason == CONTROL_MALFORMED:
                self._rooms.drops.note_of(event.peer, error.reason)
            return
        match message:
            case Flood() | Acknowledge() | Digest() | Ranges():
                for learned in self._rooms.broadcast.receive(now, event.peer, message):
                    self._learning.take(now, learned)
            case KeyAcknowledgement(stream, key_id):
                self._rooms.root_trees.key_acknowledgement(now, event.peer, StreamId(stream), KeyId(key_id))
            case KeyRefusal(stream, _, reason):
                self._rooms.root_trees.offers.refused(event.peer, StreamId(stream), reason)
            case TreeAcknowledgement(stream, epoch):
                self._rooms.root_trees.tree_acknowledgement(now, event.peer, StreamId(stream), TreeEpoch(epoch))
            case TreeRefusal(stream, epoch, most):
                identity = event.peer, StreamId(stream), TreeEpoch(epoch)
                self._rooms.root_trees.tree_refusal(now, *identity, most)
            case ParentLost(stream, epoch, parent, reason):
                place = LostPlace(StreamId(stream), TreeEpoch(epoch), event.peer, NodeIndex(parent), reason)
                self._rooms.root_trees.parent_lost(now, place)
            case StreamEnd(stream):
                self._rooms.downstream_trees.ended(now, event.peer, StreamId(stream))
            case TreeQuery():
                self._rooms.tree_reports.query(now, event.peer, message)
            case TreeReport():
                self._rooms.tree_traces.report(now, event.peer, message)
            case TraceRequest():
                self._rooms.tree_traces.request(now, event.peer, message)
            case TracedTree():
                self._rooms.tree_traces.traced(now, event.peer, message)
            case EncapsulationKey() | Ciphertext():
                self._rooms.links.exchanges.receive(now, event.peer, message)
            case Goodbye():
                self._following.links(now, self._rooms.links.goodbye(now, event.peer, event.session))
