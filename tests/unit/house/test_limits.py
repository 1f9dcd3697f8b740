"""Every limit of the code has its row in docs/limits.md, with its number, and no row is of a limit that is not there.

A limit is a number whose name has MAX or MOST in it. Sizes, times and the largest value of a field are none.
"""

from __future__ import annotations

import ast
import importlib
import operator
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from tests.unit.house.test_reasons import ROOT, SOURCE, section
from treecast.base import limits as base_limits
from treecast.multicast import MembershipConfig

IS_LIMIT = re.compile(r"(^|_)(MAX|MOST)(_|$)")
IS_SIZE = re.compile(r"_(BYTES|CHARACTERS|LEN|DAYS|TIME_S)$")
LARGEST_VALUES = {"MAX_NODE_INDEX", "MAX_SEQUENCE", "GSO_MAX_SEGMENTS", "_MAX_NAME", "MAX_LINE", "_MOST"}
"""The largest values of fields and lines, and of what the kernel is given."""

ROW = re.compile(r"^\| `(\w+)` \| ([\d,]+) \| ([^|]+) \|(?: ([^|]+) \|)?$", re.MULTILINE)
QUEUE_ROW = re.compile(r"^\| `(\w+)` \| ([\d,]+) \|$", re.MULTILINE)
RUST_CONSTANT = re.compile(r"^ *(?:pub(?:\(\w+\))? )?const (\w+): (?:u8|u32|u64|usize) =\s+([^;]+);", re.MULTILINE)
QUEUE = re.compile(r"(?:kind\(Queue::\w+, |bound: )(\d+),\s+(?:full: )?Reason::(\w+)")

Limits = set[tuple[str, int]]


def number(text: str) -> int:
    return int(text.replace(",", ""))


def rows(*titles: str) -> Limits:
    """The rows of these sections."""
    found = [row for title in titles for row in ROW.findall(section("limits.md", title))]
    assert found
    return {(name, number(value)) for name, value, _, _ in found}


def is_limit(name: str) -> bool:
    return bool(IS_LIMIT.search(name)) and not IS_SIZE.search(name) and name not in LARGEST_VALUES


def assigned(path: Path) -> Iterator[str]:
    """The names that a module gives to something, but not to a Duration."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign):
            yield from (one.id for target in node.targets for one in ast.walk(target) if isinstance(one, ast.Name))
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.annotation) != "Duration":
            yield ast.unparse(node.target)


def python_limits() -> Limits:
    found: Limits = set()
    for path in SOURCE.rglob("*.py"):
        names = [name for name in assigned(path) if is_limit(name)]
        if names:
            module = importlib.import_module(".".join(path.relative_to(SOURCE.parent).with_suffix("").parts))
            found |= {(name, getattr(module, name)) for name in names}
    return found


def rust_constants(path: Path) -> dict[str, int]:
    """The constants that are numbers, or made of numbers of the same file."""
    found: dict[str, int] = {}
    for name, value in RUST_CONSTANT.findall(path.read_text(encoding="utf-8")):
        try:
            found[name] = calculated(ast.parse(value, mode="eval").body, found)
        except (KeyError, SyntaxError):  # a size of the wire, made of others
            assert not is_limit(name), f"{path}: {name}"
    return found


def calculated(node: ast.expr, constants: dict[str, int]) -> int:
    """A number, a constant, or two of them added, multiplied or shifted."""
    if isinstance(node, ast.BinOp):
        return int(OPERATORS[type(node.op)](calculated(node.left, constants), calculated(node.right, constants)))
    text = ast.unparse(node)
    return IMPORTED.get(text) or (int(text) if text.isdecimal() else constants[text])


OPERATORS = {ast.Add: operator.add, ast.Mult: operator.mul, ast.LShift: operator.lshift}
IMPORTED = {"MAX_COALESCED": 64}
"""Other files of the crates have these."""


def rust_limits() -> Limits:
    paths = [path for crate in ("core", "io") for path in (ROOT / "crates" / crate / "src").rglob("*.rs")]
    return {(name, value) for path in paths for name, value in rust_constants(path).items() if is_limit(name)}


def test_every_limit_of_the_control_plane_is_on_the_page_and_no_other() -> None:
    written = rows("Tables of the control plane", "Counts of the control plane")
    assert python_limits() - written == set(), "in the code, and not in docs/limits.md"
    assert written - python_limits() == set(), "in docs/limits.md, and not in the code"


def test_the_limits_of_tables_of_the_control_plane_stand_in_one_file() -> None:
    limits = {(name, getattr(base_limits, name)) for name in assigned(Path(base_limits.__file__)) if is_limit(name)}
    assert limits == rows("Tables of the control plane")


def test_every_limit_of_the_data_plane_is_on_the_page_and_no_other() -> None:
    written = rows("Tables of the data plane", "Counts of the data plane")
    assert rust_limits() - written == set(), "in the code, and not in docs/limits.md"
    assert written - rust_limits() == set(), "in docs/limits.md, and not in the code"


def test_the_limits_of_tables_of_the_data_plane_stand_in_one_file() -> None:
    assert set(rust_constants(ROOT / "crates/core/src/limits.rs").items()) == rows("Tables of the data plane")


def test_every_limit_that_the_operator_sets_is_on_the_page_with_its_default() -> None:
    config = MembershipConfig()
    limits = {(one.name, getattr(config, one.name)) for one in fields(config) if one.name.startswith("max_")}
    assert rows("Set by the operator") == limits


def test_every_queue_of_events_is_on_the_page_with_its_bound() -> None:
    source = (ROOT / "crates/core/src/events.rs").read_text(encoding="utf-8")
    bounds = {(re.sub(r"(?<!^)([A-Z])", r"_\1", reason).lower(), int(bound)) for bound, reason in QUEUE.findall(source)}
    page = section("limits.md", "Queues of events for Python")
    assert {(name, number(value)) for name, value in QUEUE_ROW.findall(page)} == bounds
    assert f"const KINDS: [EventKind; {len(bounds)}]" in source


def test_every_table_says_what_happens_when_it_is_full() -> None:
    for title in ("Set by the operator", "Tables of the control plane", "Tables of the data plane"):
        assert all(when_full for *_, when_full in ROW.findall(section("limits.md", title)))


def test_every_reason_on_the_page_is_one_that_is_counted() -> None:
    page = (ROOT / "docs/limits.md").read_text(encoding="utf-8")
    drops = (ROOT / "docs/drops.md").read_text(encoding="utf-8")
    reasons = set(re.findall(r"`(\w+_full|\w+_malformed)`", page))
    assert len(reasons) > 20
    known = set(re.findall(r"^\| `(\w+)` \|", drops, re.MULTILINE)) | {"table_nearly_full", "table_full"}
    assert reasons - known == set()


def test_the_scan_sees_each_way_in_which_a_limit_is_given() -> None:
    assert {("MAX_ORIGINS", 16_384), ("MAX_WINDOW", 192), ("MAX_LINK_CHUNKS", 128)} <= python_limits()
    assert {("MAX_PARTS", 68), ("MAX_SESSIONS", 262_144), ("MAX_FLOWS", 8192)} <= rust_limits()
