"""Random frames over random tables: the data plane, on real TAPs and links, against its plain-Python model.

The model says which nodes get which frames, what Python is shown and why the rest is dropped; so must the data plane.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from ipaddress import IPv4Address, ip_address
from random import Random

import pytest

from lab.planes import LIMIT_S, DataPlanes, give_key, give_place
from lab.waiting import wait_until
from tests.differential.native.envelopes import CHAINS, behind, with_options
from tests.differential.native.twins import GROUPS, HOSTS, KEY_FLOWS, PEERS, SOURCES, VLANS, Twins
from tests.lab.offload.raw_frames import AUXDATA, PACKET_AUXDATA, SOL_PACKET, packet_socket
from treecast.base import commands as c
from treecast.base.addresses import Endpoint, IPAddress
from treecast.base.errors import MalformedError
from treecast.base.events import TapFrame
from treecast.base.ids import BROADCAST_STREAM, KeyId, NodeIndex, StreamId, TreeEpoch
from treecast.sim.forwarder import ModelForwarder
from treecast.sim.sessions import ModelSession
from treecast.sim.underlay import Underlay
from treecast.wire import ethernet, ipv6, mld, mrd, ndp, pim
from treecast.wire.ethernet import EtherType

FRAMES = 150
MARK = b"agreed? "
TP_STATUS_VLAN_VALID = 0x10  # linux/if_packet.h
EVERY_SCOPE = tuple(
    ip_address(f"ff{flags:x}{scope:x}::5:{flags:x}{scope:x}") for flags in range(16) for scope in range(16)
)
"""Every scope with every flag: RFC 4291 section 2.7."""
LINK_LOCAL = tuple(
    ip_address(text)
    for text in (
        "224.0.0.13",
        "224.0.0.251",
        "ff02::fb",
        "ff02::1",
        "ff02::d",
        "ff32::1",
        "ff01::1",
        "224.0.0.5",
        "224.0.0.254",
    )
)
FLOODED = tuple(
    bytes.fromhex(text)
    for text in ("011b19000000", "010ecf000000", "010ccd010001", "91e0f0000100", "09002b000005", "03bf0a090001")
)
"""PTP, PROFINET, GOOSE, AVDECC, IS-IS, and a unicast address at a group's MAC."""
NOT_IP = (0x0806, 0x88B5, 0x9000, 0x0042, 0x88F7, 0x8892, 0x0053, 0x88A8, 0x8100)


def receive(twins: Twins, peer: int, _: Endpoint, datagram: object) -> None:
    twins.hear(peer, datagram)


@pytest.fixture(scope="module")
def twins() -> Iterator[Twins]:
    with DataPlanes(3) as planes:
        for machine in (plane.machine for plane in planes.planes):
            machine.disable_ipv6()  # nothing but what is sent here
        network = Underlay(Random(1), delay=0.0)
        own = Endpoint(IPv4Address("192.0.2.1"), 7700)
        model = ModelForwarder(me=NodeIndex(1), endpoint=own, underlay=network, raise_event=lambda event: None)
        both = Twins(planes, model, network)
        for peer in PEERS:
            endpoint = Endpoint(IPv4Address(f"192.0.2.{peer}"), 7700)
            session = ModelSession(NodeIndex(peer), peer, endpoint, True, network.now, network.now)
            model.sessions.install(peer, session)
            network.attach(endpoint, partial(receive, both, peer))
        for tree in range(4):
            both.do(c.CreateTree(StreamId(tree), TreeEpoch(1), KeyId(1)))
            for plane in planes.planes[1:]:
                give_key(planes[0], plane, tree, 1, KEY_FLOWS.get(StreamId(tree)))
                give_place(planes[0], plane, tree, 1)
        assert BROADCAST_STREAM == 0
        yield both


@pytest.mark.parametrize("seed", range(12))
def test_the_same_frames_arrive_are_shown_and_are_dropped(twins: Twins, seed: int) -> None:
    rng = Random(seed)
    twins.set_tables(rng)
    the_same(twins, [random_frame(rng, number) for number in range(FRAMES)])


