"""The sessions of a modelled data plane, indexed by number and by peer."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from treecast.base.addresses import Endpoint
from treecast.base.ids import NodeIndex
from treecast.base.path_commands import RemovePath, SetPath
from treecast.base.time import Duration, Instant
from treecast.sim.datagrams import ReplayWindow
from treecast.sim.paths import ModelPath, ProbedVia

SESSION_WINDOW = 8192
RECENT_RTTS = 5


@dataclass(slots=True)
class ModelSession:
    peer: NodeIndex
    remote_index: int
    endpoint: Endpoint | None
    """Where the node is, if it has no path yet. None where it has none at all."""
    confirmed: bool
    since: Instant
    received_at: Instant
    link_secret: bytes = b""
    """The id of the one that is in its keys."""
    sealed: int = 0
    routed: int = 0
    """Datagrams that went by the node's route, but for probes and their replies."""
    came: int = 0
    """Datagrams that have come, but for probes and their replies."""
    probes: dict[int, tuple[ProbedVia, int, Instant]] = field(default_factory=dict)
    """Probes whose reply is still believed, by value: path or route, how many had gone by a route, and when it left."""
    rtt_s: Duration | None = None
    """Smoothed (RFC 6298)."""
    recent_rtts_s: deque[Duration] = field(default_factory=lambda: deque(maxlen=RECENT_RTTS))
    window: ReplayWindow = field(default_factory=lambda: ReplayWindow(SESSION_WINDOW))

    def measured(self, rtt_s: Duration) -> None:
        """A probe was answered after so long."""
        self.rtt_s = rtt_s if self.rtt_s is None else 0.875 * self.rtt_s + 0.125 * rtt_s
        self.recent_rtts_s.append(rtt_s)


class Sessions:
    """All sessions of one node; reading a peer's never walks those of the others."""

    def __init__(self) -> None:
        self._by_index: dict[int, ModelSession] = {}
        self._by_peer: dict[NodeIndex, dict[int, ModelSession]] = {}
        self._paths: dict[NodeIndex, ModelPath] = {}
        self.carried_bytes: Counter[NodeIndex] = Counter()
        """UDP payload bytes to and from each node, also of one that was forgotten."""

    def __len__(self) -> int:
        return len(self._by_index)

    def __iter__(self) -> Iterator[int]:
        return iter(self._by_index)

    def get(self, index: int) -> ModelSession | None:
        return self._by_index.get(index)

    def items(self) -> Iterable[tuple[int, ModelSession]]:
        return self._by_index.items()

    def values(self) -> Iterable[ModelSession]:
        return self._by_index.values()

    def peers(self) -> list[NodeIndex]:
        return sorted(self._by_peer)

    def path(self, peer: NodeIndex) -> ModelPath:
        """The path to a peer that has, or had, a session. KeyError."""
        return self._paths[peer]

    def set_path(self, command: SetPath | RemovePath, now: Instant) -> None:
        """Nothing happens when there is no such peer."""
        if command.peer in self._paths:
            self._paths[command.peer].move(command.endpoint if isinstance(command, SetPath) else None, now)

    def route_changed(self, peer: NodeIndex, *, is_set: bool) -> None:
        """Another route, or none."""
        if peer in self._paths:
            if is_set:
                self._paths[peer].route_set()
            self._paths[peer].route_changed()

    def is_from(self, peer: NodeIndex, endpoint: Endpoint, now: Instant) -> bool:
        """Whether the peer may send from this endpoint."""
        path = self._paths.get(peer)
        return path is not None and path.is_from(endpoint, now)

    def confirm(self, session: ModelSession, now: Instant) -> None:
        """The peer has shown that it is where its handshake found it."""
        session.confirmed = True
        self.path(session.peer).validate(session.endpoint, now)

    def install(self, index: int, session: ModelSession) -> None:
        self.remove(index)
        self._by_index[index] = session
        self._by_peer.setdefault(session.peer, {})[index] = session
        self._paths.setdefault(session.peer, ModelPath(session.endpoint, session.since))

    def remove(self, index: int) -> None:
        """Nothing happens when there is no such session."""
        session = self._by_index.pop(index, None)
        if session is None:
            return
        of_peer = self._by_peer[session.peer]
        del of_peer[index]
        if not of_peer:
            del self._by_peer[session.peer]

    def forget(self, peer: NodeIndex) -> None:
        self._paths.pop(peer, None)
        for index in self._by_peer.pop(peer, {}):
            del self._by_index[index]

    def current(self, peer: NodeIndex) -> ModelSession | None:
        """The peer's newest session that is confirmed."""
        for session in reversed(self._by_peer.get(peer, {}).values()):
            if session.confirmed:
                return session
        return None
