"""A node has as much as it may: what is over is refused and counted, and it is named until it has less."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface

import pytest

from tests.unit.broadcast.test_broadcast import CA, NETWORK, Node, advertisement, keys_of
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_NAMED_OVER_QUOTA
from treecast.base.membership import ANY_SOURCE, FilterMode, SourceFilter
from treecast.base.problems import Problem
from treecast.base.time import Instant
from treecast.broadcast import quotas
from treecast.broadcast.quotas import DEFAULT_QUOTA, NAMED_FOR, OverQuota
from treecast.broadcast.store import WITHDRAWN_LIFETIME
from treecast.identity.certificate import CertificateContent, issue
from treecast.identity.rights import DEFAULT_RIGHTS, Rights
from treecast.wire.advertised_groups import GroupsContent, ListedGroup, chunk_key
from treecast.wire.advertisement import HostContent, Kind, NodeContent, emit
from treecast.wire.control import Acknowledge, Flood

ORIGIN = 5


def certified(sequence: int, rights: Rights) -> bytes:
    keys = keys_of(ORIGIN)
    claims = CertificateContent(
        network_id=NETWORK.id,
        node_index=NodeIndex(ORIGIN),
        name="n5",
        static_key=keys.static.public,
        signing_key=keys.signing.public,
        ipv4=IPv4Interface("10.77.0.5/16"),
        ipv6=None,
        not_before_s=sequence,
        not_after_s=10**9,
        rights=rights,
    )
    content = NodeContent.of(issue(CA, claims).encode(), ())
    return advertisement(ORIGIN, sequence, Kind.NODE, b"", emit(content))


def host(number: int, sequence: int, *, is_gone: bool = False, signer: int = ORIGIN) -> bytes:
    key = bytes(2) + bytes((2, 0, 0, 0, 0, number))
    return advertisement(ORIGIN, sequence, Kind.HOST, key, b"" if is_gone else emit(HostContent((), 0)), signer=signer)


def chunk(number: int, sequence: int, sources: int) -> bytes:
    """A chunk of one group, with so many sources."""
    wanted = SourceFilter(FilterMode.INCLUDE, frozenset(IPv4Address("10.0.0.1") + one for one in range(sources)))
    listed = ListedGroup.of((0, IPv4Address("239.1.0.0") + number), wanted if sources else ANY_SOURCE)
    return advertisement(ORIGIN, sequence, Kind.GROUPS, chunk_key(number), emit(GroupsContent((listed,))))


class Judge(Node):
    """A node that knows one that may have this."""

    def __init__(self, rights: Rights = DEFAULT_RIGHTS) -> None:
        super().__init__(1)
        self.link(2)
        assert self.takes(certified(1, rights))
        self.said()

    def takes(self, wire: bytes) -> bool:
        return bool(self.hear(2, Flood((wire,))))

    def problems(self) -> list[Problem]:
        return list(self.broadcast.over_quota.problems(self.now, lambda node: f"n{node}"))

    def refused(self) -> int:
        return self.drops.snapshot().get("advertisement_over_quota", 0)


def test_hosts_beyond_the_certificate_are_refused_and_the_node_is_named_with_the_command() -> None:
    judge = Judge(replace(DEFAULT_RIGHTS, hosts=2))
    assert judge.takes(host(1, 2)) and judge.takes(host(2, 3))
    judge.said()
    assert not judge.takes(host(3, 4))
    assert judge.refused() == 1
    assert not any(isinstance(message, Acknowledge) for _, message in judge.said()), "so that it comes again"
    (problem,) = judge.problems()
    assert (problem.kind, problem.subject) == ("over_quota", "n5")
    assert "more than 2 hosts" in problem.text and "treecast node renew n5 --hosts N" in problem.text
    assert judge.takes(host(2, 5)), "what it has may change"


def test_a_host_that_is_withdrawn_gives_its_room_back_and_the_problem_is_over() -> None:
    judge = Judge(replace(DEFAULT_RIGHTS, hosts=2))
    assert [judge.takes(host(number, 1 + number)) for number in (1, 2, 3)] == [True, True, False]
    assert judge.takes(host(1, 5, is_gone=True))
    assert judge.problems() == []
    assert judge.takes(host(3, 6))


def test_a_certificate_with_more_ends_the_problem_and_room_is_there() -> None:
    judge = Judge(replace(DEFAULT_RIGHTS, hosts=1))
    assert [judge.takes(host(number, 1 + number)) for number in (1, 2)] == [True, False]
    assert judge.takes(certified(10, replace(DEFAULT_RIGHTS, hosts=2)))
    assert judge.problems() == []
    assert judge.takes(host(2, 11))


def test_groups_and_their_sources_have_a_quota_each() -> None:
    judge = Judge(replace(DEFAULT_RIGHTS, groups=3))
    assert judge.takes(chunk(1, 2, sources=2))
    assert not judge.takes(chunk(2, 3, sources=2))
    assert "more than 3 sources of groups" in judge.problems()[0].text
    assert judge.takes(chunk(2, 4, sources=1)) and judge.takes(chunk(3, 5, sources=0))
    assert not judge.takes(chunk(4, 6, sources=0))
    assert "more than 3 groups" in judge.problems()[0].text
    assert judge.takes(chunk(1, 7, sources=0)), "less is taken always"


def test_bytes_have_a_quota_whatever_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quotas, "MAX_BYTES_PER_ORIGIN", 2000)
    judge = Judge()
    unknown = [advertisement(ORIGIN, 2 + n, 77, bytes((n,)), bytes(1000)) for n in range(3)]
    assert [judge.takes(wire) for wire in unknown] == [True, False, False]
    assert judge.takes(host(1, 9)), "what fits"


def test_withdrawals_that_are_forgotten_take_nothing_of_the_quota_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quotas, "MAX_RECORDS_PER_ORIGIN", 2)
    judge = Judge()
    assert [judge.takes(host(number, 1 + number, is_gone=True)) for number in (1, 2, 3)] == [True, True, False]
    for number in range(1, 5):
        judge.now = Instant(number * WITHDRAWN_LIFETIME / 3)
        judge.takes(certified(100 + number, DEFAULT_RIGHTS))
        judge.broadcast.advance(judge.now)
    assert judge.takes(host(3, 4))


def test_nobody_is_named_for_what_another_node_has_made_up() -> None:
    judge = Judge(replace(DEFAULT_RIGHTS, hosts=0))
    assert not judge.takes(host(1, 2, signer=2))
    assert judge.problems() == []
    assert judge.drops.snapshot() == {"advertisement_bad_signature": 1}


def test_a_problem_is_over_a_while_after_the_last_refusal_and_so_many_are_named() -> None:
    over = OverQuota(NodeIndex(1))
    for number in range(2, 3 + MAX_NAMED_OVER_QUOTA):
        over.note(Instant(0.0), NodeIndex(number), "hosts", DEFAULT_QUOTA)
    assert len(list(over.problems(Instant(1.0), str))) == MAX_NAMED_OVER_QUOTA
    assert list(over.problems(Instant(NAMED_FOR), str)) == []


def own_host(node: Node, number: int, *, is_gone: bool = False) -> None:
    key = bytes(2) + bytes((2, 0, 0, 0, 0, number))
    node.broadcast.put(node.now, Kind.HOST, key, None if is_gone else HostContent((), 0))


def published(node: Node) -> list[int]:
    held = node.broadcast.contents(node.index, Kind.HOST)
    return sorted(key[-1] for key, _ in held)


def test_a_node_advertises_its_hosts_up_to_its_quota_and_the_others_when_there_is_room() -> None:
    node = Node(1)
    node.broadcast.set_quota(node.now, DEFAULT_QUOTA._replace(hosts=2))
    for number in (1, 2, 3, 4):
        own_host(node, number)
    assert published(node) == [1, 2]
    (problem,) = node.broadcast.over_quota.problems(node.now, lambda node: f"n{node}")
    assert (problem.kind, problem.subject) == ("own_quota", "this machine")
    assert "treecast node renew n1 --hosts N" in problem.text
    own_host(node, 1, is_gone=True)
    assert published(node) == [2, 3]
    node.broadcast.set_quota(node.now, DEFAULT_QUOTA)
    assert published(node) == [2, 3, 4]
    assert list(node.broadcast.over_quota.problems(node.now, str)) == []
