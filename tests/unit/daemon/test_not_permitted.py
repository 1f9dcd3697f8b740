"""Groups that a certificate does not permit are said at the node that sends them, and at the one that joined them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Network, ip_address
from pathlib import Path

import pytest

from tests.sim.engine.test_permitted_groups import ALLOWED, OTHER, SOME, renew, two
from treecast.api.records import Group
from treecast.base.flows import CountedFlow, Flow
from treecast.base.problems import Problem
from treecast.base.time import Instant
from treecast.cli.group_tables import print_groups
from treecast.daemon.group_answers import GroupAnswers
from treecast.daemon.not_permitted import LOOK_INTERVAL, NotPermitted
from treecast.sim.world import MAY_BRIDGE, SimNode, World

NOBODY = "239.3.3.3"
HERE = Path("/etc/treecast/n0")


class Numbers:
    """A data plane's numbers: one host here sends to each of these groups."""

    def __init__(self, node: SimNode, *groups: str, silent_s: float = 0.0) -> None:
        source, me = ip_address("10.77.0.9"), node.index
        self._sent = [
            CountedFlow(0, ip_address(group), source, me, 0, 10, 1000, 60.0, 10, 1000, silent_s, 1.0, 800.0)
            for group in groups
        ]

    def sent_by_flow(self) -> Iterator[tuple[Flow, tuple[int, int]]]:
        return iter(())

    def sent_flows(self) -> Iterator[CountedFlow]:
        return iter(self._sent)

    def delivered_flows(self) -> Iterator[CountedFlow]:
        return iter(())


def found(node: SimNode, plane: Numbers) -> list[Problem]:
    return list(NotPermitted(HERE, node.engine.view, plane).problems(node.now))


def test_a_source_says_which_groups_its_certificate_forbids_and_the_command_that_permits_them() -> None:
    world, sender, receiver = two()
    plane = Numbers(sender, ALLOWED, OTHER, NOBODY, "224.0.0.251")
    assert found(sender, plane) == []
    renew(world, sender, replace(MAY_BRIDGE, send_to=SOME), 1)
    (problem,) = found(sender, plane)
    name = sender.identity.certificate.name
    assert (problem.kind, problem.subject) == ("send_not_permitted", name)
    assert f"send to the group {OTHER}, which" in problem.text, "nobody wants the third, and all get the last"
    assert f"run treecast node renew {name} --send 239.1.0.0/16,{OTHER} (or" in problem.text
    assert f"put the new node.cert into {HERE}" in problem.text
    assert found(receiver, Numbers(receiver)) == []
    assert found(sender, Numbers(sender, OTHER, silent_s=61.0)) == []


def test_a_receiver_says_which_groups_its_certificate_forbids() -> None:
    world, sender, receiver = two()
    receiver.report("224.0.0.251")
    renew(world, receiver, replace(MAY_BRIDGE, receive_from=()), 1)
    (problem,) = found(receiver, Numbers(receiver))
    name = receiver.identity.certificate.name
    assert (problem.kind, problem.subject) == ("receive_not_permitted", name)
    assert f"joined the groups {ALLOWED}, {OTHER}, which" in problem.text
    assert f"treecast node renew {name} --receive {ALLOWED},{OTHER} (or" in problem.text
    assert found(sender, Numbers(sender, OTHER)) == [], "it may send there"
    renew(world, receiver, MAY_BRIDGE, 2)
    assert found(receiver, Numbers(receiver)) == []


def test_groups_are_looked_at_every_few_seconds() -> None:
    world, sender, _ = two(sender=replace(MAY_BRIDGE, send_to=SOME))
    watch = NotPermitted(HERE, sender.engine.view, Numbers(sender, OTHER))
    (problem,) = watch.problems(Instant(100.0))
    renew(world, sender, replace(MAY_BRIDGE, send_to=(IPv4Network("239.0.0.0/8"),)), 1)
    assert list(watch.problems(Instant(100.0 + LOOK_INTERVAL / 2))) == [problem]
    assert list(watch.problems(Instant(100.0 + LOOK_INTERVAL))) == []


def shown(world: World, node: SimNode, capsys: pytest.CaptureFixture[str]) -> list[str]:
    rows = GroupAnswers(node.engine.view, Numbers(node, OTHER), {0: "tap"}, node.now).groups()
    print_groups([row for row in rows if isinstance(row, Group)], [])
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines() if OTHER in line]


def test_groups_show_what_a_certificate_forbids_as_that_and_as_sent_to_nobody(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world, sender, receiver = two()
    name = receiver.identity.certificate.name
    group, sent = shown(world, sender, capsys)
    assert (f"{OTHER} {name} no" in group, "1 node" in sent) == (True, True)
    renew(world, sender, replace(MAY_BRIDGE, send_to=SOME), 1)
    group, sent = shown(world, sender, capsys)
    assert (f"{OTHER} {name} no" in group, "not permitted" in sent) == (True, True)
    renew(world, sender, MAY_BRIDGE, 2)
    renew(world, receiver, replace(MAY_BRIDGE, receive_from=SOME), 1)
    for node, local in ((sender, "no"), (receiver, "yes")):
        group, sent, *_ = shown(world, node, capsys)
        assert (f"{OTHER} {name} (not permitted) {local}" in group, "not permitted" in sent) == (True, True)
