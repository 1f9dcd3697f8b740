"""Which claims of other nodes to hosts count: by certificate, and by sequence in whatever order they come."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.discovery.speaking import H1, ME, OTHER, OWN, THIRD, Lan, claim, mac
from treecast.base.addresses import MacAddress
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_REFUSED_CLAIMS
from treecast.base.time import Instant
from treecast.discovery.certified import Given
from treecast.discovery.remote_hosts import MAX_SEQUENCE, SEQUENCE_STEP, RemoteHost, RemoteHosts

THEIRS = MacAddress.parse("02:54:00:00:00:02")
KEY = (0, H1)


def remote(claims: dict[int, int]) -> RemoteHosts:
    """Claims to one host: node to sequence, in this order."""
    hosts = RemoteHosts()
    for node, sequence in claims.items():
        hosts.put(KEY, NodeIndex(node), RemoteHost(NodeIndex(node), (), sequence, Instant(0.0)))
    return hosts


def place(claims: dict[int, int]) -> int:
    found = remote(claims).get(KEY)
    assert found is not None
    return found.node


@dataclass(frozen=True)
class Case:
    claims: dict[int, int]
    counts: int


@pytest.mark.parametrize(
    "case",
    [
        Case({2: MAX_SEQUENCE}, 2),
        Case({2: 0, 3: SEQUENCE_STEP}, 3),
        Case({2: 0, 3: SEQUENCE_STEP + 1}, 2),
        Case({3: MAX_SEQUENCE, 2: 500, 4: 501}, 4),
        Case({2: 0, 3: MAX_SEQUENCE, 4: 10, 5: 20}, 5),
        Case({4: 7, 3: 7}, 3),
        Case({4: MAX_SEQUENCE, 3: MAX_SEQUENCE, 9: 0}, 9),
    ],
)
def test_the_highest_sequence_that_was_reached_in_steps_counts(case: Case) -> None:
    assert place(case.claims) == case.counts


SEQUENCES = st.one_of(st.integers(0, 60), st.integers(MAX_SEQUENCE - 40, MAX_SEQUENCE), st.integers(0, MAX_SEQUENCE))
CLAIMS = st.dictionaries(st.integers(2, 9), SEQUENCES, min_size=1, max_size=6)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(CLAIMS, st.randoms(use_true_random=False))
def test_which_claim_counts_does_not_depend_on_their_order(claims: dict[int, int], rng: Random) -> None:
    nodes = list(claims)
    rng.shuffle(nodes)
    assert place({node: claims[node] for node in nodes}) == place(claims)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(CLAIMS, SEQUENCES)
def test_each_node_sees_the_same_whether_a_claim_is_its_own_or_another_s(claims: dict[int, int], own: int) -> None:
    others = remote(claims).outranking(KEY, (own, -ME))
    assert (others.node if others else ME) == place({**claims, ME: own})


@settings(max_examples=300, deadline=None, derandomize=True)
@given(SEQUENCES)
def test_who_has_the_host_now_finds_a_sequence_that_counts_more_than_another_s(sequence: int) -> None:
    hosts = remote({2: sequence})
    assert hosts.outranking(KEY, (hosts.next_sequence(KEY), -ME)) is None


def test_a_claim_that_jumps_ahead_of_this_node_s_host_takes_it_not_and_is_counted() -> None:
    lan = Lan()
    lan.announce(H1, "10.1.0.1")
    lan.learn(OTHER, H1, claim("10.1.0.1", sequence=MAX_SEQUENCE))
    assert (lan.view(H1).node, lan.view(H1).moves) == (ME, 0)
    assert lan.published[KEY] == claim("10.1.0.1")
    assert lan.counted() == {"host_sequence_ahead": 1}
    lan.learn(THIRD, H1, claim("10.1.0.1", sequence=1))
    assert lan.view(H1).node == THIRD, "a move in between counts"


def test_a_jump_to_this_node_s_own_interface_behind_a_bridge_changes_nothing() -> None:
    lan = Lan()
    lan.learn(OTHER, OWN, claim("10.77.0.1", sequence=MAX_SEQUENCE))
    assert lan.published[0, OWN].sequence == 0
    assert lan.view(OWN).moves == 0


def test_a_node_without_the_role_claims_its_own_mac_with_its_own_addresses_alone() -> None:
    lan = Lan()
    lan.certify(OTHER, THEIRS, "10.77.0.2", "fd00:77::2", bridges=False)
    lan.learn(OTHER, THEIRS, claim("10.77.0.2", "fd00:77::2", str(THEIRS.link_local)))
    assert lan.counted() == {}
    lan.learn(OTHER, THEIRS, claim("10.77.0.2", "10.1.0.1", sequence=1))
    assert [str(address) for address in lan.addresses(THEIRS)] == ["10.77.0.2"]
    lan.learn(OTHER, THEIRS, claim(), vlan=7)
    lan.learn(OTHER, H1, claim())
    assert {host.mac for host in filter(None, lan.discovery.hosts(lan.now))} == {OWN, THEIRS}
    assert lan.counted() == {"claim_without_role": 3}


def test_no_node_claims_the_certified_address_of_another_under_a_host_of_its_own() -> None:
    lan = Lan()
    lan.certify(THIRD, mac(9), "10.77.0.3")
    lan.learn(OTHER, H1, claim("10.1.0.1", "10.77.0.3"))
    assert [str(address) for address in lan.addresses(H1)] == ["10.1.0.1"]
    assert lan.counted() == {"address_of_a_node": 1}


def test_a_node_that_claims_without_the_role_is_one_problem_that_names_it_until_it_ends() -> None:
    lan = Lan()
    lan.certify(OTHER, THEIRS, bridges=False)
    for number in range(2 * MAX_REFUSED_CLAIMS):
        lan.learn(OTHER, mac(number), claim())
    (problem,) = lan.discovery.problems(lan.now, lambda node: f"node{node}")
    assert (problem.kind, problem.subject) == ("claims_without_role", "node2")
    assert f"{mac(0)} and at least {MAX_REFUSED_CLAIMS - 1} others" in problem.text
    assert "treecast node renew node2 --role bridge,relay" in problem.text
    for number in range(2 * MAX_REFUSED_CLAIMS):
        lan.learn(OTHER, mac(number), None)
    assert list(lan.discovery.problems(lan.now, str)) == []
    lan.learn(OTHER, H1, claim())
    lan.discovery.uncertify(OTHER)
    assert list(lan.discovery.problems(lan.now, str)) == [], "nor of a node that is gone"


def test_a_node_without_the_role_publishes_its_own_machine_alone_and_its_hosts_when_it_gets_it() -> None:
    lan = Lan()
    own = (lan.addresses(OWN)[0],)
    lan.discovery.certify_own(Given(OWN, own, bridges=False))
    lan.announce(H1, "10.1.0.1")
    lan.announce(OWN, "10.1.0.7")
    assert lan.published == {(0, OWN): claim("10.77.0.1")}
    assert lan.counted() == {"claim_without_role": 1}
    (problem,) = lan.discovery.problems(lan.now, lambda node: f"node{node}")
    assert (problem.kind, problem.subject) == ("hosts_without_role", "this machine")
    assert f"the host {H1} behind this node's interface" in problem.text
    assert f"treecast node renew node{ME} --role bridge,relay" in problem.text
    lan.discovery.certify_own(Given(OWN, own, bridges=True))
    lan.settle()
    assert list(lan.discovery.problems(lan.now, str)) == []
    assert lan.published == {(0, OWN): claim("10.1.0.7", "10.77.0.1"), KEY: claim("10.1.0.1")}
    lan.discovery.certify_own(Given(OWN, own, bridges=False))
    lan.settle()
    assert lan.published == {(0, OWN): claim("10.77.0.1")}
