"""A subscriber that has said goodbye to the network, and speaks on under its last keys, from hosts without a link:
nothing of it is delivered anywhere, and the stream and the broadcast of the source go on whole at all receivers.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from lab import wait_until
from lab.node import PORT, TreecastNode
from tests.hostile_speaker import layouts as wire
from tests.hostile_speaker.speaker import Speaker
from tests.lab.hostile.hostility import GROUP, LIMIT_S, Hostility, counted, wait_key, wait_subscribed
from tests.lab.hostile.test_forged_broadcast import N0_MAC, counter_of, frame, heard, listen, tap
from tests.lab.hostile.test_members import FAR, KEY_ENDS_S, forged_frame
from tests.lab.overlay.asking import peers_up, wait_members
from treecast.adapters import clock

LATER_S = 47
STEPS = 7
"""More of them, ten seconds each, than a key has made by then."""
FORGED, ROUNDS = 50, 10
LIVING_KEY, ENDED_KEY = ("tree_ahead", "tree_step"), "tree_key_unknown"
REASONS = ("tree_rpf", "tree_unwrapped", ENDED_KEY, *LIVING_KEY)


@dataclass(frozen=True, slots=True)
class Former:
    """A former subscriber, and its last keys, of the group and of broadcast."""

    speaker: Speaker
    keys: tuple[wire.TreeKeys, wire.TreeKeys]

    def forged(self, source: TreecastNode, firsts: tuple[int, int]) -> list[bytes]:
        """Datagrams at the keys' steps and later ones, from these counters on: three of each FORGED, one of the group,
        one of broadcast, and the same signed by the forger.
        """
        group, broadcast = self.keys
        of_group = wire.inner(wire.FRAME, forged_frame("02:54:00:00:00:01", source.ipv4))
        of_broadcast = wire.inner(wire.FRAME, frame(N0_MAC, "forged"))
        made = []
        for number in range(FORGED):
            step, counter = number % STEPS, firsts[1] + 2 * number
            made.append(group.stepped(step).seal(firsts[0] + number, of_group))
            made.append(broadcast.stepped(step).seal(counter, of_broadcast))
            made.append(broadcast.stepped(step).seal_signed(self.speaker.member.signing, counter + 1, of_broadcast))
        return made

    def next_counters(self) -> tuple[int, int]:
        """The counters after those that it has seen under its keys."""
        group, broadcast = (self._seen(key) for key in self.keys)
        return group + 1, broadcast + 1

    def _seen(self, key: wire.TreeKeys) -> int:
        header = key.header(0)
        came = list(self.speaker.tree_datagrams)
        return max(counter_of(one) for one in came if (one[4:12], one[16:20]) == (header[4:12], header[16:20]))


def subscribe_and_say_goodbye(hostility: Hostility, speaker: Speaker, name: str) -> Former:
    """A member gets the stream and broadcast, and goes without leaving the group."""
    n0 = hostility.net[0]
    with hostility.linked(speaker, n0) as (session,), tap(n0.machine) as mouth:
        speaker.join(session, GROUP)
        wait_key(session)
        wait_subscribed(n0, name)
        wait_until(lambda: any(any(one[8:12]) for one in list(speaker.tree_datagrams)), LIMIT_S, "the stream comes")
        broadcast, _ = listen(speaker, session, mouth, N0_MAC)
        former = Former(speaker, (session.offered, broadcast))
    wait_members(n0, GROUP, {"n1", "n2"})
    assert name not in peers_up(n0)
    return former


def forge(hostility: Hostility, former: Former, words: list[bytes], when: str) -> Counter[str]:
    """Send from its own address, which has no link, and from another host under the source's, beside genuine broadcast.
    The reasons of all that each victim has refused.
    """
    n0, *victims = hostility.net.nodes
    before = [{reason: counted(victim, reason) for reason in REASONS} for victim in victims]
    expected = [frame(N0_MAC, f"genuine {when} {number}") for number in range(ROUNDS)]
    with hostility.undisturbed(2.0), ExitStack() as stack:
        mouth = stack.enter_context(tap(n0.machine))
        ears = [stack.enter_context(tap(victim.machine)) for victim in victims]
        for number, genuine in enumerate(expected):
            for victim in victims:
                some = words[number::ROUNDS]
                for one in some:
                    former.speaker.own.sendto(one, (victim.machine.underlay_ipv4, PORT))
                hostility.forge("mallory", victim, n0, some)
            mouth.send(genuine)
        assert [heard(ear, ROUNDS) for ear in ears] == [expected] * len(ears)
    judged = [
        Counter({reason: counted(victim, reason) - was[reason] for reason in REASONS})
        for victim, was in zip(victims, before, strict=True)
    ]
    print(f"\n{when}: {[dict(+reasons) for reasons in judged]}")
    elsewhere = len(words) // 3
    for reasons in judged:
        assert (reasons["tree_rpf"], reasons["tree_unwrapped"]) == (elsewhere, 4 * elsewhere), "elsewhere, broadcast"
        assert reasons.total() == 2 * len(words)
    return sum(judged, Counter())


def forge_at_the_end(hostility: Hostility, name: str, seconds: float, *, at_once: bool) -> None:
    """Forged datagrams come so long after its goodbye, with counters far ahead and with the next ones. ``at_once``: far
    ahead before, too, while its keys still open something.
    """
    n0 = hostility.net[0]
    with hostility.speaker(hostility.admit(name, "eve")) as speaker, hostility.undisturbed():
        former = subscribe_and_say_goodbye(hostility, speaker, name)
        gone_at, far = clock.monotonic(), former.forged(n0, (FAR, FAR))
        if at_once:
            forge(hostility, former, far, "at once")
        hostility.wait_stream(max(0.0, gone_at + seconds - clock.monotonic()))
        wait_until(lambda: clock.monotonic() - gone_at >= seconds, LIMIT_S, "so long after")
        words = [*far, *former.forged(n0, former.next_counters())]
        judged = forge(hostility, former, words, f"{seconds:g} s later")
        assert judged[ENDED_KEY] == judged["tree_rpf"], "its key opens nothing more"


def test_who_has_said_goodbye_delivers_nothing_and_disturbs_neither_stream_nor_broadcast(hostility: Hostility) -> None:
    forge_at_the_end(hostility, "former", KEY_ENDS_S, at_once=True)


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_who_has_said_goodbye_does_so_no_more_47_s_later(hostility: Hostility) -> None:
    forge_at_the_end(hostility, "long-gone", LATER_S, at_once=False)
