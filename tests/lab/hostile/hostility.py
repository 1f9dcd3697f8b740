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

from lab import Lab, Machine, wait_until
from lab.load import Receiver, Sender
from lab.node import INTERFACE, PORT, Overlay, TreecastNode
from lab.sites import show_logs
from tests.hostile_speaker import layouts as wire
from tests.hostile_speaker.member import Member
from tests.hostile_speaker.session import Session
from tests.hostile_speaker.speaker import Speaker, speaking
from tests.lab.hostile.siege import ipv4_udp
from tests.lab.overlay.asking import drops, wait_members, wait_received
from treecast.adapters import clock
from treecast.adapters.storage import add_node
from treecast.api.client import fetch_status
from treecast.identity.node import NodeRequest
from treecast.identity.rights import NO_LIMITS, GivenLimits, Role

GROUP, STREAM_PORT, RATE_PPS = "239.90.1.1", 5030, 500
LIMIT_S = 20.0
SPEAKER_PORT = 7801
"""Where the nodes of a crowd were told that eve is one."""


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
    def speaker(
        self,
        member: Member,
        machine: str = "eve",
        *,
        takes_keys: bool = True,
        takes_inits: bool = False,
        capabilities: int = 0,
    ) -> Iterator[Speaker]:
        """The member speaks from a machine; where it takes INITs, at the port at which nodes were told to seek one."""

        def make() -> socket.socket:
            with self.machines[machine].enter():
                own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**20)
            own.bind((self.machines[machine].underlay_ipv4, SPEAKER_PORT if takes_inits else 0))
            return own

        with speaking(
            make, member, takes_keys=takes_keys, takes_inits=takes_inits, capabilities=capabilities
        ) as speaker:
            yield speaker

    @contextmanager
    def found(self, speaker: Speaker) -> Iterator[list[Session]]:
        """All nodes have linked with the speaker, by their ``--peer``. It says goodbye to them at the end."""

        def sessions() -> dict[int, Session]:
            return {session.peer: session for session in list(speaker.accepted)}

        wait_until(lambda: len(sessions()) == len(self.net), LIMIT_S, "all nodes have found it")
        yield [sessions()[peer] for peer in sorted(sessions())]
        for session in sessions().values():
            session.say(wire.GOODBYE)

    @contextmanager
    def linked(self, speaker: Speaker, *nodes: TreecastNode, announced: bool = True) -> Iterator[list[Session]]:
        """The speaker is linked with these nodes, and says goodbye to them at the end. ``announced``: it says so."""
        sessions = [speaker.connect((node.machine.underlay_ipv4, PORT)) for node in nodes]
        for session in sessions if announced else ():
            speaker.announce(session)
        yield sessions
        for session in sessions:
            session.say(wire.GOODBYE)

    def forge(self, machine: str, victim: TreecastNode, source: TreecastNode, datagrams: list[bytes]) -> None:
        """Datagrams to the victim under another node's address."""
        target = victim.machine.underlay_ipv4
        with self.machines[machine].enter():
            raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        with raw:
            for one in datagrams:
                raw.sendto(ipv4_udp(source.machine.underlay_ipv4, PORT, target, PORT, one), (target, 0))

    def wait_stream(self, seconds: float) -> None:
        """Waits until all subscribers have so much more of the stream."""
        wanted = [receiver.snapshot().received + int(seconds * RATE_PPS) for receiver in self.receivers]
        for receiver, count in zip(self.receivers, wanted, strict=True):
            wait_received(receiver, count, LIMIT_S + 1.2 * seconds)

    @contextmanager
    def undisturbed(self, seconds: float = 0.5) -> Iterator[None]:
        """The block costs the stream nothing, nor does the time after it, and nothing forged is delivered."""
        before = [receiver.snapshot() for receiver in self.receivers]
        yield
        self.wait_stream(seconds)
        for receiver, was in zip(self.receivers, before, strict=True):
            now = receiver.snapshot()
            assert (now.lost - was.lost, now.duplicated, now.other) == (0, 0, 0), f"{now.lost - was.lost} lost"


@contextmanager
def hostility_of(count: int, *, seeking: bool = False) -> Iterator[Hostility]:
    """A network of nodes, and a stream from the first to the next two that never stops. ``seeking``: all have eve as a
    ``--peer``, at SPEAKER_PORT.
    """
    with Lab() as lab:
        lan = lab.switch()
        machines = [lab.machine(f"n{number}", lan) for number in range(count)]
        others = {name: lab.machine(name, lan) for name in ("eve", "mallory")}
        for machine in (*machines, *others.values()):
            machine.offload(False)  # a packet is a datagram
        net = Overlay(machines, lab.directory)
        net.start(options=("--peer", f"{others['eve'].underlay_ipv4}:{SPEAKER_PORT}") if seeking else ())
        subscribers = net.nodes[1:3]
        receivers = tuple(Receiver(node.machine, GROUP, STREAM_PORT, interface=INTERFACE) for node in subscribers)
        wait_members(net[0], GROUP, {node.name for node in subscribers})
        sender = Sender(net[0].machine, GROUP, STREAM_PORT, interface=INTERFACE, rate_pps=RATE_PPS)
        for receiver in receivers:
            wait_received(receiver, 200)
        yield Hostility(net, others, receivers, lab.directory)
        sender.stop()
        show_logs(net.nodes)
        net.stop()


def counted(node: TreecastNode, reason: str) -> int:
    return drops(node).get(reason, 0)


def problems(node: TreecastNode) -> set[tuple[str, str]]:
    """Kinds, and what they are about."""
    return {(problem.kind, problem.subject) for problem in fetch_status(node.directory).problems}


def wait_subscribed(root: TreecastNode, speaker_name: str) -> None:
    """Waits until the source has the speaker as a subscriber of the stream, beside the honest ones."""
    wait_members(root, GROUP, {"n1", "n2", speaker_name})


def wait_key(session: Session) -> None:
    """Waits until a key of the stream's tree was offered."""
    wait_until(lambda: any(key.context and key.stream for key in session.offers), LIMIT_S, "a key is offered")
