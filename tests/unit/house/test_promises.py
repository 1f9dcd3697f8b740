"""SECURITY.md: each promise, and each row of its tables, names a test that holds it, and each test named is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
NAMED = re.compile(r"`([\w./-]+\.(?:py|rs))`")
NO_PROMISES = "What it does not promise"


def sections(text: str) -> dict[str, str]:
    """The text below each heading of the second level; what is before the first promises nothing."""
    _, *parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def promises(text: str) -> list[str]:
    """Bullets with the lines that belong to them, and the rows of tables below their heads."""
    bullets = re.findall(r"^- .*(?:\n +\S.*)*", text, re.MULTILINE)
    tables = re.findall(r"^\|[ :|-]+\|\n((?:\|.*\n?)*)", text, re.MULTILINE)
    return bullets + [row for table in tables for row in table.splitlines()]


def is_test(path: Path) -> bool:
    """Whether a file has tests in it, and is where they are run."""
    if not path.is_file() or path.relative_to(ROOT).parts[0] not in ("tests", "crates"):
        return False
    text = path.read_text(encoding="utf-8")
    mark = r"^\s*(async )?def test_" if path.suffix == ".py" else r"#\[test\]|\bproptest!"
    return re.search(mark, text, re.MULTILINE) is not None


def without_test(text: str) -> list[str]:
    """The promises that name no test."""
    kept = [one for title, part in sections(text).items() if NO_PROMISES not in title for one in promises(part)]
    return [one for one in kept if not any(is_test(ROOT / path) for path in NAMED.findall(one))]


def missing(text: str) -> list[str]:
    """The paths of the page where there is no test."""
    return [path for path in NAMED.findall(text) if not is_test(ROOT / path)]


def test_every_promise_names_a_test() -> None:
    assert without_test(TEXT) == []


def test_every_test_that_the_page_names_is_there() -> None:
    assert len(set(NAMED.findall(TEXT))) > 80
    assert missing(TEXT) == []


def test_every_bullet_and_row_of_the_page_is_looked_at() -> None:
    found = [one for part in sections(TEXT).values() for one in promises(part)]
    heads = len(re.findall(r"^\|[ :|-]+\|$", TEXT, re.MULTILINE))
    assert len(found) == len(re.findall(r"^\s*(?:[-*+]|\d+\.) ", TEXT, re.MULTILINE)) + TEXT.count("\n|") - 2 * heads
    assert [title for title in sections(TEXT) if NO_PROMISES in title] != []


def test_a_page_with_a_promise_without_a_test_or_a_test_that_is_not_there_is_not_right() -> None:
    good = "`tests/unit/house/test_promises.py`"
    page = f"# S\n\n- before\n\n## A\n\n### B\n\n- one\n  {good}\n- two\n  more `src/a.py`\n- three\n\n"
    page += f"| a | b |\n|---|---|\n| row | {good} |\n| bare | `tests/none.rs` |\n\n## {NO_PROMISES} yet\n\n- four\n"
    assert without_test(page) == ["- two\n  more `src/a.py`", "- three", "| bare | `tests/none.rs` |"]
    assert missing(page) == ["src/a.py", "tests/none.rs"]
    assert missing("`tests/hostile_speaker/speaker.py`, `src/treecast/cli/main.py`") == NAMED.findall(
        "`tests/hostile_speaker/speaker.py` `src/treecast/cli/main.py`"
    )
