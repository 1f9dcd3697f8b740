"""A node whose certificate the CA has revoked: cut off everywhere, and nothing that anybody repeats brings it back."""

from __future__ import annotations

import pytest
import structlog
import structlog.testing

from tests.sim.engine.repeating import full_mesh, record_all
from treecast.adapters.ca_records import sign_revocation
from treecast.base.commands import SendControl
from treecast.base.ids import NodeIndex
from treecast.daemon.linked import Linked
from treecast.identity.keys import SigningKey
from treecast.sim.world import SimNode, World
from treecast.wire.advertisement import Body, Kind, Signed, emit
from treecast.wire.control import Flood, emit_control
from treecast.wire.revocation import CA_SIGNING_CONTEXT, RevocationContent, revocation_key

GROUP, OTHER_GROUP = "239.1.1.1", "239.1.1.2"
SIZE = 30
GONE_WITHIN_S = 2.0


def revocation_of(world: World, node: SimNode) -> bytes:
    return world.revocation(node.index, node.identity.certificate.serial)


def flood(world: World, sender: SimNode, receivers: list[SimNode], *wires: bytes) -> None:
    for receiver in receivers:
        for start in range(0, len(wires), 4):
            message = emit_control(Flood(wires[start : start + 4]))
            sender.carry_out([SendControl(receiver.index, message)])


def linked(nodes: list[SimNode], gone: SimNode) -> list[NodeIndex]:
    return [node.index for node in nodes if node.is_linked(gone) or gone.is_linked(node)]


def knowing(nodes: list[SimNode], gone: SimNode) -> list[NodeIndex]:
    return [node.index for node in nodes if gone.index in node.engine.view.footprint().broadcast.origins]


def problems(node: SimNode) -> list[str]:
    """Kinds; certificates of a simulation end within a day."""
    return [one.kind for one in node.engine.problems(node.now) if one.kind != "certificate_ends"]


def counted(nodes: list[SimNode], reason: str) -> int:
    return sum(node.engine.drops.snapshot().get(reason, 0) for node in nodes)


def test_within_two_seconds_nothing_goes_to_or_from_a_revoked_node_on_thirty() -> None:
    world = World(1)
    nodes = full_mesh(world, SIZE)
    revoked, others = nodes[7], [*nodes[:7], *nodes[8:]]
    for node in nodes[1:20]:
        node.report(GROUP)
    nodes[2].report(OTHER_GROUP)
    world.run_until(lambda: all(nodes[0].subscribes(node, GROUP) for node in nodes[1:20]), 5.0)
    sent: list[str] = []
    from_revoked = 0

    def stream(duration: float) -> None:
        nonlocal from_revoked
        for _ in range(int(duration / 0.05)):
            sent.append(f"frame {len(sent)}")
            nodes[0].send(GROUP, sent[-1])
            revoked.send(OTHER_GROUP, f"of the revoked {from_revoked}")
            from_revoked += 1
            world.run(0.05)

    stream(3.0)
    assert revoked.forwarder.delivered and nodes[2].forwarder.delivered
    others[20].take_ca_record(revocation_of(world, revoked))
    stream(GONE_WITHIN_S)
    assert not linked(others, revoked) and not knowing(others, revoked)
    assert not nodes[0].subscribes(revoked, GROUP)
    got, given = len(revoked.forwarder.delivered), len(nodes[2].forwarder.delivered)
    of_revoked = [frame for frame in nodes[2].forwarder.delivered if str(frame).startswith("of")]
    stream(5.0)
    assert len(revoked.forwarder.delivered) == got
    assert [frame for frame in nodes[2].forwarder.delivered if str(frame).startswith("of")] == of_revoked
    assert len(nodes[2].forwarder.delivered) > given
    world.run(1.0)
    assert nodes[3].forwarder.delivered == sent, "no subscriber that stays loses anything"


