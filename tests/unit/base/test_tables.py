"""A table that is nearly full is a problem before anything is refused."""

from __future__ import annotations

from treecast.base.tables import TableUse, nearly_full


def test_a_table_is_said_to_be_nearly_full_from_nine_tenths_on() -> None:
    said = [list(nearly_full([TableUse("hosts on eth1", used, 1000, "look there")])) for used in (0, 899, 900, 1000)]
    assert [len(problems) for problems in said] == [0, 0, 1, 1]
    assert (said[2][0].kind, said[2][0].subject) == ("table_nearly_full", "hosts on eth1")
    assert said[2][0].text == "900 hosts on eth1: there is room for 1000 only: look there"
    assert said[3][0].text == "1000 hosts on eth1: there is no room for more: look there"
