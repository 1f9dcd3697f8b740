"""Types of one name are sides of one thing: each name stands for one thing all over the code, in both languages.

An alias is a type as a class is. A ``TypeVar`` is none: it stands for any.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[3]
SOURCE = ROOT / "src" / "treecast"

RUST_TYPE = re.compile(r"^ *(?:pub(?:\([\w: ]+\))? )?(?:struct|enum|union|trait|type) (\w+)", re.MULTILINE)
NAME_OF_A_TYPE = re.compile(r"_?[A-Z]\w*[a-z]\w*")

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

HANDED_TO_PYTHON = {
    "Address",
    "Forwarder",
    "Handshake",
    "KeyPair",
    "LinkGraph",
    "LinkSecret",
    "Network",
    "SigningKey",
    "StaticKey",
}
"""Types of Rust that ``_native.pyi`` declares."""
MODELLED = {
    "DownstreamStream",
    "Fingerprints",
    "ForwardingTables",
    "FrameKind",
    "Graph",
    "Link",
    "Packet",
    "Probe",
    "ProbedVia",
    "ReplayWindow",
    "RootTree",
    "SignatureChecks",
    "StreamName",
    "Tree",
    "TreeName",
    "TreeState",
    "Underlay",
    "UnvalidatedAddress",
    "Withheld",
}
"""Types of Rust of which ``sim`` has the model."""
CARRIED = {"Command", "Event", "InstalledPlace", "KeepLocal", "KeyFlow", "ParentFailure", "SetRoute", "SourceFilter"}
"""Values that the engine and the data plane hand to each other, the same on either side."""
DECIDED_AND_DONE = {
    "DownstreamTree",
    "DownstreamTrees",
    "NodeRoutes",
    "PacketPort",
    "PacketPorts",
    "Path",
    "Peer",
    "SenderKey",
    "Session",
    "Storm",
}
"""One thing of which Python decides or answers, and with which Rust moves packets."""
OF_BOTH = {"Drops", "Endpoint", "GraftState", "TokenBucket", "Volume"}
"""The same thing, which each language needs for itself."""
TWINS_ACROSS = HANDED_TO_PYTHON | MODELLED | CARRIED | DECIDED_AND_DONE | OF_BOTH

Names = Mapping[str, list[str]]


def files_by_name(found: Iterable[tuple[str, Path]]) -> Names:
    """The files of each name."""
    names: defaultdict[str, list[str]] = defaultdict(list)
    for name, path in found:
        names[name].append(path.relative_to(ROOT).as_posix())
    return {name: sorted(files) for name, files in names.items()}


def aliases(module: ast.Module) -> Iterator[str]:
    for node in module.body:
        match node:
            case ast.Assign(targets=[ast.Name(name)], value=ast.Call(func=ast.Name("TypeVar"))):
                continue
            case ast.Assign(targets=[ast.Name(name)]) | ast.AnnAssign(target=ast.Name(name)):
                if NAME_OF_A_TYPE.fullmatch(name):
                    yield name


def python_types() -> Names:
    def found() -> Iterator[tuple[str, Path]]:
        for path in (*SOURCE.rglob("*.py"), *SOURCE.rglob("*.pyi")):
            module = ast.parse(path.read_text(encoding="utf-8"))
            yield from ((node.name, path) for node in ast.walk(module) if isinstance(node, ast.ClassDef))
            yield from ((name, path) for name in aliases(module))

    return files_by_name(found())


def rust_types() -> Names:
    def found() -> Iterator[tuple[str, Path]]:
        for path in ROOT.glob("crates/*/src/**/*.rs"):
            if "tests" not in path.parts:
                yield from ((name, path) for name in RUST_TYPE.findall(path.read_text(encoding="utf-8")))

    return files_by_name(found())


def several(names: Names, twins: set[str]) -> dict[str, list[str]]:
    return {name: files for name, files in names.items() if len(files) > 1 and name not in twins}


def test_no_two_types_of_python_have_one_name() -> None:
    python = python_types()
    assert len(python) > 500
    assert {"Command", "NodeIndex", "KeyFlow"} <= python.keys()  # aliases, and a NewType
    assert several(python, PYTHON_TWINS) == {}


def test_no_two_types_of_rust_have_one_name() -> None:
    rust = rust_types()
    assert len(rust) > 150
    assert several(rust, RUST_TWINS) == {}


def test_a_name_of_both_languages_is_one_thing() -> None:
    python, rust = python_types(), rust_types()
    of_both = {name: python[name] + rust[name] for name in python.keys() & rust.keys()}
    assert {name: files for name, files in of_both.items() if name not in TWINS_ACROSS} == {}
    assert TWINS_ACROSS - of_both.keys() == set()


def test_the_twins_are_where_they_are_said_to_be() -> None:
    python = python_types()
    sides = {"_native.pyi": OF_THE_NATIVE_MODULE, "api/": OF_THE_API, "sim/": OF_THE_SIMULATION}
    for side, twins in sides.items():
        for name in twins:
            files = [path.removeprefix("src/treecast/") for path in python[name]]
            assert len([path for path in files if path.startswith(side)]) == 1, (name, files)
    for side, twins in {"_native.pyi": HANDED_TO_PYTHON, "sim/": MODELLED}.items():
        for name in twins:
            assert any(path.startswith(f"src/treecast/{side}") for path in python[name]), (name, python[name])
    rust = rust_types()
    for name in RUST_TWINS:
        assert len(rust[name]) == 2 and any(path.startswith("crates/py/") for path in rust[name]), (name, rust[name])
