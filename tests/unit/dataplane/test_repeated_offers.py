"""Offers that are not answered, and announcements of keys, are repeated less and less often, and not all at once."""

from __future__ import annotations

from collections import Counter, defaultdict
from ipaddress import IPv4Address
from itertools import pairwise
from random import Random

from tests.unit.dataplane.answers import take
from tests.unit.dataplane.driven import DrivenRoot
from treecast.base.commands import Command, OfferKey
from treecast.base.counters import Drops
from treecast.base.flows import Flow
from treecast.base.ids import NodeIndex, StreamId, TreeEpoch
from treecast.base.key_commands import AnnounceKey
from treecast.base.time import Instant
from treecast.dataplane.root_trees import RootTrees

GROUPS = [Flow(0, IPv4Address(f"239.1.1.{number}"), None) for number in range(1, 101)]
MEMBERS = [NodeIndex(number) for number in range(2, 1_002)]
INTERVALS = (0.1, 0.2, 0.4, 0.8, 1.0, 1.0)


class Root(DrivenRoot):
    """Its members answer nothing, but where a test has them do so."""

    def __init__(self) -> None:
        super().__init__(RootTrees(TreeEpoch(1), Drops(), Random(1)))
        self.offers: defaultdict[NodeIndex, list[Instant]] = defaultdict(list)
        self.announced: list[Instant] = []
        self.answers = False

    def carry_out(self, command: Command) -> None:
        match command:
            case OfferKey():
                self.offers[command.peer].append(self.now)
                if self.answers:
                    take(self.trees, self.now, command.peer, command.stream, command.key_id)
            case AnnounceKey():
                self.announced.append(self.now)
            case _:
                pass


def busiest(times: list[Instant]) -> int:
    """The most of these in one millisecond."""
    return max(Counter(int(at * 1000) for at in times).values())


def test_an_offer_that_is_not_answered_is_repeated_less_and_less_often() -> None:
    root = Root()
    root.trees.want(root.now, GROUPS[0], MEMBERS[:1])
    root.trees.used(root.now, StreamId(1))
    root.turn()
    root.until(3.0)
    pauses = [at - before for before, at in pairwise(root.offers[MEMBERS[0]])]
    for pause, longest in zip(pauses, INTERVALS, strict=False):
        assert 0.75 * longest <= pause <= longest + 1e-9
    assert len(pauses) >= 5


def test_offers_to_1000_members_are_not_repeated_at_one_instant_and_none_later_than_its_interval() -> None:
    root = Root()
    root.trees.want(root.now, GROUPS[0], MEMBERS)
    root.trees.used(root.now, StreamId(1))
    root.turn()
    root.until(1.5)
    assert {times[0] for times in root.offers.values()} == {0.0}, "the first offers go at once"
    for repetition, latest in ((1, 0.1), (2, 0.3), (3, 0.7), (4, 1.5)):
        times = [root.offers[member][repetition] for member in MEMBERS]
        assert 0.75 * latest <= min(times) and max(times) <= latest + 1e-9
        assert len(set(times)) > 900
        assert busiest(times) < 100


def test_keys_that_came_into_use_together_are_not_announced_at_one_instant() -> None:
    root = Root()
    root.answers = True
    for flow in GROUPS:
        root.trees.want(root.now, flow, MEMBERS[:2])
    for stream in range(1, 1 + len(GROUPS)):
        root.trees.used(root.now, StreamId(stream))
    root.turn()
    root.until(1.0)
    for flow in GROUPS:
        root.trees.want(root.now, flow, MEMBERS[:1])
    root.turn()
    root.until(3.0)
    assert len(root.announced) == 3 * len(GROUPS)
    assert max(root.announced) <= 1.9
    assert busiest(root.announced) < 20
