"""A relay of a planned tree is killed, or sends on nothing or half, while a stream goes by it: all get it whole.

::

      n0, the source -----> two of n1..n6 -----> two each

All are in a full mesh on one switch, each with a bound of two children.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial

import pytest

from lab import Lab
from lab.load import Received, Receiver, Sender
from lab.node import INTERFACE, Overlay, TreecastNode
from lab.node import PORT as UNDERLAY_PORT
from lab.sites import show_logs
from lab.waiting import pause_until, wait_until
from tests.lab.overlay.asking import LIMIT_S, wait_members, wait_received

GROUP, PORT = "239.63.0.1", 5063
NODES, MOST_CHILDREN = 7, 2
TREE_DATAGRAM = 0xC5
RATE_PPS = 1000
BEFORE, AFTER = 1500, 8000
pytestmark = pytest.mark.alone
"""A backup keeps one second: on busy cores a receiver lacked some after a relay was killed, once of 12 times."""
LONGEST_GAP_S = 1.0
"""The gap is far longer than on a machine that does nothing else; a link is given up after seven times as long."""
AFTER_ALL = 1000
MOST_LOST = 1000
"""Nothing is lost where all run as they should: a leaf finds after 0.9 s that half is missing, and its backup has what
came in a second. On a machine that is busy it may find so later; this is half of what is sent in two seconds.
"""
NAMED_LIMIT_S, TRIES = 20.0, 3
"""One from which nothing came at all may be dead: it is named where its link lives on after 10 s."""
UNTIL_PLACED = 3 * RATE_PPS
"""The datagrams after which all have the places that they keep."""
UNTIL_NAMED = 12 * RATE_PPS
"""A node that was silent, and has not returned, would be named."""


@pytest.fixture
def overlay() -> Iterator[Overlay]:
    with Lab() as lab:
        lan = lab.switch()
        made = Overlay([lab.machine(f"n{number}", lan) for number in range(NODES)], lab.directory)
        made.start(options=("--max-children", str(MOST_CHILDREN)))
        yield made
        show_logs(made.nodes)
        made.stop()


def repairs(node: TreecastNode) -> tuple[int, int, int]:
    counters = node.status().counters
    return counters["grafts"], counters["grafts_taken"], counters["retransmissions"]


def receiving(source: TreecastNode, members: list[TreecastNode]) -> dict[str, Receiver]:
    """All members receive the group, and the source knows."""
    receivers = {node.name: Receiver(node.machine, GROUP, PORT, interface=INTERFACE) for node in members}
    wait_members(source, GROUP, set(receivers))
    return receivers


def streaming(source: TreecastNode, members: list[TreecastNode]) -> tuple[dict[str, Receiver], Sender]:
    """The source sends to all members, some of them by others."""
    receivers = receiving(source, members)
    stream = Sender(source.machine, GROUP, PORT, interface=INTERFACE, rate_pps=RATE_PPS, size_bytes=1000)
    wait_until(lambda: any(node.status().children for node in members), LIMIT_S, "the tree is in use")
    return receivers, stream


def wait_more(receiver: Receiver, count: int, limit_s: float = LIMIT_S) -> None:
    wait_received(receiver, receiver.snapshot().received + count, limit_s)


def after_the_last(receivers: dict[str, Receiver], nodes: list[TreecastNode], count: int) -> dict[str, Received]:
    """The accounts of these nodes, when the last of so many datagrams has come."""
    for node in nodes:
        wait_until(partial(has_come, receivers[node.name], count - 1), LIMIT_S, "the last datagram has come")
    return {node.name: receivers[node.name].stop() for node in nodes}


def has_come(receiver: Receiver, number: int) -> bool:
    return any(stream.highest == number for stream in receiver.snapshot().streams)


@pytest.mark.timeout(300)
def test_a_relay_that_is_killed_costs_nobody_a_datagram(overlay: Overlay) -> None:
    source, *members = overlay.nodes
    receivers = receiving(source, members)
    first = Sender(source.machine, GROUP, PORT, interface=INTERFACE, rate_pps=RATE_PPS, count=500, size_bytes=1000)
    assert first.wait(20.0).sent == 500
    wait_until(lambda: any(node.status().children for node in members), LIMIT_S, "the tree is in use")

    count = BEFORE + AFTER
    stream = Sender(source.machine, GROUP, PORT, interface=INTERFACE, rate_pps=RATE_PPS, count=count, size_bytes=1000)
    wait_received(receivers["n1"], 500 + BEFORE)
    before = {node.name: repairs(node) for node in members}
    dead = max(members, key=lambda node: node.status().children)
    orphans = dead.status().children
    dead.kill()
    sent = stream.wait(60.0)
    others = [node for node in members if node is not dead]
    for node in others:
        wait_received(receivers[node.name], 500 + count)
    after = {node.name: repairs(node) for node in others}
    print(
        f"{dead.name} had {orphans} children; (grafts, taken, retransmissions) before {before}, after {after}; {sent}"
    )
    gaps_ms = {}
    for node in others:
        got = receivers[node.name].stop()
        assert (got.received, got.lost, got.duplicated) == (500 + count, 0, 0), node.name
        gaps_ms[node.name] = max(one.longest_gap_ns for one in got.streams if one.received > BEFORE) / 1e6
    print(f"longest gaps, ms: {gaps_ms}")
    assert sum(grafts for grafts, *_ in after.values()) >= orphans > 0
    assert sum(taken for _, taken, _ in after.values()) >= orphans
    assert sum(retransmissions for *_, retransmissions in after.values()) > 0
    assert max(gaps_ms.values()) < 1000 * LONGEST_GAP_S


@pytest.mark.timeout(300)
def test_a_relay_that_leaves_costs_nobody_a_datagram(overlay: Overlay) -> None:
    source, *members = overlay.nodes
    receivers, stream = streaming(source, members)
    wait_more(receivers["n1"], UNTIL_PLACED)
    leaving = max(members, key=lambda node: node.status().children)
    orphans = leaving.status().children
    leaving.stop()
    others = [node for node in members if node is not leaving]
    wait_more(receivers[others[0].name], UNTIL_PLACED)
    count = stream.stop().sent
    got = after_the_last(receivers, others, count)
    copies = {name: (one.received, one.lost, one.duplicated) for name, one in got.items()}
    print(f"{leaving.name} had {orphans} children; {copies}; grafts {[repairs(node) for node in others]}")
    assert orphans > 0
    assert copies == dict.fromkeys(copies, (count, 0, 0))


@contextmanager
def withholding(relay: TreecastNode, chosen: str) -> Iterator[None]:
    """The relay loses these of the tree datagrams that it sends, in the block; all else that it sends arrives."""
    rule = f"udp sport {UNDERLAY_PORT} @th,64,8 {TREE_DATAGRAM} {chosen} counter drop"
    relay.machine.run(["nft", "add table inet withheld"])
    relay.machine.run(["nft", "add chain inet withheld out { type filter hook output priority 0; }"])
    relay.machine.run(["nft", f"add rule inet withheld out {rule}"])
    yield
    listed = relay.machine.run(["nft", "list", "table", "inet", "withheld"]).stdout
    relay.machine.run(["nft", "delete", "table", "inet", "withheld"])
    assert "packets 0 " not in listed, listed


def named(node: TreecastNode) -> set[str]:
    return {problem.subject for problem in node.status().problems if problem.kind == "relay_withholds"}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("chosen", ["", "numgen random mod 2 == 0"], ids=["all", "half"])
def test_a_relay_that_has_its_place_and_withholds_is_left_by_those_below_it_and_named(
    overlay: Overlay, chosen: str
) -> None:
    source, *members = overlay.nodes
    receivers, stream = streaming(source, members)
    wait_received(receivers["n1"], BEFORE)
    relay, orphans = found_withholding(source, members, chosen)
    others = [node for node in members if node is not relay]
    wait_until(lambda: named_by(relay, source, others), NAMED_LIMIT_S, f"one of {orphans} that were below it names it")
    wait_more(receivers["n1"], AFTER_ALL)
    count = stream.stop().sent
    got = after_the_last(receivers, others, count)
    after = {node.name: repairs(node) for node in others}
    print(f"{relay.name} had {orphans} children; (grafts, taken, retransmissions) {after}")
    gaps_ms = {name: max(one.longest_gap_ns for one in total.streams) / 1e6 for name, total in got.items()}
    print(f"longest gaps, ms: {gaps_ms}; lost {[total.lost for total in got.values()]}")
    for name, total in got.items():
        assert total.duplicated == 0, name
        assert total.lost <= MOST_LOST, (name, total.lost)
    assert sum(grafts for grafts, *_ in after.values()) >= orphans > 0
    assert sum(retransmissions for *_, retransmissions in after.values()) > 0
    assert source.status().counters["replans"] >= 1
    assert has_no_children(relay)


def found_withholding(source: TreecastNode, members: list[TreecastNode], chosen: str) -> tuple[TreecastNode, int]:
    """A relay that withholds until the root names it, and how many children it had.

    One that on a busy machine did not run just then, too, is replaced as any that was silent for a moment, and not
    named: then another one withholds.
    """
    for _ in range(TRIES):
        relay = max(members, key=lambda node: node.status().children)
        orphans = relay.status().children
        with withholding(relay, chosen):
            wait_until(partial(has_no_children, relay), LIMIT_S, "the tree is planned without it")
            with suppress(TimeoutError):
                wait_until(partial(named_by, relay, source, [source]), NAMED_LIMIT_S, "the root names it")
                return relay, orphans
    raise TimeoutError(f"none of {TRIES} is named")


def has_no_children(node: TreecastNode) -> bool:
    return node.status().children == 0


def named_by(relay: TreecastNode, root: TreecastNode, nodes: list[TreecastNode]) -> bool:
    subject = f"{relay.name} of {root.name}"
    return any(subject in named(node) for node in nodes)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("still_s", [0.15, pytest.param(1.5, marks=pytest.mark.soak)])
def test_a_relay_that_stood_still_costs_nothing_and_is_named_by_nobody(overlay: Overlay, still_s: float) -> None:
    source, *members = overlay.nodes
    receivers, stream = streaming(source, members)
    wait_more(receivers["n1"], UNTIL_PLACED)
    relay = max(members, key=lambda node: node.status().children)
    relay.process.send_signal(signal.SIGSTOP)
    pause_until(time.monotonic() + still_s)
    relay.process.send_signal(signal.SIGCONT)
    wait_until(partial(has_no_children, relay), LIMIT_S, "the tree is planned without it")
    wait_more(receivers["n1"], UNTIL_NAMED, 3 * LIMIT_S)
    count = stream.stop().sent
    got = after_the_last(receivers, members, count)
    assert [(one.received, one.lost, one.duplicated) for one in got.values()] == [(count, 0, 0)] * len(members)
    assert sum(node.status().counters["grafts"] for node in members) > 0
    assert not any(named(node) for node in overlay.nodes)
