"""docs/map.md: every file that it names is there, and every function that it names beside a file is in that file."""

from __future__ import annotations

import ast
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


def looked_up() -> set[str]:
    """The names that ``rooms.py`` reads of one room to give them to another, and those that it gives one afterwards."""
    module = ast.parse((ROOT / "src/treecast/engine/rooms.py").read_text(encoding="utf-8"))
    read = [ast.unparse(node) for node in ast.walk(module) if isinstance(node, ast.Attribute)]
    given = [ast.unparse(node.targets[0]) for node in ast.walk(module) if isinstance(node, ast.Assign)]
    rooms = ("broadcast.", "links.", "root_trees.", "topology.")
    of_rooms = {name for name in read if name.startswith(rooms)}
    longest = {name for name in of_rooms if not any(other.startswith(f"{name}.") for other in of_rooms)}
    return {name.removesuffix(".items") for name in longest} | {name for name in given if name.startswith("planning.")}


def test_what_rooms_look_up_in_each_other_is_on_the_map() -> None:
    against = TEXT.split("What goes against the picture is this", 1)[1].split("\n|", 1)[0]
    found = looked_up()
    assert len(found) > 5
    assert {name for name in found if f"`{name}`" not in against} == set()
