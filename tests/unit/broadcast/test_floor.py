"""The floor of an origin: what it has withdrawn, and all have forgotten, does not come back."""

from __future__ import annotations

from tests.unit.broadcast.test_broadcast import GROUPS, WANTED, Node, advertisement, certificate_of
from treecast.base.ids import NodeIndex
from treecast.base.time import Duration, Instant
from treecast.broadcast.floor import MAX_REFRESHED, SETTLED_AFTER
from treecast.broadcast.own_advertisements import NODE_INTERVAL
from treecast.broadcast.store import WITHDRAWN_LIFETIME
from treecast.wire.advertisement import Body, HostContent, Kind, NodeContent, emit, parse_node, parse_signed
from treecast.wire.control import Acknowledge, Flood

ORIGIN = 5


def node_with_floor(sequence: int, floor: int) -> bytes:
    content = NodeContent(certificate_of(ORIGIN).encode(), (), floor=floor)
    return advertisement(ORIGIN, sequence, Kind.NODE, b"", emit(content))


def host(number: int) -> bytes:
    return bytes(2) + b"\x02" + number.to_bytes(5, "big")


class Origin(Node):
    """A node whose advertisements a neighbour takes and keeps."""

    def __init__(self) -> None:
        super().__init__(1)
        self.link(2)
        self.published: list[bytes] = []
        self.until(0.1)

    def until(self, end: Duration) -> None:
        """Let time pass; the neighbour acknowledges all."""
        while self.now < end:
            self.now = Instant(min(self.now + 1.0, end))
            self.broadcast.advance(self.now)
            for _, wire in self.floods():
                self.published.append(wire)
                body = parse_signed(wire)[1]
                self.hear(2, Acknowledge(((body.origin, body.epoch, body.sequence),)))

    def put(self, number: int, *, alive: bool = True) -> None:
        content = HostContent((bytes((10, 0, 0, number % 250)),), 0) if alive else None
        self.broadcast.put(self.now, Kind.HOST, host(number), content)

    def bodies(self) -> list[Body]:
        return [parse_signed(wire)[1] for wire in self.published]

    def floor(self) -> int:
        """The last that it has told."""
        return parse_node([body for body in self.bodies() if body.kind == Kind.NODE][-1].content).floor

    def alive(self) -> dict[bytes, int]:
        """The sequence of each host that it has."""
        newest = {body.key: body for body in self.bodies() if body.kind == Kind.HOST}
        return {key: body.sequence for key, body in newest.items() if body.content}


def test_what_is_not_held_and_not_above_the_floor_is_refused_acknowledged_and_answered() -> None:
    node = Node(1)
    node.link(2)
    low, high = (advertisement(ORIGIN, n, Kind.GROUPS, GROUPS, emit(WANTED)) for n in (7, 8))
    node.hear(2, Flood((node_with_floor(20, 7),)))
    node.said()
    assert node.hear(2, Flood((low,))) == []
    assert node.drops.snapshot() == {"advertisement_below_floor": 1}
    said = node.said()
    assert (2, Acknowledge(((ORIGIN, 1, 7),))) in said
    assert (2, Flood((node_with_floor(20, 7),))) in said
    assert len(node.hear(2, Flood((high,)))) == 1


def test_what_is_held_lives_on_below_the_floor_and_the_floor_never_falls() -> None:
    node = Node(1)
    node.link(2)
    held = advertisement(ORIGIN, 3, Kind.GROUPS, GROUPS, emit(WANTED))
    node.hear(2, Flood((node_with_floor(1, 0), held, node_with_floor(20, 7), node_with_floor(21, 0))))
    assert node.broadcast.contents(NodeIndex(ORIGIN), Kind.GROUPS) != []
    other = advertisement(ORIGIN, 5, Kind.HOST, host(1), emit(HostContent((), 0)))
    assert node.hear(2, Flood((other,))) == []


def test_an_origin_raises_its_floor_before_others_forget_and_what_lives_is_published_anew() -> None:
    origin = Origin()
    for number in (1, 2):
        origin.put(number)
    origin.until(10.0)
    origin.put(1, alive=False)
    origin.until(11.0)
    withdrawal = next(body for body in origin.bodies() if body.kind == Kind.HOST and not body.content)
    origin.until(10.0 + SETTLED_AFTER - 1.0)
    assert origin.floor() == 0
    origin.until(10.0 + SETTLED_AFTER + NODE_INTERVAL + 1.0)
    assert origin.now < 10.0 + WITHDRAWN_LIFETIME
    assert origin.floor() == withdrawal.sequence
    assert [key for key, sequence in origin.alive().items() if sequence > withdrawal.sequence] == [host(2)]
    published = len([body for body in origin.bodies() if body.kind != Kind.NODE])
    origin.until(400.0)
    assert len([body for body in origin.bodies() if body.kind != Kind.NODE]) == published, "once"


def test_an_origin_with_many_records_raises_its_floor_step_by_step() -> None:
    origin = Origin()
    for number in range(3 * MAX_REFRESHED):
        origin.put(number)
    origin.until(10.0)
    origin.put(0, alive=False)
    origin.until(11.0)
    withdrawal = next(body for body in origin.bodies() if body.kind == Kind.HOST and not body.content)
    origin.until(10.0 + SETTLED_AFTER + NODE_INTERVAL + 1.0)
    assert 0 < origin.floor() < withdrawal.sequence
    below = [key for key, sequence in origin.alive().items() if sequence <= origin.floor()]
    assert below == [], "whoever comes now takes all of it"
    origin.until(10.0 + SETTLED_AFTER + 4 * NODE_INTERVAL)
    assert origin.floor() == withdrawal.sequence
    assert len(origin.alive()) == 3 * MAX_REFRESHED - 1


def test_an_origin_that_hears_what_it_has_forgotten_withdraws_it_again_above_its_floor_only() -> None:
    origin = Origin()
    for number in range(4 * MAX_REFRESHED):
        origin.put(number)
    last = 4 * MAX_REFRESHED - 1
    origin.until(10.0)
    recorded = next(wire for wire in origin.published if parse_signed(wire)[1].key == host(last))
    origin.put(last, alive=False)
    origin.until(10.0 + WITHDRAWN_LIFETIME + 1.0)
    origin.published.clear()
    origin.hear(2, Flood((recorded,)))
    origin.until(origin.now + 1.0)
    again = [body for body in origin.bodies() if body.key == host(last)]
    assert [(body.content, body.sequence > parse_signed(recorded)[1].sequence) for body in again] == [(b"", True)]
    origin.until(10.0 + WITHDRAWN_LIFETIME + SETTLED_AFTER + 7 * NODE_INTERVAL)
    assert origin.floor() >= again[0].sequence
    origin.published.clear()
    origin.hear(2, Flood((recorded,)))
    origin.until(origin.now + 1.0)
    assert [body for body in origin.bodies() if body.key == host(last)] == []


def test_an_origin_withdraws_nothing_for_what_others_make_up() -> None:
    origin = Origin()
    origin.put(1)
    origin.until(2.0)
    content = emit(HostContent((), 0))
    forged = advertisement(1, 2, Kind.HOST, host(9), content, signer=3)
    later = advertisement(1, 10**6, Kind.HOST, host(9), content)
    held = advertisement(1, 1, Kind.HOST, host(1), content)
    origin.published.clear()
    origin.hear(2, Flood((forged, later, held)))
    origin.until(3.0)
    assert origin.published == []
    assert origin.drops.snapshot() == {"advertisement_bad_signature": 1}