def test_nothing_that_was_said_before_brings_a_revoked_node_back(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(2)
    taken = record_all(world, monkeypatch)
    nodes = full_mesh(world, 6)
    revoked, hostile, others = nodes[5], nodes[4], nodes[:4]
    revoked.report(GROUP)
    world.run_until(lambda: nodes[0].subscribes(revoked, GROUP), 5.0)
    recorded = list({record.wire: None for record in taken if record.origin == revoked.index})
    assert len(recorded) >= 3
    nodes[0].take_ca_record(revocation_of(world, revoked))
    world.run(GONE_WITHIN_S)
    flood(world, hostile, others, *recorded, world.revocation(revoked.index, 1), sign_by_member(hostile, revoked))
    revoked = world.restart(revoked, peer=nodes[1])
    again = world.restart(nodes[2], peer=nodes[0])
    recall(nodes[0], again)
    others = [nodes[0], nodes[1], again, nodes[3]]
    world.run(90.0)
    assert not linked(others, revoked) and not knowing(others, revoked)
    assert not nodes[0].subscribes(revoked, GROUP)
    assert counted(others, "certificate_revoked") > 0
    flood(world, hostile, others, *recorded)
    world.run(5.0)
    assert not knowing([*others, hostile], revoked)


def sign_by_member(member: SimNode, victim: SimNode) -> bytes:
    """A revocation that a member has signed, in the CA's context."""
    content = emit(RevocationContent(2**62, "n1"))
    body = emit(Body(0, 0, 2**62, Kind.REVOCATION, revocation_key(victim.index), content))
    return emit(Signed(body, member.identity.keys.signing.sign(CA_SIGNING_CONTEXT, body)))


def recall(source: SimNode, node: SimNode) -> None:
    """The node has kept for this start what another holds."""
    node.engine.recall_ca_records(node.now, source.engine.view.ca_records())


def test_the_next_certificate_of_the_same_keys_is_taken_at_once_where_the_ca_gives_one() -> None:
    world = World(3)
    nodes = full_mesh(world, 4)
    revoked, others = nodes[3], nodes[:3]
    nodes[0].take_ca_record(revocation_of(world, revoked))
    world.run(GONE_WITHIN_S)
    assert not linked(others, revoked)
    assert problems(revoked) == ["node_revoked"]
    (text,) = [one.text for one in revoked.engine.problems(revoked.now) if one.kind == "node_revoked"]
    newest, new_keys = (text.index(f"treecast node {verb}") for verb in ("renew n4", "add n4 --replace"))
    assert newest < new_keys, "what is enough comes first"
    certificate = world.certify(revoked.index, revoked.identity.keys, not_before_s=1)
    revoked.carry_out(revoked.engine.renew(revoked.now, certificate))
    world.run_until(lambda: len(linked(others, revoked)) == 3, 5.0)
    world.run(30.0)
    assert not problems(revoked)
    assert not nodes[0].engine.view.revoked()


def test_a_revoked_node_passes_its_own_revocation_on_before_it_falls_silent() -> None:
    world = World(4)
    nodes = full_mesh(world, 5)
    nodes[4].take_ca_record(revocation_of(world, nodes[4]))
    world.run(GONE_WITHIN_S)
    assert not linked(nodes[:4], nodes[4])
    assert all(node.engine.view.revoked() == [(5, "n5")] for node in nodes)


def test_a_revoked_node_seeks_nobody_once_it_knows_and_seldom_while_it_does_not() -> None:
    world = World(5)
    nodes = full_mesh(world, 3)
    revoked, others = nodes[2], nodes[:2]
    nodes[0].take_ca_record(revocation_of(world, revoked))
    world.run(GONE_WITHIN_S)
    refused = counted(others, "certificate_revoked")
    world.run(300.0)
    assert counted(others, "certificate_revoked") == refused, "it has learned of it"
    ignorant = world.restart(revoked, peer=nodes[0])
    world.run(300.0)
    assert counted(others, "certificate_revoked") - refused <= 24
    assert problems(ignorant) == ["refused_by_peer"]
    assert not linked(others, ignorant)


def test_members_can_revoke_nobody_and_what_they_make_up_is_counted_and_bounded() -> None:
    world = World(6)
    nodes = full_mesh(world, 4)
    hostile, victim, others = nodes[3], nodes[1], nodes[:3]
    stranger = SigningKey(bytes(range(32)))
    forged = [sign_revocation(stranger, victim.index, 1000 + number, "n2") for number in range(100)]
    before = world.shared.signatures.verified
    flood(world, hostile, others, *forged)
    world.run(1.0)
    assert world.shared.signatures.verified - before <= 8 * len(others) + 4
    assert counted(others, "advertisement_bad_signature") == 8 * len(others)
    assert counted(others, "ca_record_rate") == 92 * len(others)
    own = Body(hostile.index, 1, 10**6, Kind.REVOCATION, bytes(3) + b"\2", b"x")
    signed = emit(own)
    wire = emit(Signed(signed, hostile.identity.keys.signing.sign(b"treecast advertisement 1", signed)))
    as_node = Body(0, 0, 1, Kind.GROUPS, bytes(2), b"\x91\x90")
    signed = emit(as_node)
    no_kind = emit(Signed(signed, hostile.identity.keys.signing.sign(CA_SIGNING_CONTEXT, signed)))
    flood(world, hostile, others, wire, no_kind)
    world.run(1.0)
    assert counted(others, "advertisement_wrong_origin") == 2 * len(others)
    assert all(node.engine.view.ca_records() == () and len(node.peers()) == 3 for node in nodes)


def test_a_genuine_revocation_arrives_though_a_forger_sends_too() -> None:
    world = World(7)
    nodes = full_mesh(world, 4)
    stranger = SigningKey(bytes(range(32)))
    forged = [sign_revocation(stranger, nodes[1].index, 1000 + number, "n2") for number in range(40)]
    flood(world, nodes[3], nodes[:3], *forged)
    nodes[0].take_ca_record(revocation_of(world, nodes[3]))
    world.run(GONE_WITHIN_S)
    assert not linked(nodes[:3], nodes[3])


def test_a_newcomer_that_the_revoked_node_meets_first_lets_go_of_it_when_it_meets_another() -> None:
    world = World(8)
    nodes = full_mesh(world, 3)
    revoked = nodes[2]
    nodes[0].take_ca_record(revocation_of(world, revoked))
    world.run(GONE_WITHIN_S)
    ignorant = world.restart(revoked)
    newcomer = world.add(peer=ignorant)
    world.run_until(lambda: newcomer.is_linked(ignorant), 10.0)
    newcomer.add_static_peer(nodes[1])
    world.run_until(lambda: newcomer.is_linked(nodes[1]), 10.0)
    world.run_until(lambda: not newcomer.is_linked(ignorant) and not ignorant.peers(), 5.0)


def test_a_node_that_starts_again_beside_a_revoked_one_leaves_it_alone_and_has_no_problem() -> None:
    world = World(9)
    nodes = full_mesh(world, 3)
    revoked = nodes[2]
    nodes[0].take_ca_record(revocation_of(world, revoked))
    world.run(GONE_WITHIN_S)
    remembered = nodes[1].engine.remembered(nodes[1].now)
    assert {one.node for one in remembered} == {1, 3}
    ignorant = world.restart(revoked)
    again = world.restart(nodes[1])
    again.engine.recall(again.now, remembered)
    recall(nodes[0], again)
    world.run_until(lambda: again.is_linked(nodes[0]), 10.0)
    world.run(300.0)
    assert not ignorant.peers()
    assert counted([again, ignorant], "certificate_revoked") == 0, "nobody has tried"
    assert problems(again) == []


def test_a_node_that_was_added_after_a_revocation_refuses_the_revoked_one_from_its_first_start_on() -> None:
    world = World(10)
    nodes = full_mesh(world, 2)
    revoked = nodes[1]
    nodes[0].take_ca_record(revocation_of(world, revoked))
    world.run(GONE_WITHIN_S)
    ignorant = world.restart(revoked)
    newcomer = world.add()
    recall(nodes[0], newcomer)
    newcomer.add_static_peer(ignorant)
    for _ in range(60):
        world.run(1.0)
        assert not newcomer.peers()
        assert not ignorant.peers()
    assert 1 <= counted([newcomer], "certificate_revoked") <= 3
    assert problems(newcomer) == []


def test_the_log_of_each_end_has_that_a_link_ended_with_a_revoked_certificate() -> None:
    world = World(1)
    nodes = full_mesh(world, 3)
    logs = [Linked(node.engine.view, structlog.get_logger()) for node in nodes]
    nodes[1].take_ca_record(revocation_of(world, nodes[2]))
    world.run(5.0)
    with structlog.testing.capture_logs() as lines:
        for log, node in zip(logs, nodes, strict=True):
            log.log_changes(node.now)
    *others, gone = [node.identity.certificate.name for node in nodes]
    assert sorted((line["event"], line["peer"]) for line in lines) == sorted(
        [("link down: its certificate was revoked", gone)] * 2
        + [("link down: this node's certificate was revoked", other) for other in others]
    )
