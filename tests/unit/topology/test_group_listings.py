"""Which of several listings of a group counts, also where an origin lists it in chunks as no honest one would."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from treecast.base.flows import GroupKey
from treecast.base.ids import NodeIndex
from treecast.base.membership import ANY_SOURCE, FilterMode, SourceFilter
from treecast.base.time import Instant
from treecast.topology.group_listings import GroupListings
from treecast.topology.topology import Topology
from treecast.wire.advertised_groups import GroupsContent, ListedGroup

NODE = NodeIndex(2)
GROUP: GroupKey = (0, IPv4Address("239.1.1.1"))
OTHER: GroupKey = (7, IPv6Address("ff3e::1"))
ONE = SourceFilter(FilterMode.INCLUDE, frozenset([IPv4Address("10.0.0.1")]))
TWO = SourceFilter(FilterMode.INCLUDE, frozenset([IPv4Address("10.0.0.2")]))


def chunk(*listed: ListedGroup) -> GroupsContent:
    return GroupsContent(tuple(sorted(listed, key=lambda one: one.order)))


def of(wanted: SourceFilter, group: GroupKey = GROUP) -> ListedGroup:
    return ListedGroup.of(group, wanted)


def test_only_what_a_chunk_lists_otherwise_than_before_is_changed() -> None:
    listings = GroupListings()
    first, second = chunk(of(ONE), of(ANY_SOURCE, OTHER)), chunk(of(TWO), of(ANY_SOURCE, OTHER))
    assert listings.replace(NODE, 0, None, first) == [(GROUP, ONE), (OTHER, ANY_SOURCE)]
    assert listings.replace(NODE, 0, first, second) == [(GROUP, TWO)]
    assert listings.replace(NODE, 0, second, second) == []
    assert listings.replace(NODE, 0, second, None) == [(GROUP, None), (OTHER, None)]


def test_a_moved_listing_counts_only_where_no_other_does_whatever_comes_first() -> None:
    old, moved, new = chunk(of(ONE)), chunk(of(ONE).as_moved()), chunk(of(TWO))
    listings = GroupListings()
    listings.replace(NODE, 0, None, old)
    assert listings.replace(NODE, 0, old, moved) == []
    assert listings.replace(NODE, 1, None, new) == [(GROUP, TWO)]
    assert listings.replace(NODE, 0, moved, None) == []
    other = GroupListings()
    other.replace(NODE, 0, None, old)
    assert other.replace(NODE, 1, None, new) == [], "the lower chunk counts until it says that the group has moved"
    assert other.replace(NODE, 0, old, moved) == [(GROUP, TWO)]


def test_of_a_group_in_many_chunks_the_lowest_counts_and_no_other_node_is_touched() -> None:
    listings = GroupListings()
    for number in reversed(range(50)):
        wanted = SourceFilter(FilterMode.INCLUDE, frozenset([IPv4Address("10.0.0.0") + number]))
        assert listings.replace(NODE, number, None, chunk(of(wanted))) == [(GROUP, wanted)]
    assert listings.replace(NodeIndex(3), 0, None, chunk(of(ONE))) == [(GROUP, ONE)]
    assert listings.replace(NODE, 30, chunk(of(ONE)), None) == []


def test_a_node_wants_a_group_until_no_chunk_lists_it() -> None:
    topology, now = Topology(), Instant(0.0)
    assert topology.list_groups(now, NODE, 4, None, chunk(of(ONE))) == [GROUP]
    assert topology.list_groups(now, NODE, 9, None, chunk(of(TWO))) == []
    assert topology.table.subscribers(GROUP) == [(NODE, ONE)]
    assert topology.list_groups(now, NODE, 4, chunk(of(ONE)), None) == [GROUP]
    assert topology.table.subscribers(GROUP) == [(NODE, TWO)]
    assert topology.list_groups(now, NODE, 9, chunk(of(TWO)), None) == [GROUP]
    assert topology.table.subscribers(GROUP) == []
