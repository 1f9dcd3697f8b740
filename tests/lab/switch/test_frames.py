"""Which of a LAN's frames cross: tagged ones do, bridge protocol does not, floods do up to a limit; loops are cut."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event

from lab import Machine, wait_until
from lab.sites import LIMIT_S, Sites
from tests.lab.offload.raw_frames import AUXDATA, PACKET_AUXDATA, SOL_PACKET
from tests.lab.overlay.asking import drops, grown
from tests.lab.overlay.machines import talk
from treecast.api.client import ask_bridge
from treecast.wire.beacon import BEACON_ETHERTYPE

ETH_P_ALL, EXPERIMENTAL = 3, 0x88B6
BROADCAST = b"\xff" * 6
BPDU_GROUP = bytes.fromhex("0180c2000000")
TP_STATUS_VLAN_VALID = 0x10  # linux/if_packet.h


@contextmanager
def raw(machine: Machine, ethertype: int) -> Iterator[socket.socket]:
    with machine.enter():
        own = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    with own:
        own.bind(("eth0", ethertype))
        own.settimeout(0.2)
        yield own


def mac(machine: Machine) -> bytes:
    return bytes.fromhex(machine.run(["cat", "/sys/class/net/eth0/address"]).stdout.strip().replace(":", ""))


def everything(own: socket.socket) -> list[bytes]:
    """What has come, until nothing comes for a while."""
    frames: list[bytes] = []
    while True:
        try:
            frames.append(own.recv(65536))
        except TimeoutError:
            return frames


def tags(own: socket.socket, payload: bytes) -> list[int | None]:
    """The VLAN of each frame with this payload, None for an untagged one: the kernel tells it beside the frame."""
    found: list[int | None] = []
    while True:
        try:
            frame, ancillary, _, _ = own.recvmsg(2048, socket.CMSG_SPACE(AUXDATA.size))
        except TimeoutError:
            return found
        if payload not in frame:
            continue
        for level, kind, data in ancillary:
            if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
                status, _, _, _, _, tci, _ = AUXDATA.unpack_from(data)
                found.append(tci & 0x0FFF if status & TP_STATUS_VLAN_VALID else None)


def test_tags_cross_with_their_frames(sites: Sites) -> None:
    here, there = (lan.hosts[0] for lan in sites.lans[:2])
    source, ethertype = mac(here), EXPERIMENTAL.to_bytes(2, "big")
    with raw(here, 0) as mouth, raw(there, ETH_P_ALL) as ear:
        ear.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        for vlan in (7, 4094):
            mouth.send(
                BROADCAST + source + b"\x81\x00" + vlan.to_bytes(2, "big") + ethertype + b"tag?".ljust(46, b"\0")
            )
        mouth.send(BROADCAST + source + ethertype + b"tag?".ljust(46, b"\0"))
        assert tags(ear, b"tag?") == [7, 4094, None]


def test_bridge_protocol_frames_are_not_carried(sites: Sites) -> None:
    here, there = (lan.hosts[0] for lan in sites.lans[:2])
    source = mac(here)
    bpdu = BPDU_GROUP + source + b"\x00\x26\x42\x42\x03" + bytes(35)
    after = BROADCAST + source + EXPERIMENTAL.to_bytes(2, "big") + b"after".ljust(46, b"\0")
    with raw(here, 0) as mouth, raw(there, ETH_P_ALL) as ear:
        for _ in range(5):
            mouth.send(bpdu)
        mouth.send(after)
        frames = everything(ear)
    assert after in [frame[: len(after)] for frame in frames]
    assert not [frame for frame in frames if frame.startswith(BPDU_GROUP)]


def test_a_broadcast_storm_is_limited_at_the_port(sites: Sites) -> None:
    here, there = (lan.hosts[0] for lan in sites.lans[:2])
    before = drops(sites.overlay[0])
    head = BROADCAST + mac(here) + EXPERIMENTAL.to_bytes(2, "big")
    with raw(here, 0) as mouth, raw(there, EXPERIMENTAL) as ear:
        ear.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**24)
        for number in range(6000):
            mouth.send(head + number.to_bytes(4, "big").ljust(46, b"\0"))
        frames = everything(ear)
    dropped = grown(before, drops(sites.overlay[0]))["storm_broadcast"]
    assert dropped > 3000
    assert len(frames) + dropped <= 6000
    assert 500 < len(frames) < 3000


def test_a_lan_that_reflects_is_cut_off_and_comes_back(sites: Sites) -> None:
    here, there = sites.lans[:2]
    node = sites.overlay[0]
    talk(here.hosts[0], there.host_ipv4(1))
    with ThreadPoolExecutor(max_workers=1) as pool:
        ended = Event()
        work = pool.submit(reflect, here.hosts[1], ended)
        try:
            wait_until(lambda: ask_bridge(node.directory).looped, LIMIT_S, "its own beacon has come back")
            assert ask_bridge(node.directory).state == "silent"
            lost = here.hosts[0].run(["ping", "-c", "2", "-i", "0.2", "-W", "1", there.host_ipv4(1)], check=False)
            assert " 0 received" in lost.stdout
            assert drops(node)["beacon_own"] > 0
            assert drops(node)["port_blocked"] > 0
        finally:
            ended.set()
        work.result(LIMIT_S)
    wait_until(lambda: ask_bridge(node.directory).state == "forwarding", LIMIT_S, "the loop is gone")
    talk(here.hosts[0], there.host_ipv4(1))


def reflect(machine: Machine, ended: Event) -> None:
    """As a second way round a LAN does with what is for a group: each beacon is heard again."""
    with raw(machine, BEACON_ETHERTYPE) as own:
        while not ended.is_set():
            try:
                frame, address = own.recvfrom(2048)
            except TimeoutError:
                continue
            if address[2] != socket.PACKET_OUTGOING:
                own.send(frame)
