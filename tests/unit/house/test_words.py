"""How docstrings and doc comments begin, and how long a file may be."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
MOST_LINES = 350
RIDDLE = re.compile(r"(Who|What|That|It|Whoever|Whatever|Whom|Whose)\b")
"""A sentence that begins so has no noun for its subject."""
FRAGMENT = re.compile(
    r"(After|Among|And|As|At|Before|Behind|Between|But|By|Else|For|From|However|If|In|Meanwhile|Nor|Of|On|Or|Past|Since"
    r"|So|Those|To|Under|Unless|Until|When|While|With|Within|Without)(?=[\s,:.;]|$)"
)
"""A sentence that begins so has no subject, or has it late: it says nothing without what stands around it."""
EMPTY = "See the module."
"""A doc comment with these words describes nothing."""
PYTHON = ("src", "tests", "lab", "bench", "tools")
MERGE_MARK = re.compile(r"^(<{7}|={7}|>{7})( |$)", re.MULTILINE)


def python_docstrings(path: Path) -> Iterator[tuple[int, str]]:
    """Docstrings of modules, classes and functions, and those behind a variable: line and text."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value


def rust_doc_comments(path: Path) -> Iterator[tuple[int, str]]:
    """The first line of each doc comment."""
    before = ""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        text = line.strip()
        if text.startswith(("///", "//!")) and not before.startswith(text[:3]):
            yield number, text[3:].strip()
        before = text


def rust_files() -> list[Path]:
    crates = [path for top in ("src", "tests", "benches") for path in ROOT.glob(f"crates/*/{top}/**/*.rs")]
    return [*crates, *ROOT.glob("bench/*/src/**/*.rs")]


def all_texts() -> list[tuple[Path, tuple[int, str]]]:
    found = [(path, one) for top in PYTHON for path in (ROOT / top).rglob("*.py") for one in python_docstrings(path)]
    found += [(path, one) for path in rust_files() for one in rust_doc_comments(path)]
    assert len(found) > 4_000
    return found


def test_no_docstring_begins_with_a_pronoun_or_with_see_the_module() -> None:
    riddles = [(path, line, text) for path, (line, text) in all_texts() if RIDDLE.match(text.strip()) or EMPTY in text]
    assert [f"{path}:{line}: {text}" for path, line, text in riddles] == []


def test_no_docstring_begins_in_the_middle_of_a_sentence() -> None:
    fragments = [(path, line, text) for path, (line, text) in all_texts() if FRAGMENT.match(text.strip())]
    assert [f"{path}:{line}: {text}" for path, line, text in fragments] == []


def test_no_file_is_longer_than_350_lines() -> None:
    """Code, and the settings and lists beside it. Pages of docs are exempt: docs/protocol.md and docs/drops.md are
    looked up by section, and each is one reference. So are lock files and vectors, which programs write.
    """
    files = [path for top in PYTHON for path in (ROOT / top).rglob("*.py")]
    files += [*ROOT.glob("crates/*/*/**/*.rs"), *ROOT.glob("bench/*/src/**/*.rs"), *ROOT.glob("*.toml")]
    files += [
        path for top in (*PYTHON, "crates") for path in (ROOT / top).rglob("*.toml") if "target" not in path.parts
    ]
    lengths = {path: path.read_text().count("\n") for path in files}
    assert len(lengths) > 400
    assert {str(path): lines for path, lines in lengths.items() if lines > MOST_LINES} == {}


def test_no_file_has_the_marks_of_a_merge() -> None:
    tops = ("docs", ".ci", "crates/*/*", "bench", "lab", "src", "tests", "tools")
    files = [path for top in tops for path in ROOT.glob(f"{top}/**/*") if path.is_file()]
    files = [path for path in files if "corpus" not in path.relative_to(ROOT).parts]
    files += [path for path in ROOT.iterdir() if path.is_file()]
    texts = [
        path for path in files if path.suffix in (".md", ".py", ".pyi", ".rs", ".toml", ".json", ".jsonl", ".lock")
    ]
    assert len(texts) > 800
    assert [str(path) for path in texts if MERGE_MARK.search(path.read_text(encoding="utf-8"))] == []
