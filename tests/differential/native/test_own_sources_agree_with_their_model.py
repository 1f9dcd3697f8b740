"""Random frames of a machine from its bridge: the MAC under which a data plane sends them, against its Python model."""

from __future__ import annotations

from collections import Counter
from ipaddress import ip_address
from random import Random

import pytest

from lab.planes import DataPlanes, mac
from tests.differential.native.test_forwarder_agrees_with_its_model import MARK, heard
from tests.lab.offload.raw_frames import packet_socket
from treecast.base import commands as c
from treecast.base.addresses import MacAddress
from treecast.base.ids import NodeIndex
from treecast.base.machine_commands import SetBridgeMac
from treecast.sim.own_source import own_mac, under_own_mac

FRAMES = 200
SENDER, RECEIVER = NodeIndex(1), NodeIndex(2)
BRIDGE = bytes.fromhex("00005e000155")
MACS = (BRIDGE, BRIDGE, BRIDGE, bytes.fromhex("00005e000156"), mac(SENDER))
V4 = [ip_address(text).packed for text in ("10.9.0.1", "10.9.0.1", "192.0.2.7", "0.0.0.0")]
V6 = [ip_address(text).packed for text in ("fd09::1", "fd09::1", "fe80::7", "::")]
OWN = (ip_address("10.9.0.1"), ip_address("fd09::1"))
COMMANDS = (
    SetBridgeMac(MacAddress(BRIDGE), OWN),
    SetBridgeMac(MacAddress(BRIDGE), OWN[:1]),
    SetBridgeMac(MacAddress(mac(9)), OWN),
    SetBridgeMac(None, ()),
)
"""The last command sets none: the others must be forgotten."""


def discovery(rng: Random) -> bytes:
    """An ICMPv6 message, mostly of Neighbor Discovery, with a few options that may be wrong."""
    kind = rng.choice((133, 134, 135, 136, 136, 137, 128))
    target = b"" if kind == 133 else rng.choice(V6)
    message = bytes((kind, 0)) + rng.randbytes(2) + bytes(4) + target
    for _ in range(rng.randrange(4)):
        message += bytes((rng.choice((1, 2, 14)), rng.choice((1, 1, 1, 2, 0)))) + rng.choice(MACS)
    return message + rng.randbytes(rng.choice((0, 0, 1, 7)))


def payload(rng: Random) -> tuple[int, bytes]:
    match rng.randrange(4):
        case 0:
            start = bytes.fromhex("0001080006040002")
            return 0x0806, start + rng.choice(MACS) + rng.choice(V4) + bytes(10)
        case 1:
            return 0x0800, bytes.fromhex("450000240000400004110000") + rng.choice(V4) + bytes((10, 9, 0, 2)) + bytes(16)
        case 2:
            return rng.choice((0x9000, 0x88F7)), rng.randbytes(46)
    protocol, upper = rng.choice(((58, discovery(rng)), (58, discovery(rng)), (58, discovery(rng)), (17, bytes(16))))
    if protocol == 58 and rng.random() < 0.2:
        next_header = bytes((rng.choice((58, 58, 17)), rng.choice((0, 0, 1))))
        protocol, upper = rng.choice((0, 60)), next_header + bytes(6) + upper
    length = len(upper).to_bytes(2, "big")
    return 0x86DD, b"\x60\0\0\0" + length + bytes((protocol, 255)) + rng.choice(V6) + V6[0][:15] + b"\x02" + upper


def frame(rng: Random, number: int) -> bytes:
    """A frame to the receiver's own MAC; sometimes tagged, sometimes a bit is wrong somewhere."""
    tag = rng.choice((b"", b"", b"", b"", b"\x81\x00\x00\x07"))
    ethertype, body = payload(rng)
    whole = bytearray(mac(RECEIVER) + rng.choice(MACS) + tag + ethertype.to_bytes(2, "big") + body)
    if rng.random() < 0.2:
        whole[rng.randrange(16 + len(tag), len(whole))] ^= 1 << rng.randrange(8)
    return bytes(whole) + MARK + number.to_bytes(4, "big")


def test_the_macs_of_nodes_are_those_of_the_data_plane() -> None:
    assert own_mac(SENDER) == mac(SENDER)


@pytest.mark.parametrize(("seed", "command"), list(enumerate(COMMANDS)))
def test_the_same_frames_leave(planes: DataPlanes, seed: int, command: SetBridgeMac) -> None:
    rng = Random(seed)
    sender, receiver = planes.planes
    receiver.do(c.CertifyNode(SENDER, bridge=True, carried=False, addresses=OWN, signing_key=bytes(32)))
    sender.do(command, *(c.SetHost(vlan, MacAddress(mac(RECEIVER)), RECEIVER) for vlan in (0, 7)))
    frames = [frame(rng, number) for number in range(FRAMES)]
    expected = [under_own_mac(SENDER, one, command) for one in frames]
    changed = sum(before != after for before, after in zip(frames, expected, strict=True))
    assert (changed > FRAMES / 10) == (command.mac is not None and command.mac.packed == BRIDGE)
    with packet_socket(receiver.machine, vnet=False) as ear, packet_socket(sender.machine, vnet=False) as mouth:
        for one in frames:
            mouth.send(one)
        assert Counter(heard(ear, FRAMES)) == Counter(expected)
