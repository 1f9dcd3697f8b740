"""Rules that the import contracts cannot express."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[2]
SOURCE = TESTS.parent / "src" / "treecast"


def test_the_extension_is_imported_in_one_place_for_packets_handshakes_plans_and_privileges_each() -> None:
    importing = {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        if re.search(r"\bimport _native\b|treecast\._native import", path.read_text())
    }
    assert importing == {
        "adapters/native.py",
        "adapters/noise.py",
        "adapters/privileges.py",
        "adapters/tree_plans.py",
    }


def test_no_module_that_decides_reads_the_worlds_randomness() -> None:
    rooms = (
        "base",
        "wire",
        "identity",
        "designated_forwarder",
        "discovery",
        "multicast",
        "broadcast",
        "topology",
        "links",
        "dataplane",
        "engine",
    )
    guilty = [
        path
        for room in rooms
        for path in (SOURCE / room).rglob("*.py")
        if re.search(r"^import random|^import secrets|\brandom\.random\(|SystemRandom", path.read_text(), re.MULTILINE)
    ]
    assert guilty == []


def test_tests_that_run_alone_are_where_make_test_looks_for_them() -> None:
    mark = re.compile(r"^(pytestmark =|@).*\bmark\.alone\b", re.MULTILINE)
    marked = [path for path in TESTS.rglob("test_*.py") if mark.search(path.read_text())]
    assert marked
    assert [path for path in marked if not path.is_relative_to(TESTS / "lab")] == []
    assert "-m 'alone and not soak' tests/lab\n" in (TESTS.parent / "Makefile").read_text()
