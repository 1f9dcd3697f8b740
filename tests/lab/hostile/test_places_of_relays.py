"""A root offers a place that is taken, and close behind it one that nobody takes."""

from __future__ import annotations

import secrets
import socket
import time
from functools import partial

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from lab import wait_until
from lab.load import Receiver
from lab.node import INTERFACE, TreecastNode
from tests.hostile_speaker import layouts as wire
from tests.hostile_speaker.session import Session
from tests.lab.hostile.hostility import LIMIT_S, STREAM_PORT, Hostility, counted
from tests.lab.overlay.asking import wait_members

ITS_GROUP, OTHER_MAC = "239.90.7.7", "01:00:5e:5a:07:08"
STREAM, ATTEMPTS, SENT, FOLLOWING = 5, 8, 20, 100
MADE_UP = tuple(range(50_000, 50_015))
"""Children beside two nodes: 17 in all, one more than any relay takes of a stream."""


def offer_key(session: Session, key: wire.TreeKeys) -> None:
    def is_taken() -> bool:
        session.send(wire.SENDER_KEY, key.emit())
        return [wire.KEY_ACKNOWLEDGEMENT, key.stream, key.key_id] in session.messages

    wait_until(is_taken, LIMIT_S, "the key is taken", poll_s=0.2)


def has_come(session: Session, message: list[int]) -> bool:
    return message in session.messages


def wait_count(node: TreecastNode, reason: str, count: int) -> None:
    wait_until(lambda: counted(node, reason) >= count, LIMIT_S, reason)


def test_a_place_that_comes_close_behind_another_is_judged_for_itself(hostility: Hostility) -> None:
    n0, n1, n2 = hostility.net.nodes
    with (
        hostility.speaker(hostility.admit("placer", "eve")) as speaker,
        hostility.linked(speaker, n0, n1, n2) as linked,
    ):
        receiver = Receiver(n1.machine, ITS_GROUP, STREAM_PORT, interface=INTERFACE)
        wait_members(n0, ITS_GROUP, {"n1"})
        to_n1, me, number = linked[1], speaker.member.index, int(time.time())
        tree_key, context = secrets.token_bytes(16), [0, socket.inet_aton(ITS_GROUP), None]
        key = wire.TreeKeys(me, STREAM, number, wire.AES_GCM, 0, 1, secrets.token_bytes(32), context, number, tree_key)
        offer_key(to_n1, key)
        children = (*sorted((linked[0].peer, linked[2].peer)), *MADE_UP)
        packet = Ether(src="02:54:00:00:00:01", dst=OTHER_MAC) / IP(dst="239.90.7.8", ttl=8) / UDP()
        sent_on, seen = ([counted(node, "tree_unknown") for node in (n0, n2)], counted(n1, "frame_of_another_flow"))
        with hostility.undisturbed():
            for attempt in range(ATTEMPTS):
                epoch, refused = number + 1 + attempt, counted(n1, "relay_children_full")
                places = [
                    wire.TreeState(me, STREAM, epoch, number, 0, me, 0, 1400, tree_key, below)
                    for below in ((), children)
                ]
                sealed = [to_n1.sealing.seal(wire.TREE_STATE, place.emit()) for place in places]
                for datagram in sealed:
                    to_n1.own.sendto(datagram, to_n1.node)
                wait_count(n1, "relay_children_full", refused + 1)
                taken = [wire.TREE_ACKNOWLEDGEMENT, STREAM, epoch]
                wait_until(partial(has_come, to_n1, taken), LIMIT_S, "the place without children is taken")
                for counter in range(attempt * SENT + 1, (attempt + 1) * SENT + 1):
                    frame = wire.inner(wire.FRAME, bytes(packet))
                    to_n1.own.sendto(key.on(places[0]).seal(counter, frame), to_n1.node)
                wait_count(n1, "frame_of_another_flow", seen + (attempt + 1) * SENT)
        assert [counted(node, "tree_unknown") for node in (n0, n2)] == sent_on, "n1 has sent nothing on"
        receiver.stop()


def test_a_stream_that_another_one_has_followed_leaves_nothing(hostility: Hostility) -> None:
    n0, n1, _ = hostility.net.nodes
    with hostility.speaker(hostility.admit("follower", "eve")) as speaker, hostility.linked(speaker, n1) as (to_n1,):
        receiver = Receiver(n1.machine, ITS_GROUP, STREAM_PORT, interface=INTERFACE)
        wait_members(n0, ITS_GROUP, {"n1"})
        me, number, tree_key = speaker.member.index, int(time.time()), secrets.token_bytes(16)
        secret, context = secrets.token_bytes(32), [0, socket.inet_aton(ITS_GROUP), None]
        keys = [
            wire.TreeKeys(me, stream, number, wire.AES_GCM, 0, 1, secret, context, number, tree_key)
            for stream in range(STREAM, STREAM + FOLLOWING)
        ]
        for key in keys:
            to_n1.send(wire.SENDER_KEY, key.emit())
            state = wire.TreeState(me, key.stream, number, number, 0, me, 0, 1400, tree_key)
            to_n1.send(wire.TREE_STATE, state.emit())
        offer_key(to_n1, keys[-1])
        seen, counter = counted(n1, "tree_unknown"), 0

        def all_are_gone() -> bool:
            nonlocal seen, counter
            before, seen, counter = seen, counted(n1, "tree_unknown"), counter + 1
            for key in keys[:-1]:
                to_n1.own.sendto(key.seal(counter, wire.inner(wire.FRAME, bytes(80))), to_n1.node)
            return seen - before >= FOLLOWING - 1

        wait_until(all_are_gone, LIMIT_S, "n1 knows none of the streams before the last", poll_s=0.3)
        receiver.stop()