def test_groups_of_every_scope_and_flag_reach_the_same_nodes(twins: Twins) -> None:
    """The frames are sent twice: before anybody has joined those that can be joined, and after."""
    twins.set_tables(Random(99))
    twins.do(c.SetPortForwarding(0, on=True))
    for tree in (BROADCAST_STREAM, StreamId(1)):
        twins.do(c.SetTreeMembers(tree, (NodeIndex(2),), (NodeIndex(3),)))
    frames = [to_group(group, number) for number, group in enumerate(EVERY_SCOPE)]
    the_same(twins, frames)
    for group in (group for group in EVERY_SCOPE if group.packed[1] & 0x0F >= 3):
        twins.do(c.SetRoute(0, group, None, StreamId(1)))
    arrived = the_same(twins, frames)
    joined = [frame for group, frame in zip(EVERY_SCOPE, frames, strict=True) if group.packed[1] & 0x0F >= 2]
    assert [frame for frame in joined if arrived[2][frame] != 1 or arrived[3][frame] != 1] == []


def test_frames_for_a_node_with_a_route_arrive_as_others_do(twins: Twins) -> None:
    rng = Random(5)
    twins.set_tables(rng)
    twins.do(c.SetPortForwarding(0, on=True), c.SetNodeRoute(NodeIndex(3), NodeIndex(2)))
    routed = twins.planes[1].forwarder.counters()["datagrams_forwarded"]
    the_same(twins, [random_frame(rng, number) for number in range(100)])
    assert twins.planes[1].forwarder.counters()["datagrams_forwarded"] > routed
    twins.do(c.RemoveNodeRoute(NodeIndex(3)))


def to_group(group: IPAddress, number: int) -> bytes:
    """A UDP datagram in its frame."""
    upper = (5000).to_bytes(2, "big") + (5004).to_bytes(2, "big") + (20).to_bytes(2, "big") + bytes(14)
    packet = bytes([0x60, 0, 0, 0, 0, len(upper), 17, 9]) + ip_address("fd09::1").packed + group.packed + upper
    head = b"\x33\x33" + group.packed[-4:] + bytes([2, 0xBB, 0, 0, 0, 1]) + b"\x86\xdd"
    return head + packet + MARK + number.to_bytes(4, "big")


def test_headers_around_a_message_are_walked_the_same(twins: Twins) -> None:
    """MLD, ND, DHCPv6, PIM, TCP behind extension headers; IGMP and DHCP behind options; padded, tagged or not."""
    twins.set_tables(Random(7))
    udp = bytes.fromhex("0223022200140000") + bytes(12)
    messages = [(58, bytes([kind, *bytes(11)])) for kind in (128, 130, 135, 136, 143, 151)]
    messages += [(17, udp), (103, b"\x20" + bytes(11)), (6, bytes(20)), (59, b"")]
    frames = [
        in_frame(destination, 0x86DD, behind(chain, destination, protocol, upper), number)
        for chain in CHAINS
        for protocol, upper in messages
        for number, destination in enumerate((LINK_LOCAL[3], GROUPS[3], SOURCES[2]))
    ]
    jumbogram = bytearray(behind(("hop-by-hop",), LINK_LOCAL[3], 58, b"\x8f" + bytes(11)))
    jumbogram[4:6] = bytes(2)
    frames += [in_frame(LINK_LOCAL[3], 0x86DD, bytes(jumbogram), 1)]
    v4 = [(2, bytes([kind, *bytes(7)])) for kind in (0x11, 0x13, 0x16, 0x22, 0x30)]
    v4 += [
        (17, bytes.fromhex("0043004400080000")),
        (17, bytes.fromhex("13881389000b0000010203")),
        (103, b"\x20" + bytes(7)),
        (253, bytes(8)),
    ]
    frames += [
        in_frame(destination, 0x0800, with_options(words, fragment, destination, protocol, upper), words)
        for words in (0, 1, 10)
        for fragment in (0, 0x4000, 0x2000, 0x2001, 0x0001)
        for protocol, upper in v4
        for destination in (LINK_LOCAL[0], LINK_LOCAL[-1], GROUPS[0], SOURCES[0])
    ]
    frames = [frame + number.to_bytes(4, "big") for number, frame in enumerate(frames)]
    seen = len(twins.planes[0].seen(TapFrame))
    for first in range(0, len(frames), FRAMES):
        the_same(twins, frames[first : first + FRAMES])
    shown = {event.data for event in twins.planes[0].seen(TapFrame)[seen:]}
    assert {frame for frame in shown if is_control(frame)} == {frame for frame in frames if is_control(frame)}
    unread = {frame[frame.index(b"\x86\xdd") + 8] for frame in shown if b"\x86\xdd" in frame and not is_control(frame)}
    assert unread <= {0, 17, 43, 44, 51, 60}, "nothing but copies of DHCP, and of solicitations of routers"


