"""A member joins a stream's group from its source alone, so that the source has a stream of its own for all, and
leaves: that stream ends, and with it, at the others too, the key that the leaver holds.
"""

from __future__ import annotations

import socket
from functools import partial

from lab import wait_until
from lab.node import TreecastNode
from tests.lab.hostile.hostility import GROUP, LIMIT_S, Hostility, counted, wait_key
from tests.lab.hostile.test_members import KEY_ENDS_S, forged_datagrams, forged_frame
from tests.lab.overlay.asking import members
from treecast.adapters import clock

NAME = "of-one-source"


def refused(victim: TreecastNode) -> int:
    """Datagrams of a stream that the node has not, or under a key that it has not."""
    return counted(victim, "tree_key_unknown") + counted(victim, "tree_unknown")


def has_refused(victim: TreecastNode, wanted: int) -> bool:
    return refused(victim) == wanted


def test_who_had_the_key_of_a_source_s_own_stream_delivers_nothing_when_that_has_ended(hostility: Hostility) -> None:
    n0, *victims = hostility.net.nodes
    with (
        hostility.speaker(hostility.admit(NAME, "eve")) as speaker,
        hostility.undisturbed(2.0),
        hostility.linked(speaker, n0) as (session,),
    ):
        speaker.join(session, GROUP, sources=(socket.inet_aton(n0.ipv4),))
        wait_key(session)
        wait_until(lambda: len(speaker.tree_datagrams) > 500, LIMIT_S, "it gets the stream")
        key = session.offered
        assert key.context is not None and key.context[-1], "the source has a stream of its own"
        speaker.leave(session)
        wait_until(lambda: NAME not in members(n0, GROUP), LIMIT_S, "the source knows")
        left_at = clock.monotonic()
        wait_until(lambda: clock.monotonic() - left_at > KEY_ENDS_S, LIMIT_S, "the key that was left is over")
        datagrams = forged_datagrams(key, forged_frame("02:54:00:00:00:01", n0.ipv4))
        for victim in victims:
            all_refused = refused(victim) + len(datagrams)
            hostility.forge("mallory", victim, n0, datagrams)
            wait_until(partial(has_refused, victim, all_refused), LIMIT_S, "all are refused for their key")
