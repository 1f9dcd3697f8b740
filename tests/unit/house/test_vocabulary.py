"""docs/vocabulary.md: each word once, and what it names is in the code."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[3]


def rows() -> list[list[str]]:
    lines = (ROOT / "docs/vocabulary.md").read_text(encoding="utf-8").splitlines()
    table = [line.strip("|").split("|") for line in lines if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in table[2:]]


def test_each_word_stands_once() -> None:
    words = Counter(word.strip() for row in rows() for word in row[0].split(","))
    assert [word for word, count in words.items() if count > 1] == []


def test_what_a_word_names_is_where_the_page_says() -> None:
    for word, _, _, where in rows():
        path, name = re.findall(r"`([^`]+)`", where)
        place = ROOT / path if path.startswith("crates/") else ROOT / "src/treecast" / path
        sources = [place] if place.is_file() else sorted(place.rglob("*.rs"))
        found = [at for at in sources if re.search(rf"\b{name}\b", at.read_text(encoding="utf-8"))]
        assert found, f"{word}: no {name} in {path}"
