"""Two types of one name are two sides of one thing: each name stands for one thing all over the code."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[3]
SOURCE = ROOT / "src" / "treecast"

RUST_TYPE = re.compile(r"^ *(?:pub(?:\([\w: ]+\))? )?(?:struct|enum|union|trait|type) (\w+)", re.MULTILINE)

OF_THE_NATIVE_MODULE = {
    "ForwardCut",
    "Handshake",
    "KeyPair",
    "LinkGraph",
    "LinkSecret",
    "Network",
    "SigningKey",
    "StaticKey",
}
"""Types of ``_native.pyi``: Python's side of one, or what Python has of it."""
OF_THE_API = {"LocalHost", "Peer", "Problem", "Querier", "RootedStream", "TracedNode", "TracedTree"}
"""Records of ``api``: what people and scripts read of a thing."""
OF_THE_SIMULATION = {"LinkGraph", "RootTree", "Sessions"}
"""Models of ``sim``: each stands for the real one."""
PYTHON_TWINS = OF_THE_NATIVE_MODULE | OF_THE_API | OF_THE_SIMULATION

RUST_TWINS = {"Forwarder", "Handshake", "KeyPair", "LinkSecret", "Network", "SigningKey"}
"""Types of ``crates/py``: each hands one of the other crates to Python."""

Names = Mapping[str, list[str]]


def by_name(found: Iterable[tuple[str, Path]]) -> Names:
    """The files of each name that several have, or one has twice."""
    names: defaultdict[str, list[str]] = defaultdict(list)
    for name, path in found:
        names[name].append(path.relative_to(ROOT).as_posix())
    return {name: sorted(files) for name, files in names.items() if len(files) > 1}


def python_classes() -> Iterator[tuple[str, Path]]:
    for path in (*SOURCE.rglob("*.py"), *SOURCE.rglob("*.pyi")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                yield node.name, path


def rust_types() -> Iterator[tuple[str, Path]]:
    for path in ROOT.glob("crates/*/src/**/*.rs"):
        if "tests" not in path.parts:
            yield from ((name, path) for name in RUST_TYPE.findall(path.read_text(encoding="utf-8")))


def several(names: Names, twins: set[str]) -> dict[str, list[str]]:
    return {name: files for name, files in names.items() if name not in twins}


def test_no_two_classes_of_python_have_one_name() -> None:
    assert len(list(python_classes())) > 500
    assert several(by_name(python_classes()), PYTHON_TWINS) == {}


def test_no_two_types_of_rust_have_one_name() -> None:
    assert len(list(rust_types())) > 150
    assert several(by_name(rust_types()), RUST_TWINS) == {}


def test_the_twins_are_where_they_are_said_to_be() -> None:
    python = by_name(python_classes())
    sides = {"_native.pyi": OF_THE_NATIVE_MODULE, "api/": OF_THE_API, "sim/": OF_THE_SIMULATION}
    for side, twins in sides.items():
        for name in twins:
            files = [path.removeprefix("src/treecast/") for path in python[name]]
            assert len([path for path in files if path.startswith(side)]) == 1, (name, files)
    rust = by_name(rust_types())
    for name in RUST_TWINS:
        assert len(rust[name]) == 2 and any(path.startswith("crates/py/") for path in rust[name]), (name, rust[name])
