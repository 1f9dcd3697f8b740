"""The command as a process of its own: exit codes, streams, names of files, and what it loads."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from treecast import __version__
from treecast.adapters import storage

_TREECAST = Path(sys.executable).parent / "treecast"


@pytest.fixture(autouse=True)
def _in_a_directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [_TREECAST, *arguments],
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        timeout=30,
        check=False,
        env=os.environ | environment,
    )


def test_the_command_itself_prints_its_version() -> None:
    done = _command("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("treecast 0.")


def test_the_command_itself_returns_one_sentence_and_its_code(tmp_path: Path) -> None:
    assert _command("network", "create", "lab").returncode == 0
    again = _command("network", "create", "lab")
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr == "treecast: lab is there already and not empty: choose another --dir\n"
    usage = _command("node", "add")
    assert usage.returncode == 2
    assert "NODE" in usage.stderr


def test_a_directory_with_a_name_that_is_no_utf_8_is_used() -> None:
    name = os.fsdecode(b"n\xff")
    done = _command("network", "create", "lab", "--dir", name, LC_ALL="C.UTF-8")
    assert done.returncode == 0, done.stderr
    assert _command("status", name).returncode == 1
    assert storage.load_network(Path(name)).name == "lab"


def test_output_that_nobody_reads_is_no_traceback() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([_TREECAST, "--help"], stdout=writer, stderr=subprocess.PIPE, check=False, timeout=30)
    os.close(writer)
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    "words", ["--version", "--help", "network show lab", "network show lab --json", "node list lab"]
)
def test_output_to_a_full_disk_is_one_sentence(words: str) -> None:
    assert _command("network", "create", "lab").returncode == 0
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [_TREECAST, *words.split()], stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=30
        )
    assert done.returncode == 1
    assert done.stderr == (
        "treecast: the output could not be written (no space left on device): send it somewhere else, or free some "
        "space there\n"
    )


def test_a_sentence_that_cannot_be_written_leaves_the_exit_code() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([_TREECAST, "status", "nowhere"], stdout=full, stderr=full, check=False, timeout=30)
    assert done.returncode == 1


def test_closed_standard_streams_are_no_files_of_the_command() -> None:
    program = (
        "import os; from treecast.adapters import standard_streams; standard_streams.open_closed()\n"
        "import sys; print('lost'); print('lost', file=sys.stderr)\n"
        "assert [os.readlink(f'/proc/self/fd/{n}') for n in range(3)] == ['/dev/null'] * 3\n"
        "assert not os.path.exists('/proc/self/fd/3')\n"
    )
    for words in (f'"{sys.executable}" -c "$PROGRAM" <&- >&- 2>&-', f'"{_TREECAST}" network create lab >&- 2>&-'):
        subprocess.run(["sh", "-c", words], env=os.environ | {"PROGRAM": program}, check=True, timeout=30)
    assert storage.load_network(Path("lab")).name == "lab"


def test_verbs_of_the_ca_load_nothing_of_a_running_node() -> None:
    assert _command("network", "create", "lab").returncode == 0
    program = (
        "import sys; from treecast.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "heavy = {'asyncio', 'pyroute2', 'treecast._native', 'treecast.daemon', 'treecast.multicast'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "node", "add", "alice", "--network", "lab"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr


def test_a_node_loads_nothing_that_colours_terminals() -> None:
    program = (
        "import sys, treecast.cli.main, treecast.daemon.run\n"
        "heavy = {'rich', 'pygments', 'structlog', 'importlib.metadata'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr


def test_the_version_is_that_of_the_package() -> None:
    assert __version__ == metadata.version("treecast")


@pytest.mark.parametrize("verb", [("--version",), ("status", "nowhere"), ("up", "nowhere")])
def test_heavy_libraries_are_loaded_only_by_the_verbs_that_need_them(verb: tuple[str, ...]) -> None:
    program = (
        "import sys; from treecast.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'rich', 'cryptography', 'asyncio', 'pydantic', 'pyroute2', 'structlog', 'treecast._native'}\n"
        "heavy |= {'treecast.daemon', 'treecast.multicast'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *verb], capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 0, done.stderr
