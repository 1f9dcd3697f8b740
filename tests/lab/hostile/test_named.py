"""Members that send what is refused are named in ``status``, with their address and what to do."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable

from lab import wait_until
from lab.node import PROGRAM, TreecastNode
from tests.hostile_speaker import layouts as wire
from tests.lab.hostile.hostility import GROUP, LIMIT_S, Hostility, problems
from tests.lab.hostile.test_forged_broadcast import N0_MAC, frame, listen, of_its_own, tap
from tests.lab.overlay.asking import members

AT_ONCE = 100
SIGNED_AT_ONCE = 2000


def texts(node: TreecastNode, kind: str, subject: str) -> list[str]:
    """The problem's texts, as a script reads them."""
    status = json.loads(node.machine.run([PROGRAM, "status", node.directory, "--json"]).stdout)
    return [one["text"] for one in status["problems"] if (one["kind"], one["subject"]) == (kind, subject)]


def wait_named(node: TreecastNode, kind: str, subject: str, send: Callable[[], None]) -> str:
    """The problem's text; ``send`` does what is refused until then. The log has it, too."""

    def named() -> bool:
        send()
        return bool(texts(node, kind, subject))

    wait_until(named, LIMIT_S, f"{kind} of {subject}", poll_s=0.3)
    (text,) = texts(node, kind, subject)
    wait_until(lambda: kind in node.log.read_text(), LIMIT_S, "the log has it")
    return text


def test_who_sends_frames_of_others_or_fills_a_table_is_named(hostility: Hostility) -> None:
    n1 = hostility.net[1]
    member = hostility.admit("spoof", "eve")
    with hostility.speaker(member) as speaker, hostility.undisturbed(), hostility.linked(speaker, n1) as (session,):
        numbers = itertools.count()

        def spoof() -> None:
            for _ in range(AT_ONCE):
                session.send(wire.FRAME, frame(N0_MAC, "as from n0"))

        def leave_parts_out() -> None:
            for number in itertools.islice(numbers, AT_ONCE):
                session.send(wire.FRAGMENT, wire.fragment(number, 0, 2, 1500, bytes(750)))

        def garble() -> None:
            for _ in range(AT_ONCE):
                session.send(wire.CONTROL, b"\xc1")

        text = wait_named(n1, "source_of_another_node", "spoof", spoof)
        assert text.startswith("spoof (10.77.0.") and "treecast node renew spoof --role bridge,relay" in text
        text = wait_named(n1, "no_room", "fragment_table_full", leave_parts_out)
        assert " in the last minute are of spoof (10.77.0." in text
        text = wait_named(n1, "control_malformed", "spoof", garble)
        assert text.startswith("spoof (10.77.0.") and "treecast node revoke spoof" in text


def test_who_signs_more_broadcast_than_is_checked_is_named_and_who_signs_none(hostility: Hostility) -> None:
    n1 = hostility.net[1]
    with (
        hostility.speaker(hostility.admit("loud", "eve")) as speaker,
        hostility.linked(speaker, n1) as (session,),
    ):
        keys, counters = of_its_own(speaker, session), itertools.count(1)
        plaintext = wire.inner(wire.FRAME, frame(speaker.member.mac, "a storm"))

        def storm() -> None:
            for counter in itertools.islice(counters, SIGNED_AT_ONCE):
                session.send(wire.BROADCAST, keys.seal_signed(speaker.member.signing, counter, plaintext))

        def unsigned() -> None:
            for counter in itertools.islice(counters, AT_ONCE):
                session.send(wire.BROADCAST, keys.seal(counter, plaintext))

        text = wait_named(n1, "broadcast_too_much", "loud", storm)
        assert text.startswith("loud (10.77.0.") and "--broadcast-pps" in text
        text = wait_named(n1, "broadcast_refused", "loud broadcast_signature", unsigned)
        assert text.startswith("loud (10.77.0.")


def test_a_neighbour_that_sends_on_what_it_may_not_is_named(hostility: Hostility) -> None:
    n0, n1, _ = hostility.net.nodes
    with (
        hostility.speaker(hostility.admit("carrier", "eve")) as speaker,
        hostility.undisturbed(),
        hostility.linked(speaker, n0, n1) as (session, with_n1),
        tap(n0.machine) as mouth,
    ):
        _, genuine = listen(speaker, session, mouth, N0_MAC)

        def carry() -> None:
            for _ in range(AT_ONCE):
                with_n1.send(wire.BROADCAST, genuine)

        text = wait_named(n1, "broadcast_refused", "carrier tree_rpf", carry)
        assert text.startswith("carrier (10.77.0.") and "treecast node revoke carrier" in text


def test_who_begins_one_epoch_after_the_other_from_two_machines_is_named_with_both(hostility: Hostility) -> None:
    n0, n1, _ = hostility.net.nodes
    member, epochs = hostility.admit("reborn", "eve"), itertools.count(int(time.time() * 1000) + 1000, 200)
    with (
        hostility.speaker(member) as one,
        hostility.speaker(member, "mallory") as two,
        hostility.undisturbed(2.0),
        hostility.linked(one, n0) as (first,),
        hostility.linked(two, n1) as (second,),
    ):

        def begin() -> None:
            for speaker, session in ((one, first), (two, second)):
                speaker.epoch = next(epochs)
                session.flood(speaker.describe())

        text = wait_named(n0, "epochs_over_and_over", "reborn", begin)
        assert text.startswith("reborn (10.77.0.") and "treecast node revoke reborn" in text
        for name in ("eve", "mallory"):
            assert hostility.machines[name].underlay_ipv4 in text
        assert {kind for kind, subject in problems(n0) if subject == "reborn"} == {"epochs_over_and_over"}


def test_who_begins_sessions_over_and_over_or_leaves_and_comes_back_is_named(hostility: Hostility) -> None:
    n0 = hostility.net[0]
    with (
        hostility.speaker(hostility.admit("restless", "eve")) as speaker,
        hostility.undisturbed(2.0),
        hostility.linked(speaker, n0) as (session,),
    ):

        def begin_sessions() -> None:
            for _ in range(3):
                speaker.rekey(session)

        def leave_and_come_back() -> None:
            """Both at once would be no change."""
            wait_until(lambda: "restless" not in members(n0, GROUP), LIMIT_S, "it has left")
            speaker.join(session, GROUP)
            wait_until(lambda: "restless" in members(n0, GROUP), LIMIT_S, "it is back")
            speaker.leave(session)

        text = wait_named(n0, "sessions_over_and_over", "restless", begin_sessions)
        assert text.startswith("restless (10.77.0.") and "treecast node revoke restless" in text
        text = wait_named(n0, "keys_made_anew", "restless", leave_and_come_back)
        assert text.startswith("restless (10.77.0.") and "treecast node revoke restless" in text
