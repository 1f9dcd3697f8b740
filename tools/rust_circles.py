"""Finds circles of imports among the files of each Rust crate, and prints the lines that close them.

An import is any path from ``crate::``, ``super::`` or ``self::``, in a ``use`` or inline. Tests are left out, and so is
what a ``mod.rs`` or ``lib.rs`` exports again by a child's bare name.
"""

import re
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[1]
NO_CODE = re.compile(
    r"""//[^\n]*|/\*.*?\*/|\b[bc]?r(?P<hashes>#*)".*?"(?P=hashes)|"(?:\\.|[^"\\])*"|'(?:\\[^\n]|[^\\'\n])'""", re.DOTALL
)
"""Comments, raw and other strings, and characters; the quote of a lifetime has none after the next character."""
TEST_MODULE = re.compile(r"#\[cfg\(test\)\]\s*mod \w+ \{.*?^\}", re.DOTALL | re.MULTILINE)
RENAMED = re.compile(r"\buse\s[^;]*?\b(?:crate|super|self)\s+as\s|\bextern\s+crate\s+self\b")
"""A module by another name: what is imported by that is not seen."""
START = re.compile(r"(?<![\w:])(?:\$?crate|super|self)::")
STEP = re.compile(r"\s*(\w+)\s*(::)?")
Imports = dict[str, dict[str, int]]  # file -> each file that it imports, with the first line that does


def code(text: str) -> str:
    """The source without comments, strings and test modules, on the same lines."""
    for no_code in (NO_CODE, TEST_MODULE):
        text = no_code.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)
    return text


def paths(text: str, at: int, front: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], int]]:
    """Each path that continues ``front`` at an offset, groups in braces taken apart, and where it was read."""
    while step := STEP.match(text, at):
        front, at = (*front, step.group(1)), step.end()
        if not step.group(2):
            break
    yield front, at
    if text[at : at + 1] != "{":
        return
    depth, begin = 0, at + 1
    for offset in range(at, len(text)):
        depth += {"{": 1, "}": -1}.get(text[offset], 0)
        if depth == 0 or (depth == 1 and text[offset] == ","):
            yield from paths(text[:offset], begin, front)
            begin = offset + 1
        if depth == 0:
            return


def imports(source: Path) -> Imports:
    """The imports among the files below a crate's ``src``."""
    every = {path.relative_to(source) for path in source.rglob("*.rs")}
    files = [file for file in sorted(every) if "tests" not in file.parts]
    modules = {tuple(part for part in file.with_suffix("").parts if part not in ("mod", "lib")): file for file in files}
    found: Imports = {file.as_posix(): {} for file in files}
    for module, file in modules.items():
        text = code((source / file).read_text(encoding="utf-8"))
        for start in START.finditer(text):
            for steps, end in paths(text, start.start()):
                ups = steps.count("super")
                path = steps[1:] if steps[0] == "crate" else (*module[: len(module) - ups], *steps[max(ups, 1) :])
                target = next(modules[path[:size]] for size in range(len(path), -1, -1) if path[:size] in modules)
                if target != file:
                    found[file.as_posix()].setdefault(target.as_posix(), text.count("\n", 0, end) + 1)
    return found


def renamed(source: Path) -> list[str]:
    """Lines below a crate's ``src`` that give the crate or a module around them another name."""
    return [
        f"{path.relative_to(source).as_posix()}:{text.count(chr(10), 0, match.start()) + 1}"
        for path in sorted(source.rglob("*.rs"))
        for text in [code(path.read_text(encoding="utf-8"))]
        for match in RENAMED.finditer(text)
    ]


def circle(found: Imports) -> list[str]:
    """The lines that close one circle, ``file:line imports file``; none when there is no circle."""
    try:
        TopologicalSorter(found).prepare()
    except CycleError as error:
        files = error.args[1][::-1]
        return [f"{file}:{found[file][to]} imports {to}" for file, to in pairwise(files)]
    return []


if __name__ == "__main__":
    sources = sorted(ROOT.glob("crates/*/src"))
    closing = [(source / line).relative_to(ROOT) for source in sources for line in circle(imports(source))]
    other_names = [(source / line).relative_to(ROOT) for source in sources for line in renamed(source)]
    wrong = [f"a circle: {line}" for line in closing]
    wrong += [f"imports are not seen by another name of a module: {line}" for line in other_names]
    sys.exit("\n".join(wrong) or 0)
