"""A network of three nodes whose stream must not suffer, and members that are no nodes but hostile speakers.

::

      n0: the source     n1, n2: subscribers      eve, mallory: speakers with certificates
     +--------------+   +--------------+         +-----------+
     | treecast0    |   | treecast0    |         | speaker   |
     +------||------+   +------||------+         +----||-----+
     =======++=================++====== switch0 ======++======
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab import Machine, wait_until
from lab.load import Receiver
from lab.node import PORT, Overlay, TreecastNode
from tests.hostile_speaker.member import Member
from tests.hostile_speaker.speaker import Session, Speaker, speaking
from tests.lab.hostile.siege import ipv4_udp
from tests.lab.overlay.asking import drops, wait_members, wait_received
from treecast.adapters import clock
from treecast.adapters.storage import add_node
from treecast.api.client import fetch_status
from treecast.identity.node import NodeRequest
from treecast.identity.rights import NO_LIMITS, GivenLimits, Role

GROUP, STREAM_PORT, RATE_PPS = "239.90.1.1", 5030, 500
LIMIT_S = 20.0


@dataclass(frozen=True, slots=True)
class Hostility:
    """The network, and the machines of its hostile members. ``receivers``: of the stream, at n1 and n2."""

    net: Overlay
    machines: dict[str, Machine]
    receivers: tuple[Receiver, ...]
    directory: Path

    def admit(self, name: str, machine: str, roles: Role = Role.RELAY, limits: GivenLimits = NO_LIMITS) -> Member:
        """A new member, whose directory its hostile owner has read."""
        directory = self.directory / name
        request = NodeRequest(name, None, None, 30, roles=roles, limits=limits)
        add_node(self.net.network, directory, request, clock.unix_s())
        return Member.load(directory)

    @contextmanager
    def speaker(self, member: Member, machine: str = "eve", *, takes_keys: bool = True) -> Iterator[Speaker]:
        """The member speaks from a machine."""

        def make() -> socket.socket:
            with self.machines[machine].enter():
                own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**20)
            own.bind((self.machines[machine].underlay_ipv4, 0))
            return own

        with speaking(make, member, takes_keys=takes_keys) as speaker:
            yield speaker

    @contextmanager
    def linked(self, speaker: Speaker, *nodes: TreecastNode) -> Iterator[list[Session]]:
        """The speaker is linked with these nodes, and says goodbye to them at the end."""
        sessions = [speaker.connect((node.machine.underlay_ipv4, PORT)) for node in nodes]
        for session in sessions:
            speaker.announce(session)
        yield sessions
        for session in sessions:
            session.say(5)

    def forge(self, machine: str, victim: TreecastNode, source: TreecastNode, datagrams: list[bytes]) -> None:
        """Datagrams to the victim under another node's address."""
        target = victim.machine.underlay_ipv4
        with self.machines[machine].enter():
            raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        with raw:
            for one in datagrams:
                raw.sendto(ipv4_udp(source.machine.underlay_ipv4, PORT, target, PORT, one), (target, 0))

    @contextmanager
    def undisturbed(self, seconds: float = 0.5) -> Iterator[None]:
        """The block costs the stream nothing, nor does the time after it, and nothing forged is delivered."""
        before = [receiver.snapshot() for receiver in self.receivers]
        yield
        for receiver in self.receivers:
            wait_received(receiver, receiver.snapshot().received + int(seconds * RATE_PPS), LIMIT_S)
        for receiver, was in zip(self.receivers, before, strict=True):
            now = receiver.snapshot()
            assert (now.lost - was.lost, now.duplicated, now.other) == (0, 0, 0), f"{now.lost - was.lost} lost"


def counted(node: TreecastNode, reason: str) -> int:
    return drops(node).get(reason, 0)


def problems(node: TreecastNode) -> set[tuple[str, str]]:
    """Kinds, and what they are about."""
    return {(problem.kind, problem.subject) for problem in fetch_status(node.directory).problems}


def wait_subscribed(root: TreecastNode, speaker_name: str) -> None:
    """Until the source has the speaker as a subscriber of the stream, beside the honest ones."""
    wait_members(root, GROUP, {"n1", "n2", speaker_name})


def wait_key(session: Session) -> None:
    """Until a key of the stream's tree was offered."""
    wait_until(lambda: any(key.context and key.stream for key in session.offers), LIMIT_S, "a key is offered")
