"""Nodes whose certificate does not make them members: none becomes a peer, and somebody is told why."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from lab import wait_until
from lab.node import PORT, PROGRAM, TreecastNode, create_network
from tests.lab.hostile.liars import Liar, liars
from tests.lab.hostile.siege import LIMIT_S, OUTSIDER_PORT, Siege, counting
from tests.lab.overlay.asking import drops, grown, peers_up
from treecast import _native
from treecast.adapters.files import PUBLIC_MODE, replace_file
from treecast.adapters.node_directory import CERTIFICATE_FILE
from treecast.adapters.noise import native_network
from treecast.adapters.storage import load_authority
from treecast.api.client import fetch_status
from treecast.identity.certificate import Certificate, issue

REASONS = (
    "certificate_wrong_network",
    "certificate_bad_signature",
    "certificate_expired",
    "certificate_not_yet_valid",
    "certificate_malformed",
    "handshake_not_its_certificate",
    "handshake_payload_malformed",
)


@pytest.fixture(scope="module")
def lies(siege: Siege, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Liar]:
    other = create_network(tmp_path_factory.mktemp("other") / "network", "other")
    return liars(siege.net.network, other, siege.net[2].directory, int(time.time()))


@pytest.mark.parametrize("reason", REASONS)
def test_a_lying_initiator_becomes_no_peer(siege: Siege, lies: dict[str, Liar], reason: str) -> None:
    victim = siege.net[1]
    with siege.undisturbed(), siege.open_socket() as own, counting(victim, Counter({reason: 1})):
        lies[reason].initiate(own, (victim.machine.underlay_ipv4, PORT))


def test_lying_responders_become_no_peers_however_often_they_answer(siege: Siege, lies: dict[str, Liar]) -> None:
    """n2 was told that the outsider is a node. Its operator sees that it is still sought."""
    victim = siege.net[2]
    with siege.undisturbed(), siege.open_socket(OUTSIDER_PORT) as own:
        for reason in ("certificate_wrong_network", "certificate_expired", "handshake_not_its_certificate"):
            with counting(victim, Counter({reason: 1, "handshake_unknown": 2})):
                lies[reason].respond(own, times=3)
    assert fetch_status(victim.directory).unreached == [f"{siege.outsider.underlay_ipv4}:{OUTSIDER_PORT}"]


def test_a_handshake_of_another_network_gets_no_answer(siege: Siege, lies: dict[str, Liar]) -> None:
    victim, liar = siege.net[1], lies["handshake_mac"]
    key = _native.StaticKey(liar.static_private)
    init = _native.Handshake.initiate(key, native_network(liar.network), 7).init_datagram()
    with siege.undisturbed(), siege.open_socket() as own:
        with counting(victim, Counter(handshake_mac=1)):
            own.sendto(init, (victim.machine.underlay_ipv4, PORT))
        own.setblocking(False)
        with pytest.raises(BlockingIOError):
            own.recv(2048)


def test_a_node_of_another_network_runs_alone_and_its_operator_sees_whom_it_seeks(siege: Siege, tmp_path: Path) -> None:
    stranger = TreecastNode.add(siege.outsider, create_network(tmp_path / "other", "other"), tmp_path)
    n0 = siege.net[0]
    before = drops(n0)
    with siege.undisturbed():
        stranger.start(n0.endpoint)
        stranger.wait_ready()
        wait_until(lambda: grown(before, drops(n0)).get("handshake_mac", 0) >= 2, LIMIT_S, "it has tried")
        assert peers_up(stranger) == set()
        assert fetch_status(stranger.directory).unreached == [n0.endpoint]
        stranger.stop()


def test_a_directory_with_an_expired_or_copied_certificate_is_refused_with_a_sentence(
    siege: Siege, tmp_path: Path
) -> None:
    expired, copied = tmp_path / "expired", tmp_path / "copied"
    for directory in (expired, copied):
        shutil.copytree(siege.net[1].directory, directory, ignore=shutil.ignore_patterns("*.sock", "*.lock"))
    authority = load_authority(siege.net.network)
    own = Certificate.decode((expired / CERTIFICATE_FILE).read_bytes())
    past = issue(authority.key, replace(own, not_after_s=int(time.time()) - 60))
    replace_file(expired / CERTIFICATE_FILE, past.encode(), PUBLIC_MODE)
    replace_file(copied / CERTIFICATE_FILE, (siege.net[2].directory / CERTIFICATE_FILE).read_bytes(), PUBLIC_MODE)
    for directory, word in ((expired, "expired"), (copied, "key")):
        done = siege.outsider.run([PROGRAM, "up", directory], check=False)
        assert done.returncode == 1
        assert done.stderr.startswith("treecast: ")
        assert done.stderr.count("\n") == 1
        assert word in done.stderr
