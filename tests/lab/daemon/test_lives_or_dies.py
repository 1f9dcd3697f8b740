"""A daemon with a bug, or with a machine that fails it: it goes on without what that was about, or it ends and says so.

::

      n0: sound        n1: with the bugs of the test
         ===+================+===
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from lab import Lab, wait_until
from lab.node import INTERFACE, POLL_S, PROGRAM, Overlay, TreecastNode

FAULTY = Path(__file__).with_name("faulty.py")
SIGNALLED = Path(__file__).with_name("signalled.py")
LIMIT_S = 15.0


@pytest.fixture(scope="module")
def two() -> Iterator[Overlay]:
    """n0 runs; n1 is started by each test, with n0 as its peer."""
    with Lab() as lab:
        lan = lab.switch()
        overlay = Overlay([lab.machine(f"n{number}", lan) for number in range(2)], lab.directory)
        overlay[0].start()
        overlay[0].wait_ready()
        yield overlay


@pytest.fixture
def n1(two: Overlay) -> Iterator[TreecastNode]:
    """A node that may be started with bugs; stopped after the test."""
    node = two[1]
    node.log.unlink(missing_ok=True)
    yield node
    print(node.log_tail())
    if node.running:
        node.kill()


def start(node: TreecastNode, two: Overlay, bugs: str, options: Sequence[str] = ()) -> None:
    node.program = [sys.executable, FAULTY, bugs]
    node.start(two[0].endpoint, options=options)


def wait_drops(node: TreecastNode, reason: str) -> None:
    wait_until(lambda: node.status().drops.get(reason, 0) > 0, LIMIT_S, reason, poll_s=POLL_S)


def last_line(node: TreecastNode) -> str:
    return node.log_tail().splitlines()[-1]


def test_a_bug_in_the_handling_of_frames_or_of_a_verb_costs_those(two: Overlay, n1: TreecastNode) -> None:
    start(n1, two, "frames,answers")
    n1.wait_ready()
    n1.wait_linked({"n0"})
    wait_drops(n1, "internal_error")
    for _ in range(2):
        refused = n1.machine.run([PROGRAM, "hosts", n1.directory], check=False)
        assert refused.returncode == 1
        assert refused.stderr.startswith(f"treecast: the node in {n1.directory} met a bug while it answered")
    log = n1.log.read_text()
    for where in ("TapFrame", '"answer to hosts"'):
        (line,) = [line for line in log.splitlines() if f"where={where}" in line]
        assert "level=error" in line
        assert "UnforeseenError" in line
        assert "Traceback" in line
    wait_until(lambda: [p.kind for p in n1.status().problems] == ["internal_error"], LIMIT_S, "problem", poll_s=POLL_S)
    n1.stop()


def test_a_node_whose_turns_all_fail_ends_and_says_so(two: Overlay, n1: TreecastNode) -> None:
    start(n1, two, "turns")
    assert n1.process.wait(LIMIT_S) == 1
    assert last_line(n1).startswith("treecast: the node ends because of a bug, 5 of its turns failed in a row")
    assert n1.log.read_text().count("Traceback") == 1


def test_a_node_without_one_of_its_workers_ends_and_says_so(two: Overlay, n1: TreecastNode) -> None:
    start(n1, two, "worker", ["--workers", "2"])
    n1.wait_ready()
    n1.process.send_signal(signal.SIGUSR1)
    assert n1.process.wait(LIMIT_S) == 1
    assert last_line(n1).startswith("treecast: the node ends because 1 of the 2 threads that move packets ended")


def test_addresses_are_announced_again_though_netlink_failed_and_a_peer_has_no_name_that_idna_allows(
    two: Overlay, n1: TreecastNode
) -> None:
    """The control socket is there again though somebody removed it."""
    start(n1, two, "netlink,names", ["--peer", "idna.example:7700"])
    n1.wait_ready()
    n1.wait_linked({"n0"})
    (n1.directory / "control.sock").unlink()
    wait_until(lambda: n1.log.read_text().count("task failed") == 2, LIMIT_S, "two failures")
    added = "198.18.0.99"
    n1.machine.run(["ip", "address", "add", f"{added}/24", "dev", n1.machine.underlay_interface])
    wait_until(lambda: f"{added}:7700" in n1.log.read_text(), LIMIT_S, "the new address is announced")
    wait_until((n1.directory / "control.sock").exists, LIMIT_S, "control.sock")
    n1.wait_linked({"n0"})
    n1.stop()
    log = n1.log.read_text()
    assert "label empty or too long" in log
    assert "resolving the names of peers" not in log, "the name costs itself only"


def test_the_log_level_changes_while_the_node_runs_and_systemd_hears_that_its_threads_turn(
    two: Overlay, n1: TreecastNode
) -> None:
    address = n1.directory.with_name("notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(address))
        manager.settimeout(LIMIT_S)
        n1.environment = {"NOTIFY_SOCKET": str(address), "WATCHDOG_USEC": "400000"}
        start(n1, two, "", ["--log-level", "warning"])
        n1.wait_ready()
        heard: list[str] = []
        while heard.count("WATCHDOG=1") < 5 or not any(line.startswith("STATUS=1 peer, ") for line in heard):
            heard.append(manager.recv(4096).decode())
        assert "READY=1" in heard
        assert n1.status().log_level == "warning"
        said = n1.machine.run([PROGRAM, "log-level", n1.directory, "info"]).stdout
        assert said == f"node {n1.name} in {n1.directory} logs at level info from now on, until it ends\n"
        assert n1.status().log_level == "info"
        n1.wait_logged('event="log level changed" level_before=warning level_now=info')
        assert "level=info" not in n1.log.read_text()
        n1.stop()
        assert "event=stopping" in n1.log.read_text()
        n1.environment = {}


@pytest.mark.parametrize("mount", ["--bind /dev/null /dev/net/tun", "-t tmpfs none /dev/net"])
def test_a_machine_without_a_tun_device_is_told_what_to_do(two: Overlay, mount: str) -> None:
    n1 = two[1]
    command = f"mount {mount} && exec {PROGRAM} up {n1.directory}"
    done = n1.machine.run(["unshare", "-m", "sh", "-c", command], check=False)
    assert done.returncode == 1
    assert "/dev/net/tun, by which a node makes its interface, is missing or is no TUN/TAP device" in done.stderr
    assert "modprobe tun" in done.stderr
    assert "--device /dev/net/tun" in done.stderr


@pytest.fixture
def unread(tmp_path: Path) -> Iterator[Path]:
    """A pipe that is full, and that nobody reads."""
    path = tmp_path / "unread"
    os.mkfifo(path)
    descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    with suppress(BlockingIOError):
        while True:
            os.write(descriptor, bytes(4096))
    yield path
    os.close(descriptor)


@pytest.mark.parametrize("words", ["no space left on device", "nobody reads"])
def test_a_node_whose_output_cannot_be_written_runs_and_ends_as_ever(two: Overlay, unread: Path, words: str) -> None:
    n1 = two[1]
    output = Path("/dev/full") if words.startswith("no space") else unread
    up = n1.machine.spawn([PROGRAM, "up", n1.directory, "--peer", two[0].endpoint], stdout=output, stderr=output)

    def trouble() -> dict[str, str]:
        done = n1.machine.run([PROGRAM, "status", n1.directory, "--json"], check=False)
        problems = json.loads(done.stdout)["problems"] if done.returncode == 0 else []
        return {problem["subject"]: problem["text"] for problem in problems if problem["kind"] == "log_unwritable"}

    wait_until(lambda: trouble().keys() == {"stderr"}, LIMIT_S, "one problem of one place", poll_s=POLL_S)
    assert all(words in text for text in trouble().values())
    n1.machine.run([PROGRAM, "log-level", n1.directory, "debug"])
    assert "internal_error" not in n1.machine.run([PROGRAM, "status", n1.directory]).stdout
    assert up.stop(LIMIT_S) == 0


def test_an_interrupt_while_the_keeper_is_forked_ends_the_start_without_a_word(two: Overlay, n1: TreecastNode) -> None:
    """Nothing of it stays: a whole start follows, through a hangup in the same moment."""
    n1.program = [sys.executable, SIGNALLED, str(int(signal.SIGINT))]
    n1.start(two[0].endpoint)
    assert n1.process.wait(LIMIT_S) == -signal.SIGINT
    said = n1.log.read_text().splitlines()
    assert [line for line in said if not line.startswith("timestamp=")] == [], "no traceback"
    assert not any("ready" in line for line in said)
    shown = ["ip", "link", "show", INTERFACE]
    wait_until(
        lambda: n1.machine.run(shown, check=False).returncode != 0, LIMIT_S, "its interface is gone", poll_s=POLL_S
    )
    n1.program = [sys.executable, SIGNALLED, str(int(signal.SIGHUP))]
    n1.start(two[0].endpoint)
    n1.wait_ready()
    n1.wait_linked({"n0"})
    n1.stop()