def is_control(data: bytes) -> bool:
    """Whether the control plane finds a message of MLD, ND, MRD or PIM in it."""
    frame = ethernet.parse(data)
    if frame.ethertype != EtherType.IPV6:
        return False
    try:
        packet = ipv6.parse(frame.payload)
    except MalformedError:
        return False
    is_pim = pim.is_pim(frame) and packet.destination == pim.ALL_PIM_ROUTERS_IPV6
    return mld.is_mld(packet) or ndp.is_ndp(packet) or is_pim or (mrd.is_mrd(frame) and packet.destination.is_multicast)


def in_frame(destination: IPAddress, ethertype: int, packet: bytes, number: int) -> bytes:
    """Frames to the group's MAC or a host's, every other one tagged, with padding behind the packet's end."""
    octets = destination.packed
    mac = HOSTS[0]
    if destination.is_multicast:
        v4 = bytes([1, 0, 0x5E, octets[1] & 0x7F, *octets[2:4]])
        mac = v4 if destination.version == 4 else b"\x33\x33" + octets[-4:]
    tag = b"\x81\x00\x20\x07" if number % 2 else b""
    return mac + bytes([2, 0xBB, 0, 0, 0, 1]) + tag + ethertype.to_bytes(2, "big") + packet + MARK


def the_same(twins: Twins, frames: list[bytes]) -> dict[int, Counter[bytes]]:
    """Sent by the root's host, they arrive, are shown and are dropped as the model says. What arrived, by peer."""
    root = twins.planes[0]
    arrived: dict[int, Counter[bytes]] = {}
    before, seen = root.forwarder.drops(), len(root.seen(TapFrame))
    dropped = twins.model.drops.copy()
    with ExitStack() as stack:
        ears = {peer: stack.enter_context(packet_socket(twins.planes[peer - 1].machine, vnet=False)) for peer in PEERS}
        mouth = stack.enter_context(packet_socket(root.machine, vnet=False))
        for frame in frames:
            mouth.send(frame)
        shown = [frame for frame in frames if twins.model.send_frame(frame)]
        twins.network.run_until(twins.network.now)
        wanted = +(twins.model.drops - dropped)

        def all_is_told() -> bool:
            done = drops_since(root.forwarder.drops(), before)
            return done.total() >= wanted.total() and len(root.seen(TapFrame)) - seen >= len(shown)

        wait_until(all_is_told, LIMIT_S, f"{wanted.total()} drops and {len(shown)} frames shown")
        for peer, ear in ears.items():
            expected = Counter(twins.modelled[peer])
            twins.modelled[peer].clear()
            arrived[peer] = Counter(heard(ear, expected.total()))
            assert arrived[peer] == expected
    assert drops_since(root.forwarder.drops(), before) == wanted
    events = [event.data for event in root.seen(TapFrame)[seen:]]
    assert Counter(events) == Counter(shown)
    return arrived


def drops_since(now: dict[str, int], before: dict[str, int]) -> Counter[str]:
    return +Counter({reason: count - before[reason] for reason, count in now.items()})


def heard(ear: socket.socket, expected: int) -> list[bytes]:
    """Frames of ours, with their tags back in place, until all have come and then nothing does."""
    frames: list[bytes] = []
    ear.settimeout(LIMIT_S)
    while True:
        if len(frames) >= expected:
            ear.settimeout(0.05)
        try:
            data, ancillary, _, address = ear.recvmsg(4096, socket.CMSG_SPACE(AUXDATA.size))
        except TimeoutError:
            return frames
        if address[2] == socket.PACKET_OUTGOING:
            continue
        for level, kind, value in ancillary:
            if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
                status, _, _, _, _, tci, kind_of_tag = AUXDATA.unpack_from(value)
                if status & TP_STATUS_VLAN_VALID:
                    data = data[:12] + kind_of_tag.to_bytes(2, "big") + tci.to_bytes(2, "big") + data[12:]
        if MARK in data:
            frames.append(data)


