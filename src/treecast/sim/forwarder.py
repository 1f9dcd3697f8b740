"""The data plane's model: commands in, events out, frames along the tables; no bytes of a datagram, no keys.

It keeps the meaning of ``base/commands.py``: who may open what, which offers are pending, where a frame goes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from treecast.base import commands as c
from treecast.base import events as e
from treecast.base.addresses import Endpoint, IPAddress
from treecast.base.downstream_commands import AcceptKey, AcceptTree
from treecast.base.ids import BROADCAST_STREAM, NodeIndex, StreamId
from treecast.base.path_commands import ChallengePath, ProbePeer, RemovePath, SetPath
from treecast.base.time import Instant
from treecast.base.token_bucket import TokenBucket
from treecast.sim.datagrams import (
    Forward,
    Graft,
    Key,
    Mark,
    PathChallenge,
    Probe,
    Rekey,
    ServedFrom,
    ServiceRequest,
    SessionDatagram,
    Tick,
    TreeDatagram,
    TreeState,
)
from treecast.sim.fingerprints import Fingerprints
from treecast.sim.frame_sources import permits
from treecast.sim.frames import Delivery, frame_kind
from treecast.sim.handshake import ModelHandshake
from treecast.sim.own_source import under_own_mac
from treecast.sim.root_tree import RootTree
from treecast.sim.sending import HOP_LIMIT
from treecast.sim.sessions import ModelSession
from treecast.sim.signatures import MADE_PER_S
from treecast.sim.tree_reception import TreeReception

KEY_DATAGRAMS = 2**25
"""A sender key is worn when it has sealed so many, as in the real one (docs/protocol.md section 6)."""
REPORT_AGAIN = 2**20
"""The datagrams after which it is reported again."""


@dataclass(slots=True, kw_only=True)
class ModelForwarder(TreeReception):
    """One node's tables. Frames that reach the hosts are appended to ``delivered``."""

    refuses: Callable[[c.Command], e.CommandRefusalReason | None] = lambda _: None
    """Why a command is not carried out though it could be."""
    datagram_weight: int = 1
    """Each datagram wears its key or session as so many do."""
    injected: list[bytes] = field(default_factory=list)
    signing_key: bytes = b""
    """Its public key: whoever has another one has signed something else."""
    made: TokenBucket = field(default_factory=lambda: TokenBucket.full(MADE_PER_S, MADE_PER_S, Instant(0.0)))
    """Signatures."""
    fingerprints: Fingerprints = field(default_factory=Fingerprints)

    def __post_init__(self) -> None:
        self.underlay.attach(self.endpoint, self._receive)

    # frames

    def send_frame(self, frame: bytes) -> bool:
        """A host's frame on port 0, whole: goes by the tables, or is counted. True: it is punted to Python, too."""
        frame = under_own_mac(self.me, frame, self.bridge)
        kind = frame_kind(frame)
        if kind.dropped:
            self.drops[kind.dropped] += 1
        elif kind.delivery is Delivery.PUNT:
            pass
        elif 0 in self.blocked:
            self.drops["port_blocked"] += 1
        elif kind.delivery is Delivery.UNICAST:
            self._send_to_one(kind.vlan, frame)
        elif kind.delivery is Delivery.FLOOD:
            self.send_on_tree(BROADCAST_STREAM, frame)
        elif kind.group is not None and kind.source is not None:
            self._send_to_group(kind.vlan, kind.group, kind.source, frame)
        return kind.shown

    def _send_to_one(self, vlan: int, frame: bytes) -> None:
        peer = self.hosts.get((vlan, frame[:6]))
        if peer is not None:
            self._seal(peer, ("frame", frame))
        elif 0 in self.flooding_ports:
            self.send_on_tree(BROADCAST_STREAM, frame)
        else:
            self.drops["unknown_unicast"] += 1

    def send_multicast(self, group: IPAddress, source: IPAddress, frame: object) -> None:
        """A host's multicast frame."""
        if 0 in self.blocked:
            self.drops["port_blocked"] += 1
            return
        self._send_to_group(0, group, source, frame)

    def _send_to_group(self, vlan: int, group: IPAddress, source: IPAddress, frame: object) -> None:
        nobody = "no_subscriber" if permits(self.me, group, self.certified) else "send_not_permitted"
        self.send_on_tree(self.route(vlan, group, source), frame, nobody)

    def send_on_tree(self, stream: StreamId | None, frame: object, otherwise: str = "no_broadcast_tree") -> None:
        """A frame goes down a tree of this node, whatever the frame is."""
        tree = self.trees.get(stream) if stream is not None else None
        if stream is None or tree is None or not (tree.next_hops or tree.replicate):
            self.drops[otherwise] += 1
            return
        tree.taken += 1
        if not tree.used:
            tree.used = True
            self.raise_event(e.TreeUsed(stream))
        wear = tree.sealed * self.datagram_weight
        if wear >= KEY_DATAGRAMS + tree.wear_reports * REPORT_AGAIN:
            tree.wear_reports += 1
            self.raise_event(e.KeyWorn(stream, tree.key_id))
        routed = tuple(peer for peer in tree.next_hops if peer in self.node_routes)
        next_hops = tuple(peer for peer in tree.next_hops if peer not in self.node_routes)
        for peer in (*tree.replicate, *routed):
            self._seal(peer, ("frame", frame))
        if next_hops:
            self._seal_for_tree(stream, tree, next_hops, frame)

    def _seal_for_tree(self, stream: StreamId, tree: RootTree, next_hops: tuple[NodeIndex, ...], frame: object) -> None:
        is_signed = stream == BROADCAST_STREAM
        if is_signed and not self.made.take(self.underlay.now):
            self._refuse(self.me, "broadcast_signature_rate")
            return
        for peer, first_counter in tree.newly_served(next_hops):
            self._seal(peer, ServedFrom(stream, tree.key_id, first_counter))
        tree.sealed += 1
        datagram = TreeDatagram(self.me, stream, tree.epoch, tree.key_id, tree.sealed, frame)
        self._send_to_children(next_hops, replace(datagram, signed_by=self.signing_key) if is_signed else datagram)

    def _receive(self, source: Endpoint, datagram: object) -> None:
        match datagram:
            case bytes():
                self.raise_event(e.HandshakeDatagram(0, source, datagram))
            case SessionDatagram():
                self._receive_session(source, datagram)
            case TreeDatagram():
                self._receive_by_itself(source, datagram)

    def _receive_session(
        self, source: Endpoint | None, datagram: SessionDatagram, brought_by: NodeIndex | None = None
    ) -> None:
        """``source``: None for one that a neighbour has brought."""
        session = self.sessions.get(datagram.receiver_index)
        if session is None:
            self.drops["session_unknown"] += 1
            return
        if session.link_secret != datagram.link_secret:
            self.drops["session_auth"] += 1
            return
        if not session.window.take(datagram.counter):
            self.drops["session_replay"] += 1
            return
        self._note_received(session, datagram)
        if not session.confirmed:
            self.sessions.confirm(session, self.underlay.now)
            self.raise_event(e.SessionConfirmed(session.peer, datagram.receiver_index))
        if brought_by is not None and self.node_routes.get(session.peer) == brought_by:
            self.sessions.path(session.peer).received_by_route_at = self.underlay.now
        if source is not None and datagram.counter == session.window.highest:
            self._receive_at_path(source, session, datagram)
        match datagram.body:
            case Probe(True, fingerprint, value, came):
                if self._reply_counts(datagram.receiver_index, session, value, came):
                    self._compare_fingerprint(session.peer, fingerprint)
            case Probe(_, fingerprint, value):
                self._compare_fingerprint(session.peer, fingerprint)
                self._seal_back(session, source, brought_by, Probe(True, self.fingerprints.own, value, session.came))
            case ("frame", frame):
                self._receive_frame(session.peer, frame, is_direct=source is not None)
            case Forward() as forward:
                self._receive_forward(session.peer, forward, is_nested=source is None)
            case bytes() as control:
                self.raise_event(e.ControlDatagram(session.peer, datagram.receiver_index, control))
            case PathChallenge(value, response=False):
                self._seal_back(session, source, brought_by, PathChallenge(value, response=True))
            case PathChallenge(value):
                self._path_answered(session.peer, datagram.receiver_index, value)
            case Key() as key:
                self._receive_offer(session.peer, key)
            case TreeState() as state:
                self._receive_state(session.peer, state)
            case ServedFrom() | ServiceRequest() as word:
                self._receive_word(session.peer, word)
            case Graft() as graft:
                self.receive_graft(session.peer, graft, is_direct=source is not None)
            case Tick():
                pass  # it shows that the peer is there
            case Mark() as mark:
                self.receive_mark(session.peer, mark, is_direct=source is not None)
            case Rekey(handshake):
                self.raise_event(e.SessionHandshake(session.peer, datagram.receiver_index, handshake))
            case TreeDatagram() as broadcast:
                self._receive_broadcast(session.peer, broadcast, is_direct=source is not None)

    def _receive_forward(self, neighbour: NodeIndex, forward: Forward, *, is_nested: bool) -> None:
        reason = self._why_not_forwarded(neighbour, forward, is_nested=is_nested)
        if reason is not None:
            self.drops[reason] += 1
        elif forward.destination != self.me:
            onwards = forward.onward(min(forward.hop_limit, HOP_LIMIT) - 1)
            self._seal_for(self._next_hop(forward.destination), onwards)
        elif isinstance(forward.inner, SessionDatagram):
            self._receive_session(None, forward.inner, neighbour)
        else:
            self.raise_event(e.ForwardedHandshake(neighbour, forward.source, forward.inner))

    def _why_not_forwarded(self, neighbour: NodeIndex, forward: Forward, *, is_nested: bool) -> str | None:
        if is_nested or forward.hop_limit == 0 or forward.destination == forward.source:
            return "forward_malformed"
        if forward.hop_limit >= HOP_LIMIT and forward.source != neighbour:
            return "forward_source"
        if forward.source == self.me:
            return "forward_own"
        if forward.destination == self.me:
            return None
        if forward.hop_limit == 1:
            return "forward_hop_limit"
        next_hop = self._next_hop(forward.destination)
        return "forward_no_route" if next_hop == neighbour or self._neighbour(next_hop) is None else None

    def _receive_frame(self, peer: NodeIndex, frame: object, *, is_direct: bool) -> None:
        self.sessions.path(peer).has_sent_by_route |= not is_direct
        self._deliver(peer, frame)

    def _receive_offer(self, root: NodeIndex, key: Key) -> None:
        self.pending_offers.add((root, key.stream, key.key_id))
        self.raise_event(e.KeyOffered(root, key.stream, key.key_id, key.context))

    def _receive_state(self, root: NodeIndex, state: TreeState) -> None:
        if self.me in (state.parent, state.backup, *state.below):
            self.drops["tree_state_malformed"] += 1
            return
        place = (state.parent, state.backup, state.children, state.backup_children)
        number = self.pending_states.add(root, state)
        self.raise_event(e.TreeOffered(root, state.stream, state.epoch, number, *place))

    def move_to(self, endpoint: Endpoint) -> None:
        """This node's machine has another address from now on."""
        self.underlay.detach(self.endpoint)
        self.endpoint = endpoint
        self.underlay.attach(endpoint, self._receive)

    def _compare_fingerprint(self, peer: NodeIndex, theirs: int) -> None:
        difference = self.fingerprints.compare(peer, theirs, self.underlay.now)
        if difference is not None:
            self.raise_event(e.FingerprintDiffers(peer, difference.to_bytes(16, "big")))

    def probe(self) -> None:
        """Probe each peer, as the real one does every two seconds."""
        for peer in self.sessions.peers():
            if self.sessions.current(peer) is not None:
                self.sessions.path(peer).turn(has_route=peer in self.node_routes)
                self._probe(peer, self.fingerprints.own, with_path=True)

    def reports(self) -> list[e.SessionReport]:
        return [self._report(index, one, self.datagram_weight) for index, one in self.sessions.items()]

    # commands

    def carry_out(self, commands: list[c.Command]) -> list[e.CommandRefused]:
        """Carry out in order; returns those that were refused."""
        refused: list[e.CommandRefused] = []
        for command in commands:
            reason = self.refuses(command)
            try:
                if reason is None:
                    self._do(command)
            except KeyError:
                reason = e.CommandRefusalReason.UNKNOWN
            if reason is not None:
                self.end_offer(command)
                refused.append(e.CommandRefused(command, reason))
        return refused

    def _do(self, command: c.Command) -> None:
        match command:
            case c.SendControl(peer, data):
                self._seal(peer, data)
            case c.SendHandshake(peer, data):
                self._seal(peer, Rekey(data))
            case c.SendForwarded(neighbour, destination, data):
                self._seal_for(neighbour, Forward(destination, self.me, HOP_LIMIT, data))
            case c.SendDatagram(endpoint=endpoint, data=data):
                self.underlay.send(self.endpoint, endpoint, data)
            case c.Inject(frame=frame):
                self.injected.append(frame)
            case c.FloodFrame(frame=frame):
                self.send_on_tree(BROADCAST_STREAM, frame)
            case c.InstallSession():
                self._install_session(command)
            case c.RemoveSession(session):
                self.sessions.remove(session)
            case SetPath() | RemovePath():
                self.sessions.set_path(command, self.underlay.now)
            case ChallengePath():
                self._challenge(command)
            case ProbePeer(peer):
                self._probe(peer, self.fingerprints.own)
            case c.SetNodeRoute(node) | c.RemoveNodeRoute(node):
                self.write(command)
                self.sessions.route_changed(node, is_set=isinstance(command, c.SetNodeRoute))
            case c.SetFingerprint(fingerprint):
                self.fingerprints.own = int.from_bytes(fingerprint, "big")
            case c.ForgetPeer(peer):
                self.sessions.forget(peer)
                self.fingerprints.forget(peer)
                self.signature_checks.forget(peer)
                self.forget_peer(peer)
            case c.OfferKey(stream, key_id, peer, context):
                if key_id not in self.trees[stream].key_ids:
                    raise KeyError(key_id)
                self._seal(peer, Key(stream, key_id, context))
            case c.OfferTree(stream, epoch, peer) as offer:
                self._seal(peer, TreeState.of(offer, self.trees[stream].key_of(epoch)))
            case AcceptKey(root, stream, key_id, flow, acknowledgement):
                self.accept_key(root, stream, key_id, flow)
                self._seal(root, acknowledgement)
            case AcceptTree(root, stream, epoch, number, acknowledgement):
                state = self.pending_states.take(root, stream, epoch, number)
                if not state.relays and not self.streams[root, stream].keys:
                    raise KeyError(stream)
                self.accept_tree(root, stream, state)
                self._seal(root, acknowledgement)
            case _:
                self.write(command)

    def _install_session(self, command: c.InstallSession) -> None:
        handshake = command.handshake
        if not isinstance(handshake, ModelHandshake):
            raise TypeError("a model session is made of a model handshake")
        now = self.underlay.now
        session = ModelSession(
            command.peer, handshake.remote_index, command.endpoint, command.confirmed, now, now, handshake.link_secret
        )
        self.sessions.install(handshake.index, session)
