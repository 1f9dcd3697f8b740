"""A table that is nearly full is a problem before anything is refused."""

from __future__ import annotations

from treecast.base.ids import NodeIndex
from treecast.base.shares import Shares
from treecast.base.tables import TableUse, nearly_full


def test_a_table_is_said_to_be_nearly_full_from_nine_tenths_on() -> None:
    said = [list(nearly_full([TableUse("hosts on eth1", used, 1000, "look there")])) for used in (0, 899, 900, 1000)]
    assert [len(problems) for problems in said] == [0, 0, 1, 1]
    assert (said[2][0].kind, said[2][0].subject) == ("table_nearly_full", "hosts on eth1")
    assert said[2][0].text == "900 hosts on eth1: there is room for 1000 only: look there"
    assert said[3][0].text == "1000 hosts on eth1: there is no room for more: look there"


def test_a_table_that_nodes_fill_names_the_one_with_most_and_its_share() -> None:
    shares: Shares[int] = Shares()
    assert shares.largest() is None
    for entry in range(950):
        shares.put(NodeIndex(7 if entry % 4 else 8), entry)
    use = TableUse("hosts of other nodes", 950, 1000, "look there", shares.largest())
    (problem,) = nearly_full([use], lambda node: f"n{node}")
    assert problem.text.startswith("950 hosts of other nodes, 712 of them (74 %) of n7: there is room for")
    for entry in range(950):
        shares.remove(NodeIndex(7), entry)
    assert shares.largest() == (NodeIndex(8), 238)


def test_a_table_that_is_filled_for_what_nodes_want_names_who_wants_most() -> None:
    use = TableUse("trees of this node", 950, 1000, "send to fewer", wants_most=(NodeIndex(7), 800))
    (problem,) = nearly_full([use], lambda node: f"n{node}")
    assert problem.text.startswith("950 trees of this node, n7 wants most: 800 groups: there is room for 1000 only")
