"""The table of others' hosts when it is full: who makes room for whom, and what comes back when there is room."""

from __future__ import annotations

from random import Random

import pytest

from tests.unit.discovery.speaking import OTHER, THIRD, Lan, claim, mac
from treecast.base.commands import RemoveHost, SetHost
from treecast.base.ids import NodeIndex

MOST = 8
FOURTH = NodeIndex(4)


@pytest.fixture
def lan(monkeypatch: pytest.MonkeyPatch) -> Lan:
    monkeypatch.setattr("treecast.discovery.remote_hosts.MAX_REMOTE_HOSTS", MOST)
    return Lan()


def owners(lan: Lan) -> dict[int, NodeIndex]:
    """The node of each host, by the number that its MAC ends with."""
    return {key[1].packed[-1]: host.node for key, host in lan.discovery.remote_hosts().items()}


def fill(lan: Lan, node: NodeIndex, first: int, count: int) -> None:
    for number in range(first, first + count):
        lan.learn(node, mac(number), claim())


def test_the_newest_host_of_who_has_most_makes_room_for_who_has_few(lan: Lan) -> None:
    fill(lan, OTHER, 0, MOST)
    commands = lan.learn(THIRD, mac(100), claim("10.1.0.1"))
    assert commands == [RemoveHost(0, mac(MOST - 1)), SetHost(0, mac(100), THIRD)]
    assert owners(lan) == {**dict.fromkeys(range(MOST - 1), OTHER), 100: THIRD}
    assert lan.counted() == {"remote_hosts_full": 1}


def test_members_that_fill_the_table_together_leave_each_other_its_even_share(lan: Lan) -> None:
    fill(lan, OTHER, 0, MOST)
    fill(lan, THIRD, 20, MOST)
    fill(lan, FOURTH, 40, MOST)
    counts = [list(owners(lan).values()).count(node) for node in (OTHER, THIRD, FOURTH)]
    assert sum(counts) == MOST
    assert max(counts) - min(counts) <= 1


def test_who_has_as_many_takes_no_place_of_another(lan: Lan) -> None:
    fill(lan, OTHER, 0, MOST // 2)
    fill(lan, THIRD, 20, MOST // 2)
    before = owners(lan)
    assert lan.learn(THIRD, mac(99), claim()) == []
    assert owners(lan) == before


def test_one_host_that_several_claim_takes_a_place_for_each(lan: Lan) -> None:
    nodes = [NodeIndex(number) for number in range(2, 2 + 2 * MOST)]
    for node in nodes:
        lan.learn(node, mac(1), claim(sequence=int(node)))
    assert len(lan.discovery.remote_hosts()) == MOST
    assert lan.counted()["remote_hosts_full"] == len(nodes) - MOST
    for node in nodes:
        lan.learn(node, mac(1), None)
    assert len(lan.discovery.remote_hosts()) == 0


def test_what_is_there_is_renewed_in_a_full_table(lan: Lan) -> None:
    fill(lan, OTHER, 0, MOST)
    lan.learn(OTHER, mac(0), claim("10.1.0.9", sequence=1))
    assert [str(address) for address in lan.addresses(mac(0))] == ["10.1.0.9"]
    assert lan.counted() == {}


def test_who_was_left_out_is_named_when_there_is_room_and_not_before(lan: Lan) -> None:
    fill(lan, OTHER, 0, MOST + 1)
    fill(lan, THIRD, 20, 1)
    assert lan.discovery.take_left_out(lan.now) is None
    deadline = lan.discovery.next_deadline()
    assert deadline is None or deadline > lan.now
    for number in range(3):
        lan.learn(OTHER, mac(number), None)
    lan.learn(FOURTH, mac(40), claim())
    assert lan.discovery.take_left_out(lan.now) == OTHER
    assert lan.discovery.take_left_out(lan.now) is None, "all that it claims is learned then"
    for number in (MOST - 1, MOST):
        lan.learn(OTHER, mac(number), claim())
    assert lan.discovery.take_left_out(lan.now) is None


def test_a_node_that_is_gone_is_not_learned_anew(lan: Lan) -> None:
    fill(lan, OTHER, 0, MOST + 1)
    lan.learn(OTHER, mac(0), None)
    lan.discovery.uncertify(OTHER)
    assert lan.discovery.take_left_out(lan.now) is None


def test_the_table_is_never_over_full_whatever_comes(lan: Lan) -> None:
    rng = Random(5)
    for _ in range(3_000):
        node, number = NodeIndex(rng.randrange(2, 7)), rng.randrange(30)
        lan.learn(node, mac(number), claim(sequence=rng.randrange(3)) if rng.random() < 0.6 else None)
        remote = lan.discovery.remote_hosts()
        claims = sum(len(remote.claimants(key)) for key in list(remote.keys()))
        assert claims == len(remote) <= MOST
