"""A node that is revoked while it receives one stream and sends another: cut off within two seconds, and for good.

::

      n0: sends A      n1: wants A and B, is given the revocation      n2: wants A, sends B, is revoked
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from lab import Lab, Machine
from lab.load import Receiver, Sender
from lab.node import INTERFACE, Overlay, TreecastNode, run_treecast
from lab.sites import show_logs
from lab.waiting import wait_until
from tests.lab.overlay.asking import LIMIT_S, drops, quiet_since, wait_received
from treecast.adapters import storage
from treecast.adapters.revocations_file import REVOCATIONS_FILE
from treecast.api.client import fetch_peers, fetch_status
from treecast.base.time import iso_date

A, B, RATE_PPS = ("239.20.8.1", 5008), ("239.20.8.2", 5009), 500


def refused(node: TreecastNode) -> int:
    """Times that the node has refused a revoked certificate."""
    return drops(node).get("certificate_revoked", 0)


def refused_more_than(node: TreecastNode, times: int) -> bool:
    return refused(node) > times


@pytest.fixture
def machines() -> Iterator[list[Machine]]:
    """Three for nodes that are there, and one for a node that comes later."""
    with Lab() as lab:
        lan = lab.switch()
        yield [lab.machine(f"n{number}", lan) for number in range(4)]


@pytest.fixture
def net(machines: list[Machine], tmp_path: Path) -> Iterator[Overlay]:
    overlay = Overlay(machines[:3], tmp_path)
    overlay.start()
    yield overlay
    show_logs(overlay.nodes)
    overlay.stop()


def revoked(node: TreecastNode) -> list[str]:
    return fetch_status(node.directory).revoked


def is_still(receiver: Receiver, going_on: Receiver) -> bool:
    """Whether nothing comes while another stream goes on for a second."""
    before = receiver.snapshot().received
    wait_received(going_on, going_on.snapshot().received + RATE_PPS)
    return receiver.snapshot().received == before


def test_a_revoked_node_gets_and_sends_nothing_any_more_and_no_restart_brings_it_back(
    net: Overlay, tmp_path: Path
) -> None:
    n0, n1, n2 = net.nodes
    streams = [Sender(node.machine, *to, interface=INTERFACE, rate_pps=RATE_PPS) for node, to in ((n0, A), (n2, B))]
    stays, of_revoked, at_revoked = (
        Receiver(node.machine, *of, interface=INTERFACE) for node, of in ((n1, A), (n1, B), (n2, A))
    )
    for receiver in (stays, of_revoked, at_revoked):
        wait_received(receiver, 100)
    file = tmp_path / "n2.revocation"
    run_treecast("node", "revoke", "n2", "--network", net.network, "--out", file)
    assert "tells its" in run_treecast("revocation", "apply", file, n1.directory)
    what = "neither gets anything of the other"
    wait_until(lambda: is_still(of_revoked, stays) and is_still(at_revoked, stays), LIMIT_S, what)
    assert stays.stop().lost == 0
    wait_until(lambda: not fetch_status(n2.directory).peers, LIMIT_S, "it has no links")
    assert [revoked(node) for node in net.nodes] == [["n2"]] * 3
    wait_until(lambda: problems(n2) == ["node_revoked"], LIMIT_S, "it says so")
    assert {peer.name: peer.state for peer in fetch_peers(n0.directory)} == {"n1": "up", "n2": "revoked"}
    for stream in streams:
        stream.stop()

    n1.kill()
    n2.stop()
    (n2.directory / REVOCATIONS_FILE).unlink()
    n1.start()
    n1.wait_ready()
    refusals = drops(n1).get("certificate_revoked", 0)
    n2.start(n1.endpoint, n0.endpoint)
    n2.wait_ready()
    wait_until(lambda: drops(n1).get("certificate_revoked", 0) > refusals, LIMIT_S, "it has tried")
    n1.wait_linked({"n0"})
    wait_until(lambda: "refused_by_peer" in problems(n2), LIMIT_S, "it learns why")
    assert fetch_status(n2.directory).peers == 0
    assert [n0.peers_up(), n1.peers_up()] == [{"n1"}, {"n0"}]


def test_nobody_seeks_a_revoked_node_that_goes_on_running_and_a_new_one_knows_it_from_its_first_start(
    machines: list[Machine], net: Overlay, tmp_path: Path
) -> None:
    n0, n1, n2 = net.nodes
    n2.kill()  # it does not learn of it
    file = tmp_path / "n2.revocation"
    run_treecast("node", "revoke", "n2", "--network", net.network, "--out", file)
    run_treecast("revocation", "apply", file, n1.directory)
    n1.stop()
    n2.start(n0.endpoint)
    n2.wait_ready()
    wait_until(lambda: "refused_by_peer" in problems(n2), LIMIT_S, "it has tried")
    n1.start()
    n1.wait_ready()
    n1.wait_linked({"n0"})
    assert {peer.name: peer.state for peer in fetch_peers(n1.directory)} == {"n0": "up", "n2": "revoked"}
    quiet_since(lambda: drops(n1).get("certificate_revoked", 0), window_s=6.0, at_most=0, limit_s=20.0)
    assert problems(n1) == []

    new = TreecastNode.add(machines[3], net.network, tmp_path)
    new.start(n2.endpoint)
    new.wait_ready()
    wait_until(lambda: drops(new).get("certificate_revoked", 0) > 0, LIMIT_S, "it has met the revoked node")
    assert new.peers_up() == n2.peers_up() == set()
    assert revoked(new) == ["n2"]
    assert "peer_refused" not in problems(new)

    run_treecast("revocation", "apply", file, n2.directory)
    assert {peer.state for peer in fetch_peers(n2.directory)} == {"refused: this node's certificate was revoked"}
    assert fetch_status(n2.directory).unreached == []
    new.stop()


def problems(node: TreecastNode) -> list[str]:
    return [problem.kind for problem in fetch_status(node.directory).problems]


def test_a_node_whose_older_certificates_are_revoked_goes_on_with_its_newest_and_cannot_go_back(
    net: Overlay, tmp_path: Path
) -> None:
    n0, n1, n2 = net.nodes
    stream = Sender(n2.machine, *B, interface=INTERFACE, rate_pps=RATE_PPS)
    receivers = [Receiver(node.machine, *B, interface=INTERFACE) for node in (n0, n1)]
    for receiver in receivers:
        wait_received(receiver, 100)
    before = (n2.directory / "node.cert").read_bytes()
    newer = storage.renew_node(net.network, n2.directory, "n2", 91, None, time.time())
    end = iso_date(newer.not_after_s)
    wait_until(lambda: fetch_status(n2.directory).valid_until == end, LIMIT_S, "it takes the newer one")
    file = tmp_path / "n2.revocation"
    said = run_treecast("node", "revoke", "n2", "--older", "--network", net.network, "--out", file)
    assert f"that with serial {newer.serial} counts" in said
    assert "has a later one of it, which counts" in run_treecast("revocation", "apply", file, n1.directory)
    known = [node.directory / REVOCATIONS_FILE for node in net.nodes]
    wait_until(lambda: all(path.exists() for path in known), LIMIT_S, "all know, and have written it")
    for receiver in receivers:
        wait_received(receiver, receiver.snapshot().received + RATE_PPS)
        assert receiver.stop().lost == 0
    stream.stop()
    assert [revoked(node) for node in net.nodes] == [[]] * 3
    assert {peer.name: peer.state for peer in fetch_peers(n0.directory)} == {"n1": "up", "n2": "up"}

    n2.stop()
    (n2.directory / "node.cert").write_bytes(before)
    (n2.directory / REVOCATIONS_FILE).unlink()
    counted = [refused(node) for node in (n0, n1)]
    n2.start(n0.endpoint, n1.endpoint)
    n2.wait_ready()
    for node, was in zip((n0, n1), counted, strict=True):
        wait_until(partial(refused_more_than, node, was), LIMIT_S, "it has tried")
    wait_until(lambda: "refused_by_peer" in problems(n2) or "node_revoked" in problems(n2), LIMIT_S, "it learns why")
    assert fetch_status(n2.directory).peers == 0
