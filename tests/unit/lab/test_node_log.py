from __future__ import annotations

import subprocess
from pathlib import Path
from typing import cast

from lab import Machine
from lab.node import LOG_TAIL_CHARACTERS, TreecastNode


class Writer:
    """A machine whose programs append a text to their stderr, and have ended."""

    def __init__(self) -> None:
        self.text = ""

    def spawn(self, _: object, *, stdout: int, stderr: Path, env: object) -> None:
        assert (stdout, env) == (subprocess.PIPE, {})
        with stderr.open("a", encoding="utf-8") as log:
            log.write(self.text)


def test_the_log_of_a_run_has_all_of_it_and_nothing_of_the_runs_before(tmp_path: Path) -> None:
    writer = Writer()
    node = TreecastNode(cast("Machine", writer), tmp_path / "n0")
    assert node.log_of_run() == ""
    for text in ("first ü\n", "second\n" + LOG_TAIL_CHARACTERS * "x", ""):
        writer.text = text
        node.start()
        assert node.log_of_run() == text
