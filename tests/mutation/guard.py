"""A guard: a few words of code that keep something bad from happening, and the tests that fail without them."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
LISTS = Path(__file__).parent / "guards"


@dataclass(frozen=True, slots=True)
class Guard:
    """``old`` stands in ``file`` once, and is taken out by writing ``new``; one of ``tests`` must then fail.

    ``tests``: pytest node ids; where ``file`` is Rust, tests of its crate's ``tests/all`` (``replay::name``), or, where
    the crate has none, of its modules (``waiting::tests::name``).
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    @property
    def is_rust(self) -> bool:
        return self.file.endswith(".rs")

    def without(self, root: Path = ROOT) -> str:
        """The file's text without the guard. LookupError where the list is older than the code."""
        text = (root / self.file).read_text() if (root / self.file).exists() else ""
        if text.count(self.old) != 1:
            where = "is there more than once" if self.old in text else "is no longer there"
            raise LookupError(f"guard {self.name!r} {where} ({self.file}): say in tests/mutation/guards what it is now")
        return text.replace(self.old, self.new)

    def tests_that_are_gone(self, root: Path = ROOT) -> list[str]:
        """The tests of ``tests`` that no file has."""
        return [test for test in self.tests if not self._has(root, test)]

    def rust_target(self, root: Path = ROOT) -> tuple[str, ...]:
        """The target of cargo's that has the tests."""
        return ("--test", "all") if (self._crate(root) / "tests" / "all").is_dir() else ("--lib",)

    def _crate(self, root: Path) -> Path:
        return root / Path(*Path(self.file).parts[:2])

    def _has(self, root: Path, test: str) -> bool:
        first, _, name = test.partition("::")
        file, name = root / first, name.split("::")[0]
        if self.is_rust and self.rust_target(root) == ("--lib",):
            file, name = self._crate(root) / "src" / f"{first}.rs", test.rsplit("::", maxsplit=1)[-1]
        elif self.is_rust:
            file = self._crate(root) / "tests" / "all" / f"{first}.rs"
        return file.exists() and re.search(rf"\b{re.escape(name)}\b", file.read_text()) is not None


def guards() -> list[Guard]:
    """All of the lists, in the order of their names."""
    found: list[Guard] = []
    for path in sorted(LISTS.glob("*.toml")):
        for entry in tomllib.loads(path.read_text())["guard"]:
            found.append(Guard(entry["name"], entry["file"], entry["old"], entry["new"], tuple(entry["tests"])))
    return found
