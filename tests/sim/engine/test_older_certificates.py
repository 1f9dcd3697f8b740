"""A member that has an older certificate with the same keys gets no right by it that the newest one does not have."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

from tests.sim.engine.meshes import publish
from tests.sim.engine.test_floods_of_members import host_of
from tests.sim.placed_hosts import hosts_elsewhere
from treecast.base.problems import Problem
from treecast.engine.older_certificates import SHOWN_LIFETIME
from treecast.identity.certificate import Certificate
from treecast.identity.rights import Rights, Role
from treecast.links.calendar import day_of
from treecast.sim.world import MAY_BRIDGE, SimNode, World
from treecast.wire.advertisement import HostContent, Kind

HOSTS = 20
RELAYS = Rights(roles=Role.RELAY)
GROUP = "239.1.1.1"
OTHER_GROUPS = (IPv4Network("239.9.0.0/16"),)


def show(world: World, node: SimNode, certificate: Certificate) -> None:
    """The node shows this certificate in NODE and in new handshakes from now on, whatever its serial."""
    node.carry_out(node.engine.renew(node.now, certificate))
    world.run(0.5)


def two() -> tuple[World, SimNode, SimNode]:
    world = World(1)
    first = world.add()
    second = world.add(peer=first)
    world.run_until(lambda: first.is_linked(second) and second.is_linked(first), 20.0)
    world.run(1.0)
    return world, first, second


def serial(node: SimNode, other: SimNode) -> int:
    """The serial of the certificate by which a node judges the other one."""
    known = node.engine.view.certificate(other.index)
    assert known is not None
    return known.serial


def test_a_member_that_shows_two_by_turns_has_its_hosts_learned_anew_once() -> None:
    world, first, member = two()
    older = member.identity.certificate
    for number in range(HOSTS):
        publish(member, Kind.HOST, host_of(number), HostContent((), 0))
    world.run(2.0)
    assert len(hosts_elsewhere(first)) == 1 + HOSTS
    newer = world.certify(member.index, member.identity.keys, rights=RELAYS)
    refused = []
    for _ in range(5):
        for certificate in (newer, older):
            show(world, member, certificate)
            refused.append(first.engine.view.drops()["claim_without_role"])
            assert len(hosts_elsewhere(first)) == 1
    assert refused == [HOSTS] * 10
    assert serial(first, member) == newer.serial
    told = [problem.text for problem in first.engine.problems(first.now) if problem.kind == "claims_without_role"]
    assert len(told) == 1 and "its newest certificate does not let it carry hosts" in told[0]


def named(node: SimNode) -> list[Problem]:
    return [problem for problem in node.engine.problems(node.now) if problem.kind == "older_certificate"]


def test_a_node_that_goes_on_showing_the_certificate_before_is_named_until_a_minute_after_it_shows_the_newest() -> None:
    world, first, member = two()
    before = member.identity.certificate
    newer = world.certify(member.index, member.identity.keys)
    show(world, member, newer)
    world.run(SHOWN_LIFETIME)
    assert named(first) == []
    show(world, member, before)
    for _ in range(3):
        assert [problem.subject for problem in named(first)] == ["n2"]
        assert "run treecast node renew n2 where the CA key is" in named(first)[0].text
        world.run(SHOWN_LIFETIME)
    show(world, member, newer)
    world.run(SHOWN_LIFETIME)
    assert named(first) == []
    show(world, member, before)
    member.stop()
    world.run_until(lambda: not first.knows(member), 120.0)
    assert named(first) == []


def test_groups_that_a_renewal_took_do_not_come_back_with_the_certificate_before() -> None:
    world, first, member = two()
    older = member.identity.certificate
    member.report(GROUP)
    world.run_until(lambda: first.subscribes(member, GROUP), 5.0)
    show(world, member, world.certify(member.index, member.identity.keys, rights=replace(MAY_BRIDGE, receive_from=())))
    assert not first.engine.view.may_receive(member.index, IPv4Address(GROUP))
    show(world, member, older)
    assert not first.engine.view.may_receive(member.index, IPv4Address(GROUP))


def test_a_node_that_starts_with_the_certificate_before_has_the_rights_of_the_newest() -> None:
    """The older one is in its handshake, and in its first advertisement in another epoch."""
    world, first, member = two()
    newer = world.certify(member.index, member.identity.keys, rights=replace(MAY_BRIDGE, send_to=OTHER_GROUPS))
    show(world, member, newer)
    again = world.restart(member, peer=first)
    assert again.identity.certificate.serial < newer.serial
    world.run_until(lambda: first.is_linked(again) and again.is_linked(first), 20.0)
    assert [known.certificate for known in first.engine.view.known(first.now)] == [newer]
    assert serial(first, again) == newer.serial
    world.run(5.0)
    assert serial(first, again) == newer.serial
    assert first.is_linked(again) and again.is_linked(first)
    further = world.certify(member.index, member.identity.keys)
    show(world, again, further)
    assert serial(first, again) == further.serial


def test_a_certificate_that_outlives_its_renewal_is_none_when_that_has_ended() -> None:
    world, first, member = two()
    newer = world.certify(member.index, member.identity.keys, 30.0)
    show(world, member, newer)
    world.run(31.0)
    again = world.restart(member, peer=first)
    assert again.identity.certificate.not_after_s > newer.not_after_s
    world.run_until(lambda: not first.is_linked(again), 60.0)
    world.run(20.0)
    assert not first.is_linked(again)
    told = {problem.kind: problem.text for node in (first, again) for problem in node.engine.problems(node.now)}
    assert f"its certificate expired on {day_of(newer.not_after_s)}" in told["peer_refused"]
    assert "it knows a newer certificate of this node than the one here, which has expired" in told["refused_by_peer"]
    assert "treecast node renew n2" in told["refused_by_peer"]
    show(world, again, world.certify(member.index, member.identity.keys))
    world.run_until(lambda: first.is_linked(again) and again.is_linked(first), 60.0)
