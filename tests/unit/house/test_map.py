"""docs/map.md: every file that it names is there, and every function that it names beside a file is in that file."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs/map.md").read_text(encoding="utf-8")
PLACES = (ROOT / "src/treecast", ROOT)
IN_FILE = re.compile(r"`([\w./]+\.(?:py|rs))` \(`(\w+)`\)")
PATH = re.compile(r"`([\w./]+(?:\.py|\.pyi|\.rs|/))`")


def place_of(path: str) -> Path | None:
    """Where a path of the page leads."""
    if "/" not in path:  # named behind another file of its folder
        return next((found for top in ("src", "crates") for found in (ROOT / top).rglob(path)), None)
    short = re.sub(r"^(core|io)/", r"crates/\1/src/", path)
    return next((place / name for place in PLACES for name in (path, short) if (place / name).exists()), None)


def test_every_file_on_the_map_is_there() -> None:
    paths = PATH.findall(TEXT)
    assert len(paths) > 150
    assert {path for path in paths if place_of(path) is None} == set()


def test_every_function_on_the_map_is_in_its_file() -> None:
    named = IN_FILE.findall(TEXT)
    assert len(named) > 15
    for path, name in named:
        place = place_of(path)
        assert place is not None, path
        assert re.search(rf"\b(?:def|fn) {name}\b", place.read_text(encoding="utf-8")), f"{path}: {name}"
