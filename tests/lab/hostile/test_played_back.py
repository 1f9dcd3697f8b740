"""Members that play back what was genuine once, or that lie: revocations, broadcast, sessions made anew, receipts."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from functools import partial

import pytest

from lab import wait_until
from lab.node import PORT, TreecastNode
from tests.hostile_speaker import layouts as wire
from tests.lab.hostile.hostility import GROUP, LIMIT_S, Hostility, counted, wait_key
from tests.lab.hostile.test_forged_broadcast import N0_MAC, frame, heard, listen, tap
from tests.lab.overlay.asking import peers_up
from treecast.adapters.ca_records import sign_revocation
from treecast.adapters.storage import load_authority
from treecast.api.client import fetch_peers, fetch_status
from treecast.base.ids import NodeIndex
from treecast.identity.certificate import Certificate
from treecast.identity.keys import SigningKey

FORGED, ROUNDS, PLAYED = 100, 20, 200
TOP = 2**63 - 1
"""The highest serial there is."""
RECEIPTS = (bytes(8), b"\xff" * 8, b"\x7f" + b"\xff" * 7, b"\0\1", bytes(40))


def all_know(nodes: Iterable[TreecastNode], revoked: list[str]) -> bool:
    return all(fetch_status(node.directory).revoked == revoked for node in nodes)


def test_a_revocation_stands_whatever_older_or_foreign_ones_are_sent_after_it(hostility: Hostility) -> None:
    nodes = hostility.net.nodes
    n0, n1, _ = nodes
    gone = hostility.admit("gone", "mallory")
    node, serial = NodeIndex(gone.index), Certificate.decode(gone.certificate).serial
    sign = partial(sign_revocation, load_authority(hostility.net.network).key)
    of_another_network = sign_revocation(SigningKey(bytes(range(32))), NodeIndex(3), TOP, "n2")
    with (
        hostility.speaker(hostility.admit("player", "eve")) as speaker,
        hostility.speaker(gone, "mallory") as leaver,
        hostility.undisturbed(),
        hostility.linked(speaker, n0, n1) as sessions,
    ):
        leaver.connect((n1.machine.underlay_ipv4, PORT))
        wait_until(lambda: "gone" in peers_up(n1), LIMIT_S, "it is linked")
        sessions[0].flood(sign(node, serial, "gone"))
        wait_until(lambda: all_know(nodes, ["gone"]), LIMIT_S, "all know it")
        for _ in range(ROUNDS):
            for session in sessions:
                session.flood(sign(node, serial - 1, "gone"), *[of_another_network] * FORGED)
        wait_until(lambda: counted(n1, "ca_record_rate") >= FORGED, LIMIT_S, "they are refused unseen")
        assert counted(n1, "advertisement_bad_signature") <= 8 * 3, "eight are looked at in ten seconds"
        with pytest.raises(TimeoutError):
            leaver.connect((n1.machine.underlay_ipv4, PORT))
        assert all_know(nodes, ["gone"])
        assert "n2" in peers_up(n0) & peers_up(n1) and "gone" not in peers_up(n1)


def counted_since(node: TreecastNode, reason: str, before: int) -> bool:
    return counted(node, reason) - before >= PLAYED


def test_broadcast_that_is_played_back_reaches_nobody(hostility: Hostility) -> None:
    n0, n1, _ = hostility.net.nodes
    reasons = ("tree_rpf", "tree_unwrapped")
    with (
        hostility.speaker(hostility.admit("echo", "eve")) as speaker,
        hostility.undisturbed(),
        hostility.linked(speaker, n0, n1) as (session, with_n1),
        tap(n0.machine) as mouth,
    ):
        _, genuine = listen(speaker, session, mouth, N0_MAC)
        before = [counted(n1, reason) for reason in reasons]
        with tap(n1.machine) as ear:
            for number in range(PLAYED):
                with_n1.send(wire.BROADCAST, genuine)
                hostility.forge("mallory", n1, n0, [genuine])
                if number % 20 == 0:
                    mouth.send(frame(N0_MAC, f"genuine {number}"))
            assert heard(ear, PLAYED // 20) == [frame(N0_MAC, f"genuine {number}") for number in range(0, PLAYED, 20)]
        for reason, was in zip(reasons, before, strict=True):
            wait_until(partial(counted_since, n1, reason, was), LIMIT_S, f"{reason} is counted")


def test_a_link_that_is_made_anew_without_end_costs_the_others_nothing(hostility: Hostility) -> None:
    n0 = hostility.net[0]
    at = n0.machine.underlay_ipv4, PORT
    with hostility.speaker(hostility.admit("anew", "eve")) as speaker, hostility.undisturbed():
        session = speaker.connect(at)
        speaker.announce(session)
        speaker.join(session, GROUP)
        wait_key(session)
        before, sessions, offered = counted(n0, "handshake_too_often"), [session], [0]

        def is_refused() -> bool:
            with suppress(TimeoutError):
                sessions.append(speaker.connect(at))
                offered.append(len(sessions[-1].keys))
            return counted(n0, "handshake_too_often") > before

        wait_until(is_refused, LIMIT_S, "one is made too often", poll_s=0.0)
        assert sum(offered) <= 8 * 2, "what it was given is offered anew once in ten seconds, with broadcast"
        assert {"n1", "n2"} <= peers_up(n0)
        sessions[-1].say(wire.GOODBYE)


def test_lies_about_what_has_come_change_no_link(hostility: Hostility) -> None:
    n0, n1, _ = hostility.net.nodes
    with (
        hostility.speaker(hostility.admit("liar", "eve")) as speaker,
        hostility.undisturbed(),
        hostility.linked(speaker, n0, n1),
    ):
        for receipt in RECEIPTS:
            speaker.receipt = receipt
            hostility.wait_stream(2.5)  # a turn of probes
        for node in (n0, n1):
            links = {peer.name: (peer.state, peer.via) for peer in fetch_peers(node.directory)}
            assert {links[name] for name in {"n0", "n1", "n2", "liar"} - {node.name}} == {("up", "")}
