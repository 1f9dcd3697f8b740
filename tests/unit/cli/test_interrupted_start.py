"""Signals while the command still imports what it needs: Ctrl-C ends it without a word, a node does not heed SIGHUP.

What these tests were begun with is put aside first: a process hands on which signals it ignores.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PROGRAM = """
import os, signal, sys
signal.signal({number}, signal.default_int_handler if {number} == signal.SIGINT else signal.SIG_DFL)
class Interrupted:
    def find_spec(self, name, *_):
        if name == {module!r}:
            os.write(1, b"sent")
            os.kill(os.getpid(), {number})
sys.meta_path.insert(0, Interrupted())
from treecast.cli.start import main
main()
"""
IMPORTED = ("treecast.cli.main", "typer", "treecast.cli.up_options", "typer.core", "treecast.adapters.account")
OF_A_NODE = (*IMPORTED, "treecast.daemon.run", "asyncio", "pyroute2", "treecast._native")


def _run(module: str, number: signal.Signals, *words: str) -> subprocess.CompletedProcess[str]:
    """The command, to which the signal is sent when it imports the module."""
    program = PROGRAM.format(module=module, number=int(number))
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout.startswith("sent")
    return done


@pytest.fixture(autouse=True)
def _a_node_that_cannot_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("alice").mkdir()
    Path("alice/node.key").touch(mode=0o600)


def test_the_command_is_begun_where_signals_are_settled_first() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    assert project["project"]["scripts"] == {"treecast": "treecast.cli.start:main"}


@pytest.mark.parametrize("module", OF_A_NODE)
def test_an_interrupt_ends_a_node_s_start_at_once_and_without_a_word(module: str) -> None:
    done = _run(module, signal.SIGINT, "up", "alice")
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "sent", "")


@pytest.mark.parametrize("module", OF_A_NODE)
def test_a_hangup_does_not_end_a_node_s_start(module: str) -> None:
    done = _run(module, signal.SIGHUP, "up", "alice")
    assert (done.returncode, done.stdout) == (1, "sent")
    assert done.stderr.startswith("treecast: ") and "network.json is missing" in done.stderr


@pytest.mark.parametrize("module", ["treecast.cli.main", "typer", "typer.core"])
def test_an_interrupt_of_another_verb_is_no_traceback_either(module: str) -> None:
    done = _run(module, signal.SIGINT, "network", "create", "lab")
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")
    assert not Path("lab").exists()


def test_a_verb_that_is_interrupted_puts_away_what_it_has_begun() -> None:
    program = (
        "import os, sys; from treecast.adapters import files\n"
        "sync = os.fsync\n"
        "def interrupted(descriptor):\n"
        "    print('sent', os.listdir(), flush=True)\n"
        f"    os.kill(os.getpid(), {int(signal.SIGINT)})\n"
        "os.fsync = interrupted\n"
        "from treecast.cli.start import main; main()\n"
    )
    words = [sys.executable, "-c", program, "network", "create", "lab"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 130 and ".treecast-" in done.stdout
    assert "Traceback" not in done.stderr
    assert [path.name for path in Path().iterdir()] == ["alice"]


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_verb_that_is_no_node_ends_with_its_terminal(number: signal.Signals) -> None:
    assert _run("typer", number, "status", "alice").returncode == -number
