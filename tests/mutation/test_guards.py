"""No guard can be taken out without a test that fails."""

from __future__ import annotations

import pytest

from tests.mutation.guard import guards
from tests.mutation.mutate import survivors


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_without_any_one_guard_a_test_fails(capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        assert survivors(guards()) == []
