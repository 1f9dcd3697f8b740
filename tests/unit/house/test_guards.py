"""The list of guards (``tests/mutation``) is as old as the code: ``make soak`` takes each out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.mutation.guard import Guard, guards
from tests.mutation.mutate import Copy, FailsUnchangedError


def test_every_guard_stands_where_the_list_says_and_has_its_tests() -> None:
    for guard in guards():
        assert guard.without() != guard.old
        assert guard.tests and not guard.tests_that_are_gone(), guard.name


def test_every_guard_has_a_name_of_its_own() -> None:
    assert [name for name, times in Counter(guard.name for guard in guards()).items() if times > 1] == []


def test_no_guard_is_tried_whose_test_fails_while_it_is_there(tmp_path: Path) -> None:
    copy = Copy(tmp_path / "copy")
    (copy.root / "tests/test_two.py").write_text(
        "def test_that_fails():\n    assert False\n\n\ndef test_that_passes():\n    pass\n"
    )
    passes, fails = (
        Guard(name, "tests/test_two.py", "pass", "raise", (f"tests/test_two.py::test_that_{name}",))
        for name in ("passes", "fails")
    )
    copy.require_unchanged([passes])
    with pytest.raises(FailsUnchangedError, match="1 failed, 1 passed"):
        copy.require_unchanged([passes, fails])
