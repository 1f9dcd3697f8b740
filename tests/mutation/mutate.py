"""Take one guard out at a time, in a copy of the tree, and see a test fail that passes with it.

python -m tests.mutation.mutate [NAME ...]
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from enum import Enum
from pathlib import Path

from tests.mutation.guard import ROOT, Guard, guards

COPY = ROOT / "out" / "mutation"
COPIED = ("src", "tests", "crates", "docs", "lab", "bench", "tools", "Cargo.toml", "Cargo.lock", "pyproject.toml")
LIMIT_S = 300.0
PYTEST_FAILED, CARGO_FAILED = 1, 101
CARGO = {"CARGO_TARGET_DIR": str(ROOT / "target" / "mutation"), "PROPTEST_MAX_SHRINK_ITERS": "0"}


class Outcome(Enum):
    """The fate of a mutant."""

    KILLED = "killed"
    SURVIVED = "SURVIVED"
    GONE = "GONE"
    INVALID = "INVALID"


class FailsUnchangedError(Exception):
    """Tests of guards that fail although every guard is there: that they fail without one shows nothing."""


class Copy:
    """A copy of the tree, in which guards are taken out. Each change gives a file a later time: no cache is stale."""

    def __init__(self, root: Path = COPY) -> None:
        self.root = root
        self._stamp = 0
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        ignored = shutil.ignore_patterns("__pycache__", "target", ".hypothesis")
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, root / name, ignore=ignored)
            else:
                shutil.copy2(ROOT / name, root / name)
        for crate in (root / "crates").glob("*/src/lib.rs"):
            os.utime(crate)  # or cargo would take what an earlier copy's last mutant has left for this one

    def require_unchanged(self, chosen: Iterable[Guard]) -> None:
        """FailsUnchangedError unless these guards' tests pass as the code is. pytest runs once, cargo once a target."""
        python: dict[str, None] = {}
        rust: dict[tuple[str, ...], dict[str, None]] = {}
        for guard in chosen:
            gone = guard.tests_that_are_gone(self.root)
            tests = rust.setdefault(self._target(guard), {}) if guard.is_rust else python
            tests.update((test, None) for test in guard.tests if test not in gone)
        runs = [(self._cargo_test(target, "--", *tests), CARGO) for target, tests in rust.items() if tests]
        if python:
            runs.append((self._pytest_of(*python), self._python_path()))
        for command, environment in runs:
            code, said = self._run(command, environment, None)
            if code != 0:
                raise FailsUnchangedError(said[-4000:])

    def try_without(self, guard: Guard) -> tuple[Outcome, str]:
        """Whether a test fails without the guard, and what the tests said."""
        try:
            mutant = guard.without(self.root)
        except LookupError as error:
            return Outcome.GONE, str(error)
        if gone := guard.tests_that_are_gone(self.root):
            return Outcome.GONE, f"no such test: {', '.join(gone)}"
        original = (self.root / guard.file).read_text()
        self._write(guard.file, mutant)
        try:
            return self._cargo(guard) if guard.is_rust else self._pytest(guard)
        finally:
            self._write(guard.file, original)

    def _write(self, file: str, text: str) -> None:
        path = self.root / file
        path.write_text(text)
        self._stamp = max(self._stamp, int(time.time())) + 1
        os.utime(path, (self._stamp, self._stamp))

    def _pytest(self, guard: Guard) -> tuple[Outcome, str]:
        code, said = self._run(self._pytest_of("-x", *guard.tests), self._python_path())
        if code in (0, PYTEST_FAILED):
            return (Outcome.KILLED if code else Outcome.SURVIVED), said
        return Outcome.INVALID, said

    def _cargo(self, guard: Guard) -> tuple[Outcome, str]:
        target = self._target(guard)
        code, said = self._run(self._cargo_test(target, "--no-run"), CARGO, None)
        if code != 0:
            return Outcome.INVALID, said
        code, said = self._run(self._cargo_test(target, "--", *guard.tests), CARGO)
        return (Outcome.KILLED if code == CARGO_FAILED else Outcome.SURVIVED), said

    def _pytest_of(self, *arguments: str) -> list[str]:
        plugins = ("-p", "no:cacheprovider", "-p", "tests.mutation.no_shrinking")
        return [sys.executable, "-m", "pytest", *plugins, *arguments]

    def _python_path(self) -> dict[str, str]:
        return {"PYTHONPATH": str(self.root / "src")}

    def _target(self, guard: Guard) -> tuple[str, ...]:
        return ("--package", "treecast-" + Path(guard.file).parts[1], *guard.rust_target(self.root))

    def _cargo_test(self, target: tuple[str, ...], *arguments: str) -> list[str]:
        return ["cargo", "test", "--locked", "--quiet", *target, *arguments]

    def _run(self, command: list[str], environment: dict[str, str], limit_s: float | None = LIMIT_S) -> tuple[int, str]:
        """Its exit code and output. A mutant that does not end is as good as one whose test fails."""
        try:
            done = subprocess.run(
                command,
                cwd=self.root,
                env={**os.environ, **environment},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=limit_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return CARGO_FAILED if command[0] == "cargo" else PYTEST_FAILED, "it does not end"
        return done.returncode, done.stdout


def survivors(chosen: Iterable[Guard], say: Callable[[str], None] = print) -> list[str]:
    """The names of guards that no test holds. ``say`` gets a table: a line for each guard when it was tried.

    FailsUnchangedError where a test of theirs fails as the code is.
    """
    copy, tried = Copy(), list(chosen)
    copy.require_unchanged(tried)
    names: list[str] = []
    for guard in tried:
        began = time.monotonic()
        outcome, said = copy.try_without(guard)
        say(f"{outcome.value:8} {time.monotonic() - began:6.1f} s  {guard.file}: {guard.name}")
        if outcome is not Outcome.KILLED:
            names.append(guard.name)
            say(said[-2000:])
    return names


if __name__ == "__main__":
    if unknown := set(sys.argv[1:]) - {guard.name for guard in guards()}:
        sys.exit(f"no guard has the name {', '.join(sorted(unknown))}: they are in tests/mutation/guards")
    try:
        sys.exit(bool(survivors(guard for guard in guards() if guard.name in (sys.argv[1:] or [guard.name]))))
    except FailsUnchangedError as error:
        sys.exit(f"{error}\nno guard is tried: a test of one fails while it is there")
