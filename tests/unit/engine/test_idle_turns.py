"""The work of an engine's turn in which nothing is due: counted, at 100 and at 1,000 linked nodes."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Network
from random import Random

import pytest

from tests.unit.counting import SAMPLES, steps_of, times_the_work
from treecast.base.addresses import Endpoint
from treecast.base.commands import Command, InstallSession, SendControl, SendDatagram
from treecast.base.events import ControlDatagram, Event, HandshakeDatagram
from treecast.base.ids import NodeIndex
from treecast.base.problems import Problem
from treecast.base.time import Instant
from treecast.engine.engine import Engine
from treecast.engine.environment import NodeEnvironment
from treecast.identity.certificate import Certificate, CertificateContent, issue
from treecast.identity.keys import NodeKeys, SigningKey
from treecast.identity.network import Network
from treecast.identity.node import NodeIdentity
from treecast.multicast import MembershipConfig
from treecast.sim.handshake import ModelFactory, ModelHandshake
from treecast.wire.advertisement import SIGNING_CONTEXT, Body, Kind, NodeContent, Signed, emit, parse_signed
from treecast.wire.control import Acknowledge, Flood, emit_control, parse_control
from treecast.wire.handshake import HandshakePayload, emit_payload

UNIX_S = 1_000.0
CA = SigningKey(bytes(range(32)))
NETWORK = Network("test", CA.public, IPv4Network("10.77.0.0/16"), IPv6Network("fd00::/64"), bytes(32))
KEYS = NodeKeys.from_seeds(bytes(32), bytes([1] * 32))
"""The keys of all nodes: the model's handshakes have no secrecy."""
FIRST = 1_000


def certificate_of(index: int, not_after_s: int = 10**9) -> Certificate:
    claims = CertificateContent(
        NETWORK.id, NodeIndex(index), f"n{index}", KEYS.static.public, KEYS.signing.public, None, None, 0, not_after_s
    )
    return issue(CA, claims)


def endpoint_of(index: int) -> Endpoint:
    return Endpoint(IPv4Address("198.18.0.0") + index, 7700)


class Acknowledged:
    """An engine to which nodes make links and send what they advertise; its messages are acknowledged."""

    def __init__(self, not_after_s: int = 10**9, max_links: int | None = None) -> None:
        """``not_after_s``: when the certificates end; ``max_links``: how many links it chooses, None: all."""
        self.not_after_s = not_after_s
        self.now = Instant(0.0)
        self.sessions: dict[int, int] = {}
        """The index of the session with each node."""
        self.engine = Engine(
            NodeIdentity(NETWORK, certificate_of(1, not_after_s), KEYS),
            NodeEnvironment((4,), ipv6=False, epoch_ms=1, aead=1, instance=bytes(8), max_links=max_links),
            factory=ModelFactory(KEYS.static.public),
            membership=MembershipConfig(),
            rng=Random(1),
            unix_minus_monotonic_s=UNIX_S,
        )
        self.carry_out(self.engine.start(self.now, (endpoint_of(1),)))

    def link(self, peer: int) -> None:
        """The peer's handshake with the engine."""
        handshake = ModelHandshake(KEYS.static.public, peer)
        place = endpoint_of(peer)
        commands = self.engine.turn(self.now, [HandshakeDatagram(0, place, handshake.init_datagram())])
        (response,) = [
            c.data for c in commands if isinstance(c, SendDatagram) and c.endpoint == place and c.data[0] == 0xC1
        ]
        self.carry_out(commands)
        handshake.read_response(response)
        certificate = certificate_of(peer, self.not_after_s).encode()
        payload = HandshakePayload(certificate, 1, 1, int(1000 * (UNIX_S + self.now)), 0, 1500, "")
        final = HandshakeDatagram(0, place, handshake.write_final(emit_payload(payload)))
        commands = self.engine.turn(self.now, [final])
        (self.sessions[peer],) = [command.session for command in commands if isinstance(command, InstallSession)]
        self.carry_out(commands)

    def advertise_node(self, by: int, peer: int) -> None:
        """A linked node floods NODE of this one."""
        content = emit(NodeContent.of(certificate_of(peer, self.not_after_s).encode(), (endpoint_of(peer),)))
        self.advertise(by, Body(peer, 1, 1, Kind.NODE, b"", content))

    def advertise(self, by: int, body: Body) -> None:
        """A linked node floods an advertisement, its own or another's."""
        signed = emit(Signed(emit(body), KEYS.signing.sign(SIGNING_CONTEXT, emit(body))))
        self.turn(ControlDatagram(NodeIndex(by), 1, emit_control(Flood((signed,)))))

    def turn(self, *events: Event) -> None:
        self.carry_out(self.engine.turn(self.now, events))

    def carry_out(self, commands: list[Command]) -> None:
        """Acknowledge what is flooded."""
        answers: list[Event] = []
        for command in commands:
            message = parse_control(command.data) if isinstance(command, SendControl) else None
            if isinstance(command, SendControl) and isinstance(message, Flood):
                bodies = [parse_signed(wire)[1] for wire in message.advertisements]
                items = tuple((body.origin, body.epoch, body.sequence) for body in bodies)
                answers.append(ControlDatagram(command.peer, 1, emit_control(Acknowledge(items))))
        if answers:
            self.carry_out(self.engine.turn(self.now, answers))