def random_frame(rng: Random, number: int) -> bytes:
    """A frame that is mostly sound, often of the kinds that are treated apart; its end tells it from all others."""
    vlan = rng.choice(VLANS)
    tag = b"" if vlan == 0 else b"\x81\x00" + (rng.randrange(8) << 13 | vlan).to_bytes(2, "big")
    ethertype, payload, group = random_payload(rng)
    source = bytes([2, 0xBB, 0, 0, 0, rng.randrange(256)])
    frame = random_destination(rng, group) + source + tag + ethertype.to_bytes(2, "big") + payload
    if rng.random() < 0.3:
        frame = mutated(rng, frame)
    return frame + MARK + number.to_bytes(4, "big")


def random_destination(rng: Random, group: bytes) -> bytes:
    """The group's MAC, a host's, another group's, everybody's or a reserved one."""
    if group and rng.random() < 0.85:
        return group
    reserved = bytes.fromhex("0180c20000") + bytes([rng.randrange(20)])
    groups = (bytes.fromhex(text) for text in ("01005e010101", "333300050001", "035443000001"))
    return rng.choice((*HOSTS, *FLOODED, b"\xff" * 6, reserved, *groups))


def random_payload(rng: Random) -> tuple[int, bytes, bytes]:
    """EtherType, payload, and the MAC of its group where it is for one."""
    kind = rng.random()
    if kind < 0.1:
        return rng.choice(NOT_IP), rng.randbytes(46), b""
    many = rng.choice((GROUPS, GROUPS, LINK_LOCAL))
    destination = rng.choice(many) if rng.random() < 0.7 else rng.choice(SOURCES)
    version = destination.version
    source = rng.choice([own for own in SOURCES if own.version == version])
    protocol = rng.choice((17, 17, 17, 6, 2, 58, 58, 103))
    upper = random_upper(rng, protocol)
    octets = destination.packed
    if version == 4:
        fragment = rng.choice((0, 0, 0, 0x2000, 0x0007))
        start = bytes([0x45, 0, *(20 + len(upper)).to_bytes(2, "big"), 0, 1, *fragment.to_bytes(2, "big"), 9, protocol])
        packet = start + bytes(2) + source.packed + octets + upper
        return 0x0800, packet, bytes([1, 0, 0x5E, octets[1] & 0x7F, *octets[2:]]) if destination.is_multicast else b""
    first, upper = random_extensions(rng, protocol, upper)
    packet = bytes([0x60, 0, 0, 0, *len(upper).to_bytes(2, "big"), first, 9]) + source.packed + octets + upper
    return 0x86DD, packet, b"\x33\x33" + octets[-4:] if destination.is_multicast else b""


def random_upper(rng: Random, protocol: int) -> bytes:
    rest = bytes(rng.randrange(192) for _ in range(30))  # below 192: no datagram of ours inside
    if protocol == 17:
        ports = rng.choice((67, 68, 546, 547, 5000)).to_bytes(2, "big") + rng.choice((67, 5353, 5004)).to_bytes(
            2, "big"
        )
        return ports + (8 + len(rest)).to_bytes(2, "big") + b"\x12\x34" + rest
    if protocol == 58:
        return bytes([rng.choice((1, 128, *range(129, 139), 143, 150, 151, 152, 153, 154))]) + rest
    return rng.choice((b"\x20", b"\x23", b"\x25", b"\x16", b"\x13")) + rest


def random_extensions(rng: Random, protocol: int, upper: bytes) -> tuple[int, bytes]:
    """Hop-by-hop, destination, routing, authentication and fragment headers before the upper layer."""
    for _ in range(rng.choice((0, 0, 0, 1, 2, 9))):
        kind = rng.choice((0, 43, 60, 51, 44))
        body = rng.choice((b"\0\0\0\0\0\0", b"\0\x08\0\0\0\0")) if kind == 44 else bytes([1, *bytes(14)])
        if kind == 51:
            body = bytes([2, *bytes(14)])
        upper = bytes([protocol]) + (b"\0" + body if kind == 44 else body) + upper
        protocol = kind
    return protocol, upper


def mutated(rng: Random, frame: bytes) -> bytes:
    """A few bytes changed behind the MACs, or the end cut off."""
    if rng.random() < 0.4:
        return frame[: rng.randrange(14, len(frame))]
    changed = bytearray(frame)
    for _ in range(rng.randrange(1, 4)):
        changed[rng.randrange(12, min(len(changed), 60))] = rng.randrange(192)
    return bytes(changed)
