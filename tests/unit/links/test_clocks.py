"""Clocks of other nodes, compared with this one's."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

from tests.unit.links.shaking import endpoint_of
from treecast.base.ids import NodeIndex
from treecast.base.time import Instant
from treecast.identity.certificate import CertificateContent, issue
from treecast.identity.keys import NodeKeys, SigningKey
from treecast.identity.network import Network
from treecast.links.clocks import clock_doubt, differing
from treecast.links.peers import Path, Peer
from treecast.links.states import LinkState

CA = SigningKey(bytes(range(32)))
NETWORK = Network("test", CA.public, IPv4Network("10.77.0.0/16"), IPv6Network("fd00::/64"), bytes(32))
KEYS = NodeKeys.from_seeds(bytes(32), bytes([1] * 32))
NOW, WALL_CLOCK_MS = Instant(10.0), 1_000_000


def peer_a_minute_ahead(state: LinkState) -> Peer:
    node = NodeIndex(2)
    claims = CertificateContent(NETWORK.id, node, "n2", KEYS.static.public, KEYS.signing.public, None, None, 0, 10**9)
    path = Path(0, endpoint_of(2))
    offset_s = WALL_CLOCK_MS / 1000 - NOW + 60.0
    return Peer(node, issue(CA, claims), 1, path, state, unix_offset_s=offset_s, known_offset_s=offset_s)


def test_the_clock_of_a_node_counts_while_its_link_is_up() -> None:
    peers = [peer_a_minute_ahead(LinkState.UP)]
    assert clock_doubt(NOW, WALL_CLOCK_MS, peers).startswith("the clock of n2 says ")
    assert [problem.subject for problem in differing(NOW, WALL_CLOCK_MS, peers)] == ["n2"]


def test_the_clock_of_a_node_without_a_link_says_nothing() -> None:
    for state in LinkState:
        peers = [peer_a_minute_ahead(state)] if state is not LinkState.UP else []
        assert clock_doubt(NOW, WALL_CLOCK_MS, peers) == ""
        assert list(differing(NOW, WALL_CLOCK_MS, peers)) == []
