"""Answers that are longer than one part: all of it comes, or the client learns why not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.api.serving import serving
from treecast.api.client import fetch_hosts
from treecast.api.records import Host
from treecast.base.errors import OperatorError

LIMIT_S = 30.0


def test_more_than_a_hundred_thousand_hosts_leave_in_parts(tmp_path: Path) -> None:
    host = Host("02:54:00:00:00:01", ["10.77.0.1"], "alice", 0.0)
    with serving(tmp_path, lambda _: iter([host] * 120_000)):
        answer = fetch_hosts(tmp_path, LIMIT_S)
    assert (len(answer), set(map(str, answer))) == (120_000, {str(host)})


def test_a_bug_behind_the_first_rows_is_one_for_the_client_too(tmp_path: Path) -> None:
    def rows() -> Iterator[Host | None]:
        for _ in range(2_000):
            yield Host("02:54:00:00:00:01", ["10.77.0.1"], "alice", 0.0)
        raise RuntimeError("a bug")

    with serving(tmp_path, lambda _: rows()), pytest.raises(OperatorError, match="met a bug"):
        fetch_hosts(tmp_path)
