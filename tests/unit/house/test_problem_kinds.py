"""Every kind of problem has its row in docs/problems.md, and no row is of a kind that nothing can say."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.unit.house.test_reasons import ROOT, ROW, SOURCE

FIRST = re.compile(r"^\| `(\w+)`", re.MULTILINE)
"""The first cell of a row."""
PAGE = ROOT / "docs" / "problems.md"


def said(path: Path) -> Iterator[str]:
    """The kinds of a file: the first argument of each ``Problem(...)``, a text or a name that stands for texts."""
    module = ast.parse(path.read_text(encoding="utf-8"))
    if not any(isinstance(n, ast.ImportFrom) and n.module == "treecast.base.problems" for n in ast.walk(module)):
        return
    texts: dict[str, set[str]] = {}
    for node in ast.walk(module):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    texts.setdefault(target.id, set()).add(node.value.value)
    for call in (node for node in ast.walk(module) if isinstance(node, ast.Call) and _is_problem(node)):
        kind = call.args[0]
        found = {kind.value} if isinstance(kind, ast.Constant) else texts.get(ast.unparse(kind), set())
        assert found, f"{path}:{call.lineno}: name the kind in a text, or in a name that is assigned texts in this file"
        yield from (str(text) for text in found)


def _is_problem(call: ast.Call) -> bool:
    return ast.unparse(call.func) == "Problem"


def kinds() -> set[str]:
    return {kind for path in SOURCE.rglob("*.py") for kind in said(path)}


def test_every_kind_of_problem_is_explained_with_what_to_do_and_no_other() -> None:
    rows = ROW.findall(PAGE.read_text(encoding="utf-8"))
    assert all(meaning and advice for _, meaning, advice in rows)
    names = [name for name, _, _ in rows if name != "kind"]
    assert len(names) == len(set(names))
    found = kinds()
    assert found - set(names) == set(), "said, and not in docs/problems.md"
    assert set(names) - found == set(), "in docs/problems.md, and never said"


def test_the_scan_sees_each_way_in_which_a_kind_is_given() -> None:
    assert {"lan_loop", "all_links_lost", "node_unreachable", "host_duplicate", "table_full"} <= kinds()


def test_no_problem_has_an_empty_subject() -> None:
    for path in SOURCE.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and _is_problem(call) and isinstance(call.args[1], ast.Constant):
                assert call.args[1].value, f"{path}:{call.lineno}"


def test_no_other_page_explains_a_kind_in_a_table_of_its_own() -> None:
    reasons = PAGE.with_name("drops.md")  # some have the name of the problem that they are
    pages = [page for page in PAGE.parent.glob("*.md") if page not in (PAGE, reasons)]
    rows = {(page.name, name) for page in pages for name in FIRST.findall(page.read_text(encoding="utf-8"))}
    of_problems = kinds()
    assert {row for row in rows if row[1] in of_problems} == set()


def test_the_page_can_be_found() -> None:
    for page in ("README.md", "docs/map.md", "docs/operations.md", "docs/switch-mode.md"):
        assert "problems.md" in (ROOT / page).read_text(encoding="utf-8"), page
