"""Each state of a LAN's election is shown with its reason, in words."""

from __future__ import annotations

from tests.sim.designated_forwarder.lan import Lan, LanNode
from treecast.base.ids import NodeIndex
from treecast.daemon.lan_words import in_words
from treecast.designated_forwarder.election import StateReason


def why(lan: Lan, node: LanNode) -> StateReason:
    (state,) = node.designated_forwarder.ports(lan.now)
    return state.why


def words(lan: Lan, node: LanNode) -> str:
    (state,) = node.designated_forwarder.ports(lan.now)
    return in_words(state, lambda index: f"n{index}")


def test_a_node_alone_listens_then_forwards() -> None:
    lan = Lan()
    node = lan.add(2)
    assert words(lan, node) == "it listens for other nodes on this LAN first"
    lan.run_until(lambda: why(lan, node) is StateReason.SETTLING, 2.0)
    assert words(lan, node) == "about to forward, if no node with a lower index begins at this moment"
    lan.run_until(lambda: why(lan, node) is StateReason.LOWEST, 2.0)
    assert words(lan, node) == "no other node is here"


def test_of_two_nodes_each_says_why_it_forwards_or_does_not() -> None:
    lan = Lan()
    low, high = lan.add(1), lan.add(2)
    lan.run_until(lambda: lan.forwarding() == {1}, 20.0)
    lan.run(1.0)
    assert words(lan, low) == "lowest index of the nodes here that can (also here: n2)"
    assert words(lan, high) == "n1 forwards (lower index)"


def test_a_lower_node_that_comes_later_learns_first() -> None:
    lan = Lan()
    lan.add(2)
    lan.run_until(lambda: lan.forwarding() == {2}, 20.0)
    low = lan.add(1)
    lan.run(5.0)
    assert why(lan, low) is StateReason.LEARNING
    assert words(lan, low) == "n2 forwards until this node knows what the LAN's hosts want"
    seen: set[StateReason] = set()
    while lan.forwarding() != {1}:
        lan.run(0.1)
        seen.add(why(lan, low))
    assert seen <= {StateReason.LEARNING, StateReason.HIGHER_NODE, StateReason.SETTLING, StateReason.LOWEST}


def test_a_node_without_links_and_one_in_a_loop_say_so() -> None:
    lan = Lan()
    node = lan.add(1)
    lan.run(5.0)
    lan.able(node, able=False)
    assert words(lan, node) == "the node has no links, so it has nothing to carry"
    node.reflecting = True
    lan.run(2.0)
    assert why(lan, node) is StateReason.LOOPED
    assert words(lan, node).startswith("its own beacons come back")
    assert in_words(node.designated_forwarder.ports(lan.now)[0], lambda index: str(NodeIndex(index))) == words(
        lan, node
    )
