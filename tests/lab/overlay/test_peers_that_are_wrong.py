"""Every mistake with ``--peer`` that a newcomer makes: a line in the log, and a problem on top of ``status``."""

from __future__ import annotations

from lab import Lab, wait_until
from lab.node import PORT, Overlay, TreecastNode, create_network
from treecast.api.client import fetch_peers, fetch_status

LIMIT_S = 15.0


def kinds(node: TreecastNode) -> dict[str, str]:
    """The present problems: kind by subject."""
    return {problem.subject: problem.kind for problem in fetch_status(node.directory).problems}


def test_a_peer_that_is_wrong_is_a_line_and_a_problem_with_its_reason() -> None:
    with Lab() as lab:
        lan = lab.switch()
        n0, stranger = (lab.machine(name, lan) for name in ("n0", "stranger"))
        net = Overlay([n0], lab.directory)
        other = TreecastNode.add(stranger, create_network(lab.directory / "other", "other"), lab.directory)
        node, nobody = net[0], f"{n0.underlay_ipv4}:{PORT + 1}"
        beyond, subnet = "203.0.113.7:7700", f"{n0.ports[0].ipv4.network.broadcast_address}:{PORT}"
        peers = (nobody, node.endpoint, other.endpoint, "nowhere.invalid", beyond, subnet)
        node.start(*peers, options=["--log-level", "debug"])
        other.start(node.endpoint)
        wanted = {
            nobody: "peer_unreachable",
            beyond: "peer_unreachable",
            subnet: "peer_unreachable",
            node.endpoint: "peer_is_this_node",
            other.endpoint: "peer_of_another_network",
            f"nowhere.invalid:{PORT}": "peer_name_unresolved",
        }
        for one in (node, other):
            one.wait_ready()
        wait_until(lambda: kinds(node) == wanted, LIMIT_S, "all six are problems")
        rows = {peer.name: (peer.state, peer.endpoint) for peer in fetch_peers(node.directory)}
        assert rows[f"nowhere.invalid:{PORT}"] == ("name unresolved", "")
        assert rows.keys() == wanted.keys(), "each of them is a row of peers"
        wait_until(lambda: kinds(other) == {node.endpoint: "peer_of_another_network"}, LIMIT_S, "it is told so too")
        node.wait_logged(f"peer {beyond} cannot be tried: this machine has no route there")
        node.wait_logged(f"peer {subnet} cannot be tried: that is a subnet's broadcast address")
        node.wait_logged(f"peer {nobody} does not answer")
        for subject, kind in wanted.items():
            node.wait_logged(f"problem={kind} subject={subject}")
        for subject in (nobody, node.endpoint, other.endpoint):
            node.wait_logged(f'level=debug event="handshake begun" peer={subject} addresses={subject}')
        node.wait_logged(f'level=debug event="handshake refused" addresses={node.endpoint} reason=handshake_reflected')
        node.stop()
        other.stop()


def test_a_node_that_listens_on_loopback_only_says_so_of_a_peer_elsewhere() -> None:
    with Lab() as lab:
        lan = lab.switch()
        net = Overlay([lab.machine(name, lan) for name in ("n0", "n1")], lab.directory)
        node, other = net.nodes
        other.start()
        node.start(other.endpoint, options=["--listen", f"127.0.0.1:{PORT}"])
        for one in (node, other):
            one.wait_ready()
        wait_until(lambda: kinds(node) == {other.endpoint: "peer_unreachable"}, LIMIT_S, "the peer is a problem")
        node.wait_logged(f"peer {other.endpoint} cannot be tried: this node listens on 127.0.0.1 only")
        net.stop()
