"""The model's reception of datagrams of other roots' trees: which are taken, sent on, delivered."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from treecast.base.addresses import Endpoint
from treecast.base.flows import KeyFlow
from treecast.base.ids import BROADCAST_STREAM, KeyId, NodeIndex
from treecast.sim.datagrams import ReplayWindow, ServedFrom, ServiceRequest, TreeDatagram, TreeState
from treecast.sim.repair import Repair
from treecast.sim.signatures import SignatureChecks
from treecast.sim.tables import DownstreamStream

TREE_WINDOW = 32_768


@dataclass(slots=True, kw_only=True)
class TreeReception(Repair):
    """One node's downstream trees. Frames that reach the hosts are appended to ``delivered``."""

    delivered: list[object] = field(default_factory=list)
    signature_checks: SignatureChecks = field(default_factory=SignatureChecks)
    refusals: Counter[tuple[NodeIndex, str]] = field(default_factory=Counter)
    """Drops by node, where it is proven whose they are, since ``take_refusals``."""

    def take_refusals(self) -> list[tuple[NodeIndex, str, int]]:
        """Take the refusals since the last call: node, reason, how many."""
        taken, self.refusals = self.refusals, Counter()
        return [(node, reason, count) for (node, reason), count in taken.items()]

    def _refuse(self, node: NodeIndex | None, reason: str) -> None:
        """A drop. ``node``: whose it is; None where that is not known."""
        self.drops[reason] += 1
        if node is not None:
            self.refusals[node, reason] += 1

    def _send_to_children(self, children: tuple[NodeIndex, ...], datagram: TreeDatagram) -> None:
        """The same datagram to each: of broadcast in its session, else as it is."""
        for peer in children:
            session = self.sessions.current(peer)
            if session is None:
                self.drops["no_session"] += 1
            elif datagram.stream == BROADCAST_STREAM:
                self._seal_on_path(session, datagram)
            else:
                self._send(peer, self.sessions.path(peer).endpoint, datagram)

    def _receive_by_itself(self, source: Endpoint, datagram: TreeDatagram) -> None:
        if datagram.stream == BROADCAST_STREAM:
            self.drops["tree_unwrapped"] += 1
        else:
            self._receive_tree(datagram, source)

    def _receive_broadcast(self, peer: NodeIndex, datagram: TreeDatagram, *, is_direct: bool) -> None:
        """Received in a session with a node. ``is_direct``: no other one has brought it."""
        if not is_direct:
            self._refuse(peer, "tree_rpf")
        elif datagram.stream != BROADCAST_STREAM:
            self._refuse(peer, "tree_wrapped")
        else:
            self._receive_tree(datagram, peer)

    def _has_sent(self, parent: NodeIndex, sender: Endpoint | NodeIndex) -> bool:
        if isinstance(sender, Endpoint):
            return self.sessions.is_from(parent, sender, self.underlay.now)
        return parent == sender

    def _is_in_use(self, root: NodeIndex, stream: DownstreamStream, parent: NodeIndex) -> bool:
        """The path to a parent, at both ends; the root reports when it is again."""
        has_route = parent in self.node_routes
        if parent != root:
            return not has_route
        path = self.sessions.path(parent)
        return not (has_route or path.is_settling(self.underlay.now)) or stream.served_since == path.routes_set

    def _receive_word(self, node: NodeIndex, word: ServedFrom | ServiceRequest) -> None:
        if isinstance(word, ServedFrom):
            self._receive_served(node, word)
            return
        tree = self.trees.get(word.stream)
        if tree is not None and node in (*tree.next_hops, *tree.beyond) and node not in self.node_routes:
            self._seal(node, ServedFrom(word.stream, tree.key_id, tree.firsts.get(node, 1)))

    def _receive_served(self, root: NodeIndex, served: ServedFrom) -> None:
        stream = self.streams.get((root, served.stream))
        if stream is not None:
            stream.serve(served.key_id, served.first_counter, self.sessions.path(root).routes_set)

    def _receive_tree(self, datagram: TreeDatagram, sender: Endpoint | NodeIndex) -> None:
        """``sender``: the neighbour whose session it came in, else the address."""
        neighbour = None if isinstance(sender, Endpoint) else sender
        stream = self.streams.get((datagram.root, datagram.stream), DownstreamStream())
        state = stream.trees.get(datagram.epoch)
        if state is None:
            self.drops["tree_unknown"] += 1
            return
        above = [node for node in (state.parent, state.backup) if self._has_sent(node, sender)]
        if neighbour is None:
            above = [node for node in above if self._is_in_use(datagram.root, stream, node)]
        if not above:
            self._refuse(neighbour, "tree_rpf")
            return
        if datagram.key_id != state.key_id:
            self.drops["tree_key_unknown"] += 1
            return
        if (datagram.signed_by is not None) != (datagram.stream == BROADCAST_STREAM):
            self._refuse(neighbour, "broadcast_signature")
            return
        name = (datagram.root, datagram.stream, datagram.epoch)
        of_parent = state.parent in above
        is_copy = state.backup_sends and self._is_second_copy(stream, state, datagram, of_parent=of_parent)
        if neighbour is None:
            self.count_carried(above[0], datagram)
            self.note_arrival(name, state, of_parent=of_parent, is_copy=is_copy)
        if is_copy:
            self.drops["second_copy"] += 1
            return
        if datagram.counter < stream.firsts.get(datagram.key_id, 0):
            self.drops["tree_replay"] += 1
            return
        if state.relays:
            if not self._is_fresh(stream.relayed, datagram.key_id, datagram.counter):
                return
            stream.came += 1
            self.note_newest(name, datagram.counter)
            self.keep(name, state, datagram)
            self._send_to_children(self.next_hops(name, state), datagram)
            if not stream.keys:
                return
        if datagram.key_id not in stream.keys:
            self.drops["tree_key_unknown" if stream.keys else "tree_not_delivered"] += 1
        elif datagram.signed_by is not None and not self._window(stream, datagram).is_fresh(datagram.counter):
            self.drops["tree_replay"] += 1
        elif self._is_signed(datagram, neighbour) and self._is_fresh(stream.opened, datagram.key_id, datagram.counter):
            stream.came += not state.relays
            self.note_newest(name, datagram.counter)
            of_group = datagram.stream != BROADCAST_STREAM
            self._deliver(datagram.root, datagram.frame, of_group=of_group, flow=stream.flow)

    def _is_second_copy(
        self, stream: DownstreamStream, state: TreeState, datagram: TreeDatagram, *, of_parent: bool
    ) -> bool:
        """Whether the other parent's has come, and this one's has not."""
        of = (datagram.key_id, of_parent)
        is_first = stream.of_parents.setdefault(of, ReplayWindow(TREE_WINDOW)).take(datagram.counter)
        windows = stream.relayed if state.relays else stream.opened
        window = windows.get(datagram.key_id)
        return is_first and window is not None and not window.is_fresh(datagram.counter)

    def _window(self, stream: DownstreamStream, datagram: TreeDatagram) -> ReplayWindow:
        return stream.opened.get(datagram.key_id, ReplayWindow(TREE_WINDOW))

    def _is_signed(self, datagram: TreeDatagram, neighbour: NodeIndex | None) -> bool:
        """Whether it is its root's own, where that has to be shown."""
        if datagram.stream != BROADCAST_STREAM:
            return True
        certified, now = self.certified.get(datagram.root), self.underlay.now
        if certified is None:
            self._refuse(neighbour, "broadcast_signature")
            return False
        if not self.signature_checks.admit(datagram.root, now):
            is_suspect = self.signature_checks.is_suspect(datagram.root, now)
            self._refuse(None if is_suspect else datagram.root, "broadcast_signature_rate")
            return False
        if datagram.signed_by != certified.signing_key:
            self.signature_checks.note_forged(datagram.root, now)
            self._refuse(neighbour, "broadcast_signature")
            return False
        return True

    def _is_fresh(self, windows: dict[KeyId, ReplayWindow], key_id: KeyId, counter: int) -> bool:
        fresh = windows.setdefault(key_id, ReplayWindow(TREE_WINDOW)).take(counter)
        if not fresh:
            self.drops["tree_replay"] += 1
        return fresh

    def _deliver(self, node: NodeIndex, frame: object, *, of_group: bool = False, flow: KeyFlow | None = None) -> None:
        """``of_group``: by a group's key, which is for this flow."""
        refused = self.why_refused(node, frame, of_group=of_group, flow=flow)
        if refused is not None:
            self._refuse(node if refused == "source_of_another_node" else None, refused)
        elif 0 in self.blocked:
            self.drops["port_blocked"] += 1
        else:
            self.delivered.append(frame)
