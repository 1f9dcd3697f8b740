"""A run that ended because of an older one elsewhere: the next start is refused for an hour, or until a person acts."""

from __future__ import annotations

from pathlib import Path

import pytest

from treecast.adapters.twin_file import REFUSED_FOR_S, TWIN_FILE, require_no_twin, write_twin
from treecast.base.errors import IdentityTakenError

ENDED_S, WHERE = 1_800_000_000, "192.0.2.1:7700, [2001:db8::1]:7700"


def test_the_next_start_is_refused_with_the_older_run_s_address_and_the_file_to_delete(tmp_path: Path) -> None:
    require_no_twin(tmp_path, "n1", ENDED_S)
    write_twin(tmp_path, WHERE, ENDED_S + 0.5)
    for passed in (0, REFUSED_FOR_S - 1):
        with pytest.raises(IdentityTakenError) as refusal:
            require_no_twin(tmp_path, "n1", ENDED_S + passed)
        assert WHERE in str(refusal.value)
        assert f"delete {tmp_path / TWIN_FILE}" in str(refusal.value)
        assert "to have a node here, too, make one of another name where the CA key is" in str(refusal.value)
        assert refusal.value.exit_code == 3
        assert not refusal.value.older_at, "a refusal begins no further hour"
    (tmp_path / TWIN_FILE).unlink()
    require_no_twin(tmp_path, "n1", ENDED_S)


@pytest.mark.parametrize("passed", [REFUSED_FOR_S, -1])
def test_an_hour_later_or_by_a_clock_that_was_set_back_the_node_starts(tmp_path: Path, passed: int) -> None:
    write_twin(tmp_path, WHERE, ENDED_S)
    require_no_twin(tmp_path, "n1", ENDED_S + passed)


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b'{"older_at": 1}', b"x" * 100_000])
def test_a_damaged_file_keeps_nobody_from_starting(tmp_path: Path, data: bytes) -> None:
    (tmp_path / TWIN_FILE).write_bytes(data)
    require_no_twin(tmp_path, "n1", ENDED_S)