class Idle(Acknowledged):
    """An engine that is linked to others and knows them, and nothing else happens."""

    def __init__(self, others: int, not_after_s: int = 10**9) -> None:
        super().__init__(not_after_s)
        peers = range(FIRST, FIRST + others)
        self.link(FIRST)
        for peer in peers:
            self.advertise_node(FIRST, peer)
        for peer in peers[1:]:
            self.link(peer)
        for _ in range(160):
            self.now = Instant(self.now + 0.1)
            self.turn()

    def idle_turn(self) -> None:
        assert self.engine.turn(self.now, []) == []
        deadline = self.engine.next_deadline(self.now)
        assert deadline is not None
        assert deadline > self.now


@pytest.fixture(scope="module")
def few_and_many() -> tuple[Idle, Idle]:
    return Idle(100), Idle(1_000)


def test_an_idle_turn_touches_as_much_at_1000_linked_nodes_as_at_100(few_and_many: tuple[Idle, Idle]) -> None:
    few, many = few_and_many
    assert [len(idle.engine.view.links()) for idle in (few, many)] == [100, 1_000]
    assert steps_of(many.idle_turn) <= 1.1 * steps_of(few.idle_turn)


def test_an_idle_turn_copies_and_sorts_as_much_at_1000_linked_nodes_as_at_100(few_and_many: tuple[Idle, Idle]) -> None:
    """One ``sorted()`` of all nodes takes a third of a turn's processor time, and is one step. Of each the least of
    very many turns counts: another core's work only takes from this one's caches.
    """
    few, many = few_and_many
    assert times_the_work(many.idle_turn, of=few.idle_turn, samples=8 * SAMPLES) <= 1.2


STEPS_OF_A_CLOCK = 45
"""A comparison of one linked node's with this one's takes 37. A walk over what is known of nodes would take 20 more."""


def test_a_second_in_which_nothing_is_wrong_touches_nothing_of_a_linked_node_but_its_clock(
    few_and_many: tuple[Idle, Idle],
) -> None:
    few, many = few_and_many
    assert [list(idle.engine.problems(idle.now)) for idle in (few, many)] == [[], []]

    def look(idle: Idle) -> None:
        assert list(idle.engine.problems(idle.now)) == []

    steps = [steps_of(look, idle) for idle in (few, many)]
    assert steps[1] - steps[0] <= STEPS_OF_A_CLOCK * 900


STEPS_OF_AN_ENDING_CERTIFICATE = 430
"""A report of one linked node's takes 399; its clock, which is compared twice, is among them. To compare the clocks of
all for each of them took 8,700 at 200 nodes."""


def test_a_second_in_which_certificates_end_compares_no_clock_once_for_each_of_them() -> None:
    few, many = Idle(50, not_after_s=1_300), Idle(200, not_after_s=1_300)

    def look(idle: Idle) -> list[Problem]:
        return list(idle.engine.problems(idle.now))

    assert [{problem.kind for problem in look(idle)} for idle in (few, many)] == [{"certificate_ends"}] * 2
    assert [len(look(idle)) for idle in (few, many)] == [51, 201]
    steps = [steps_of(look, idle) for idle in (few, many)]
    assert steps[1] - steps[0] <= STEPS_OF_AN_ENDING_CERTIFICATE * 150


STEPS_OF_A_REVIEW = 275
"""A look at one linked node's sessions once a second takes 264, 43 of them to find the confirmed ones.
To look for its newer certificate took 66 more.
"""


def test_a_second_s_review_looks_at_the_sessions_of_a_linked_node_and_at_nothing_else(
    few_and_many: tuple[Idle, Idle],
) -> None:
    few, many = few_and_many
    steps = [steps_of(idle.engine.review, idle.now, UNIX_S + idle.now, []) for idle in (few, many)]
    assert steps[1] - steps[0] <= STEPS_OF_A_REVIEW * 900
