"""The diary of a newcomer: three machines, and every mistake on the way. None is silent, none needs more than its line.

Each page makes a mistake, finds its line on stderr and its problem in ``status``, mends it, and finds the problem over.
``test_peers_that_are_wrong`` has the pages on ``--peer``, ``tests/lab/switch/test_leased_interface`` one on bridges.
"""

from __future__ import annotations

import time

import pytest

from lab import Lab, wait_until
from lab.node import INTERFACE, PROGRAM, Overlay, TreecastNode
from lab.sites import show_logs
from treecast.adapters import storage
from treecast.api.client import fetch_peers, fetch_status
from treecast.identity.node import NodeRequest

LIMIT_S = 45.0  # a certificate that is about to end is waited for
DAY_S = 86_400
CERTIFICATE_LEFT_S = 20.0


def present(node: TreecastNode) -> dict[str, str]:
    """The problems that ``status`` shows: text by kind."""
    return {problem.kind: problem.text for problem in fetch_status(node.directory).problems}


def meets(node: TreecastNode, kind: str, *words: str) -> None:
    """The problem is on top of status and a line on stderr, with these words in it."""
    what = f"{node.name} has the problem {kind} with {', '.join(words)}"
    wait_until(lambda: all(word in present(node).get(kind, "") for word in words), LIMIT_S, what)
    wait_line(node, kind, "level=warning", *words)


def is_over(node: TreecastNode, kind: str) -> None:
    """The problem is gone from status, and a line says so."""
    wait_until(lambda: kind not in present(node), LIMIT_S, f"{node.name} has the problem {kind} no more")
    wait_line(node, kind, "problem over")


def wait_line(node: TreecastNode, kind: str, *words: str) -> None:
    """The log has a line of the problem with these words: it is written a moment after ``status`` has it."""

    def is_there() -> bool:
        lines = node.log.read_text().splitlines()
        return any(f"problem={kind}" in line and all(word in line for word in words) for line in lines)

    wait_until(is_there, LIMIT_S, f"{node.name} has a line of {kind} with {', '.join(words)}")


def sentence_of(node: TreecastNode, *arguments: object) -> str:
    """The sentence that a failing verb prints on the node's machine."""
    done = node.machine.run([PROGRAM, *(str(argument) for argument in arguments)], check=False)
    assert (done.returncode, done.stdout) == (1, ""), done
    assert done.stderr.startswith("treecast: ") and done.stderr.count("\n") == 1, done.stderr
    return done.stderr


@pytest.mark.timeout(240)
def test_every_mistake_of_a_newcomer_is_a_line_and_a_problem_until_it_is_mended() -> None:
    with Lab() as lab:
        lan = lab.switch()
        net = Overlay([lab.machine(name, lan) for name in ("alice", "bob")], lab.directory)
        alice, bob = net.nodes
        third = lab.machine("carol", lan)
        request = NodeRequest("carol", None, None, 1)
        storage.add_node(
            net.network, net.directory / "carol", request, time.time() - DAY_S + CERTIFICATE_LEFT_S
        )  # made a day ago: its certificate is about to end
        carol = TreecastNode(third, net.directory / "carol")
        nodes = (alice, bob, carol)
        try:
            starting(alice, bob, carol)
            twice_on_one_machine(alice)  # this and the next, while a certificate runs out
            hands_on_the_interface(bob)
            certificate_ends(net, carol, (alice, bob))
            unplugged(lab, bob, (alice, carol))
            interface_deleted(alice)
        finally:
            show_logs(nodes)


def starting(alice: TreecastNode, bob: TreecastNode, carol: TreecastNode) -> None:
    """The first node is alone and says nothing of it; an MTU that the machine does not have is said."""
    alice.start()
    alice.wait_ready()
    carol.start(alice.endpoint)
    bob.start(alice.endpoint, options=("--underlay-mtu", "9000"))
    for node in (bob, carol):
        node.wait_ready()
    for node in (alice, bob, carol):
        node.wait_linked({"alice", "bob", "carol"} - {node.name})
    assert present(alice).keys() <= {"certificate_ends"}
    meets(bob, "underlay_mtu_too_big", "eth0", "1500", "--underlay-mtu")
    bob.stop()
    bob.start(alice.endpoint)
    bob.wait_ready()
    bob.wait_linked({"alice", "carol"})


def certificate_ends(net: Overlay, carol: TreecastNode, others: tuple[TreecastNode, ...]) -> None:
    """A certificate runs out while the node runs: all say so, and how to renew it."""
    for node in others:
        meets(node, "peer_refused", "carol", "expired", "node renew carol")
    meets(carol, "certificate_ends", "expired", "node renew carol")
    meets(carol, "refused_by_peer", "expired", "node renew carol")
    wait_until(lambda: all(peer.state != "up" for peer in fetch_peers(carol.directory)), LIMIT_S, "its links are down")
    carol.stop()
    assert "all_links_lost" not in carol.log.read_text(), "no cable is to blame"
    assert "node renew carol" in sentence_of(carol, "up", carol.directory)
    carol.machine.run([PROGRAM, "node", "renew", "carol", "--network", net.network, "--dir", carol.directory])
    carol.start(others[0].endpoint)
    carol.wait_ready()
    carol.wait_linked({node.name for node in others})
    for node in others:
        is_over(node, "peer_refused")


def twice_on_one_machine(alice: TreecastNode) -> None:
    """A second start is refused with what to do."""
    assert "a node is running" in sentence_of(alice, "up", alice.directory)


def unplugged(lab: Lab, bob: TreecastNode, others: tuple[TreecastNode, ...]) -> None:
    """The cable is out: one problem, not one for each node."""
    lab.block(bob.machine)
    meets(bob, "all_links_lost", "alice", "carol", "cable")
    lab.unblock(bob.machine)
    bob.wait_linked({node.name for node in others})
    is_over(bob, "all_links_lost")


def hands_on_the_interface(bob: TreecastNode) -> None:
    """Somebody takes the interface down, and up again."""
    bob.machine.run(["ip", "link", "set", INTERFACE, "down"])
    meets(bob, "interface_down", INTERFACE, "ip link set")
    bob.machine.run(["ip", "link", "set", INTERFACE, "up"])
    is_over(bob, "interface_down")
    wait_until(lambda: present(bob).keys() <= {"peer_refused"}, LIMIT_S, "all is well again, but for carol")


def interface_deleted(alice: TreecastNode) -> None:
    """A node without its interface is none: it ends with a sentence."""
    alice.machine.run(["ip", "link", "del", INTERFACE])
    wait_until(lambda: not alice.running, LIMIT_S, "the node has ended")
    assert alice.process.wait(LIMIT_S) == 1
    assert any(line.startswith("treecast: ") and INTERFACE in line for line in alice.log.read_text().splitlines())
