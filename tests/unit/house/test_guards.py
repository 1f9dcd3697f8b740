"""The list of guards (``tests/mutation``) is as old as the code: ``make soak`` takes each out."""

from __future__ import annotations

from collections import Counter

from tests.mutation.guard import guards


def test_every_guard_stands_where_the_list_says_and_has_its_tests() -> None:
    for guard in guards():
        assert guard.without() != guard.old
        assert guard.tests and not guard.tests_that_are_gone(), guard.name


def test_every_guard_has_a_name_of_its_own() -> None:
    assert [name for name, times in Counter(guard.name for guard in guards()).items() if times > 1] == []
