"""A node's directory copied to a second machine, and both started."""

from __future__ import annotations

import shutil
from functools import partial

import pytest

from lab import Lab, wait_until
from lab.node import PORT, PROGRAM, Overlay, TreecastNode, run_treecast
from treecast.adapters.twin_file import TWIN_FILE
from treecast.api.client import fetch_status

LIMIT_S = 40.0


def said_twice(node: TreecastNode) -> list[str]:
    return [problem.text for problem in fetch_status(node.directory).problems if problem.kind == "identity_twice"]


def test_the_younger_of_two_machines_with_one_identity_ends_and_all_are_told_of_both() -> None:
    with Lab() as lab:
        lan = lab.switch()
        machines = [lab.machine(name, lan) for name in ("n0", "n1", "n2", "copy")]
        net = Overlay(machines[:3], lab.directory)
        net.start()
        n0, n1, _ = net.nodes
        shutil.copytree(n1.directory, lab.directory / "copy", ignore=shutil.ignore_patterns("*.sock", "*.lock"))
        copy = TreecastNode(machines[3], lab.directory / "copy")
        copy.name = n1.name
        copy.start(n0.endpoint)
        copy.wait_ready()
        wait_until(lambda: not copy.running, LIMIT_S, "the younger ends")
        assert copy.process.stop(1.0) == 3
        (sentence,) = [line for line in copy.log_tail().splitlines() if line.startswith("treecast: ")]
        assert "node n1 runs on another machine" in sentence
        assert n1.endpoint in sentence
        assert "treecast node add OTHER-NAME), and take its directory here" in sentence
        for node in net.nodes:
            (text,) = wait_until(partial(said_twice, node), LIMIT_S, f"{node.name} is told")
            assert n1.endpoint in text
            assert f"{machines[3].underlay_ipv4}:{PORT}" in text
        again = machines[3].run([PROGRAM, "up", copy.directory, "--peer", n0.endpoint], check=False, limit_s=LIMIT_S)
        assert again.returncode == 3, "whatever starts it again does not harm the older run"
        assert n1.endpoint in again.stderr
        assert f"delete {copy.directory / TWIN_FILE}" in again.stderr
        net.wait_linked(LIMIT_S)
        net.stop()


@pytest.mark.soak
def test_a_copy_whose_peer_is_the_original_ends_and_both_are_told() -> None:
    with Lab() as lab:
        lan = lab.switch()
        n0, other = lab.machine("n0", lan), lab.machine("copy", lan)
        net = Overlay([n0], lab.directory)
        net.start()
        original = net[0]
        shutil.copytree(original.directory, lab.directory / "copy", ignore=shutil.ignore_patterns("*.sock", "*.lock"))
        copy = TreecastNode(other, lab.directory / "copy")
        copy.name = original.name
        copy.start(original.endpoint)
        copy.wait_ready()
        wait_until(lambda: not copy.running, LIMIT_S, "the younger ends")
        (sentence,) = [line for line in copy.log_tail().splitlines() if line.startswith("treecast: ")]
        assert original.endpoint in sentence
        (problem,) = wait_until(lambda: fetch_status(original.directory).problems, LIMIT_S, "the original is told")
        assert problem.kind == "identity_twice"
        assert f"{other.underlay_ipv4}:{PORT}" in problem.text
        net.stop()


def test_a_node_that_was_added_again_elsewhere_ends_and_the_others_are_told_of_both() -> None:
    with Lab() as lab:
        lan = lab.switch()
        machines = [lab.machine(name, lan) for name in ("n0", "n1", "n2", "new")]
        net = Overlay(machines[:3], lab.directory)
        net.start()
        n0, n1, old = net.nodes
        directory = lab.directory / "new"
        said = run_treecast("node", "add", "n2", "--network", net.network, "--dir", directory, "--replace")
        assert "stop n2 wherever it still runs" in said
        new = TreecastNode(machines[3], directory)
        new.name = old.name
        new.start(n0.endpoint)
        new.wait_ready()
        wait_until(lambda: not old.running, LIMIT_S, "the older ends")
        assert old.process.stop(1.0) == 3
        (sentence,) = [line for line in old.log_tail().splitlines() if line.startswith("treecast: ")]
        assert "node n2 was added again on" in sentence
        for node in (n0, n1):
            (text,) = wait_until(partial(said_twice, node), LIMIT_S, f"{node.name} is told")
            for machine in machines[2:]:  # where it was linked, by IPv4 or IPv6
                assert f"{machine.underlay_ipv4}:{PORT}" in text or f"[{machine.underlay_ipv6}]:{PORT}" in text
        for node in (n0, n1):
            node.wait_linked({"n0", "n1", "n2"} - {node.name}, LIMIT_S)
        assert new.running
        for node in (new, n0, n1):
            node.stop()
