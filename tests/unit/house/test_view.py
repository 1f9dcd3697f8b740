"""Engines are looked at through their view: nobody outside ``engine`` reaches into its rooms."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from treecast.engine.engine import Engine

ROOT = Path(__file__).parents[3]
SOURCE = ROOT / "src" / "treecast"
INPUTS_AND_OUTPUTS = {name for name in vars(Engine) if not name.startswith("_")}
ATTRIBUTES = {"view", "trace", "faults", "drops"}
"""Attributes of an engine to be read, beside its methods."""
DECIDING = ("topology", "broadcast", "dataplane", "discovery", "links.links", "multicast.switch", "engine.rooms")
"""Rooms whose types are the view's to show; what else they export are values."""
OUTSIDE = ("daemon", "api", "cli", "adapters")
LOOKING_ON = ("src/treecast/sim", "lab", "bench", "tests/sim", "tests/unit/daemon")
"""Folders that run whole engines, beside the daemon."""
INJECTING = {
    "tests/sim/engine/meshes.py": "a member is made to lie",
    "tests/sim/engine/test_a_later_version.py": "a node advertises a kind that no program of this version does",
    "tests/sim/engine/test_faults_in_virtual_time.py": "rooms are made to raise",
    "tests/sim/engine/test_floods_of_members.py": "a member is made to lie",
    "tests/sim/engine/test_hostile_members.py": "a member is made to lie",
    "tests/sim/engine/test_permitted_groups.py": "a root does not keep to its certificate",
}
"""Tests that put into a room what no input of a sound engine brings about, and why."""


def outside() -> Iterator[tuple[str, ast.Module]]:
    for folder in OUTSIDE:
        for path in sorted((SOURCE / folder).rglob("*.py")):
            yield path.relative_to(SOURCE).as_posix(), ast.parse(path.read_text())


def engine_attributes(tree: ast.AST) -> Iterator[str]:
    """``engine.x``, ``self._engine.x`` and ``node.engine.x``."""
    for found in ast.walk(tree):
        if isinstance(found, ast.Attribute):
            owner = found.value
            name = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
            if name.lstrip("_") == "engine":
                yield found.attr


def attributes(tree: ast.AST) -> set[str]:
    return {found.attr for found in ast.walk(tree) if isinstance(found, ast.Attribute)}


def imported(tree: ast.AST) -> Iterator[str]:
    for found in ast.walk(tree):
        if isinstance(found, ast.ImportFrom) and found.module:
            yield found.module
            yield from (f"{found.module}.{name.name}" for name in found.names)
        elif isinstance(found, ast.Import):
            yield from (name.name for name in found.names)


def test_the_daemon_uses_an_engines_inputs_and_its_view_and_none_of_its_rooms() -> None:
    allowed = INPUTS_AND_OUTPUTS | ATTRIBUTES
    assert [
        f"{path}: engine.{attribute}"
        for path, tree in outside()
        for attribute in engine_attributes(tree)
        if attribute not in allowed
    ] == []


def reaching() -> set[str]:
    """Files beside the daemon's that name an engine's rooms."""
    return {
        path.relative_to(ROOT).as_posix()
        for folder in LOOKING_ON
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "rooms" in attributes(ast.parse(path.read_text()))
    }


def test_who_runs_whole_engines_reads_their_view_and_only_tests_that_inject_reach_into_rooms() -> None:
    assert sorted(reaching()) == sorted(INJECTING)


def test_nobody_outside_the_engine_imports_a_room_that_decides() -> None:
    rooms = tuple(f"treecast.{room}" for room in DECIDING)
    assert [
        f"{path}: {module}"
        for path, tree in outside()
        for module in imported(tree)
        if module in rooms or module.startswith(tuple(f"{room}." for room in rooms))
    ] == []


def test_a_reach_into_a_room_would_be_found() -> None:
    found = ast.parse("self._engine.topology.table.groups()\nnode.engine.links.peers()\nengine.view.links()")
    assert sorted(engine_attributes(found)) == ["links", "topology", "view"]
    assert "rooms" in attributes(ast.parse("kept = nodes[0].engine.rooms.topology.table"))


def test_tests_in_virtual_time_read_no_private_attribute() -> None:
    tests = Path(__file__).parents[2] / "sim"
    assert [
        f"{path.name}: {found.attr}"
        for path in sorted(tests.rglob("*.py"))
        for found in ast.walk(ast.parse(path.read_text()))
        if isinstance(found, ast.Attribute)
        and found.attr.startswith("_")
        and not found.attr.startswith("__")
        and not (isinstance(found.value, ast.Name) and found.value.id in ("self", "cls"))
    ] == []
