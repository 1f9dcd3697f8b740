"""``groups`` for people: of many groups some, those first that matter at this node."""

from __future__ import annotations

from tests.sim.engine.test_permitted_groups import OTHER, two
from tests.unit.daemon.test_not_permitted import Numbers
from treecast.api.records import Group
from treecast.daemon.group_answers import GroupAnswers

WANTED = [f"239.7.0.{number}" for number in range(100, 140)]
HERE, SENT = "239.7.0.250", "239.7.0.251"


def test_of_many_groups_those_are_listed_that_are_sent_to_and_joined_here_and_then_others_in_order() -> None:
    world, node, other = two()
    for group in WANTED:
        other.report(group)
    node.report(HERE)
    world.run(3.0)
    answers = GroupAnswers(node.engine.view, Numbers(node, SENT), {0: "tap"}, node.now)
    every = [row.group for row in answers.groups() if isinstance(row, Group)]
    assert {*WANTED, HERE, SENT, OTHER} <= set(every)
    some = [row.group for row in answers.some(10) if isinstance(row, Group)]
    assert len(some) == 10 and {HERE, SENT} <= set(some)
    assert [group for group in every if group in some] == some, "in the same order"
    assert [row.group for row in answers.some(1000) if isinstance(row, Group)] == every
    assert node.engine.view.groups_of_others() == len(set(every) - {SENT, HERE})
