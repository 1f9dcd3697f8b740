"""No module of the package imports itself by way of others: the layers leave that open within one package."""

from __future__ import annotations

import sys
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from pathlib import Path

import grimp
import pytest


def circle(package: str) -> list[str]:
    """The modules of one circle, the first again at the end; none when there is no circle."""
    graph = grimp.build_graph(package, cache_dir=None)
    imported = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    try:
        TopologicalSorter(imported).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert circle("treecast") == []


def test_a_circle_within_a_package_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "made_up"
    package.mkdir()
    for name, text in (("__init__", ""), ("a", "from made_up import b"), ("b", "def f():\n    import made_up.a")):
        (package / f"{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    assert import_module("made_up").__path__
    assert set(circle("made_up")) == {"made_up.a", "made_up.b"}
    sys.modules.pop("made_up")
