"""Nothing of a lab stays when its owner ends, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lab import Lab, Machine, wait_until
from lab.load import Receiver, Sender, ending_streams
from lab.namespace import names

ROOT = Path(__file__).parents[3]
LIMIT_S = 20.0

# Builds a lab with a program that ignores SIGTERM, says what it has made, and waits for its end.
OWNER = """
import signal
from lab import Lab
with Lab() as lab:
    machine = lab.machine("n0", lab.switch())
    sleeper = machine.spawn(["sh", "-c", "trap '' TERM; sleep 600 & sleep 600"])
    print(lab.prefix, sleeper.pid, lab.directory, flush=True)
    signal.pause()
"""


class Owner:
    """A process that owns a lab."""

    def __init__(self, script: str = OWNER) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdout is not None
        with self.process.stdout as stdout:
            self.prefix, pid, directory = stdout.readline().split()
        self.pid = int(pid)
        self.directory = Path(directory)

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(LIMIT_S)

    @property
    def has_left_anything(self) -> bool:
        return bool(of_prefix(self.prefix)) or is_alive(self.pid) or self.directory.exists()


def of_prefix(prefix: str) -> list[str]:
    return [name for name in names() if name.startswith(prefix)]


def is_alive(pid: int) -> bool:
    """Whether it exists and is no zombie (proc_pid_stat(5), field 3)."""
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"


def test_a_lab_is_gone_after_its_block() -> None:
    with Lab() as lab:
        machine = lab.machine("n0", lab.switch())
        sleeper = machine.spawn(["sleep", "600"])
        assert len(of_prefix(lab.prefix)) == 2
        assert lab.directory.exists()
    assert of_prefix(lab.prefix) == []
    assert not is_alive(sleeper.pid)
    assert not lab.directory.exists()


def fail_in_a_lab(lab: Lab) -> None:
    machine = lab.machine("n0", lab.switch())
    machine.spawn(["sleep", "600"])
    raise RuntimeError("a test failed")


def test_a_lab_is_gone_after_an_exception() -> None:
    lab = Lab()
    with pytest.raises(RuntimeError, match="a test failed"), lab:
        fail_in_a_lab(lab)
    assert of_prefix(lab.prefix) == []


def test_programs_that_leave_their_process_group_are_ended_too() -> None:
    with Lab() as lab:
        machine = lab.machine("n0", lab.switch())
        shell = machine.spawn(["sh", "-c", "setsid sleep 600 & echo $!; wait"], stdout=subprocess.PIPE)
        escaped = int(shell.read_line(LIMIT_S))
        assert is_alive(escaped)
    assert not is_alive(escaped)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_owner_ends_its_lab(number: signal.Signals) -> None:
    owner = Owner()
    assert len(of_prefix(owner.prefix)) == 2
    assert owner.end(number) != 0
    assert not owner.has_left_anything


# Two tests that share a lab; the first is hit while it waits for a program.
TESTS = """
import pytest
from lab import Lab
@pytest.fixture(scope="session")
def machine():
    with Lab() as lab:
        machine = lab.machine("n0", lab.switch())
        sleeper = machine.spawn(["sleep", "600"])
        with open(1, "w", closefd=False) as out:
            print(lab.prefix, sleeper.pid, lab.directory, file=out, flush=True)
        machine.run(["sleep", "600"], limit_s=600)
        yield machine
def test_one(machine): pass
def test_other(machine): pass
"""


def test_a_signal_to_a_run_of_tests_ends_all_of_it(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TESTS, encoding="utf-8")
    words = [str(tmp_path), "-s", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml")]
    quietly = "import os, pytest, sys; sys.stdout = open(os.devnull, 'w')"  # nobody reads more than the first line
    owner = Owner(f"{quietly}; sys.exit(pytest.main({words!r}))")
    assert owner.end(signal.SIGTERM) == pytest.ExitCode.INTERRUPTED
    assert not owner.has_left_anything


def test_a_lab_without_a_with_block_ends_with_its_program() -> None:
    script = "from lab import Lab; lab = Lab(); m = lab.machine('n0', lab.switch());"
    script += "print(lab.prefix, m.spawn(['sleep', '600']).pid, lab.directory, flush=True); input()"
    owner = Owner(script)
    owner.process.wait(LIMIT_S)
    assert not owner.has_left_anything


def test_a_forked_child_of_the_owner_does_not_end_its_lab() -> None:
    with Lab() as lab:
        machine = lab.machine("n0", lab.switch())
        child = os.fork()
        if child == 0:
            lab.close()
            os._exit(0)
        os.waitpid(child, 0)
        assert_reachable(machine)


def test_what_a_killed_owner_left_is_removed_by_the_next_lab() -> None:
    owner = Owner()
    assert len(of_prefix(owner.prefix)) == 2
    assert owner.end(signal.SIGKILL) == -signal.SIGKILL
    with Lab():
        wait_until(lambda: not owner.has_left_anything, LIMIT_S, "the leftovers are gone")


def test_a_new_lab_leaves_those_of_living_owners_alone(lab: Lab) -> None:
    machine = lab.machine("n0", lab.switch())
    sleeper = machine.spawn(["sleep", "600"])
    with Lab() as other:
        assert other.prefix != lab.prefix
    assert sleeper.running
    assert_reachable(machine)


def assert_reachable(machine: Machine) -> None:
    assert machine.run(["ping", "-c", "1", "-W", "2", machine.underlay_ipv4]).returncode == 0


def leave_streams_and_fail(machine: Machine, left: list[int]) -> None:
    left.append(Receiver(machine, "127.0.0.1", 5000).pid)
    left.append(Sender(machine, "127.0.0.1", 5000, rate_pps=10).pid)
    raise RuntimeError("a test failed")


def test_streams_that_a_test_left_end_with_it_and_its_lab_goes_on(lab: Lab, request: pytest.FixtureRequest) -> None:
    assert "streams_end_with_their_test" in request.fixturenames, "each test of the lab ends its own"
    machine = lab.machine("n0", lab.switch())
    left: list[int] = []
    sleeper = machine.spawn(["sleep", "600"])
    with pytest.raises(RuntimeError, match="a test failed"), ending_streams():
        leave_streams_and_fail(machine, left)
    assert [is_alive(pid) for pid in left] == [False, False]
    assert sleeper.running
