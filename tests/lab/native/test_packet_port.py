"""A packet port on a veth: multicast of the hosts behind it, in and out, under the interface's own MAC.

::

      h1-1  h1-2                 n0 packet port 1            n1
      eth0  eth0     LAN 1         eth1   tc0               tc0
     ==++====++==========================   underlay  ==========
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import pytest

from lab import Machine
from lab.lan import Lan
from lab.load import Receiver, Sender
from lab.planes import INTERFACE, LIMIT_S, DataPlane, DataPlanes, mac
from lab.waiting import wait_until
from treecast import _native
from treecast.base.commands import Inject, SetPortForwarding, SetPortGroup, SetPortSelective, SetRoute
from treecast.base.events import HostSeen, TapFrame
from treecast.base.ids import StreamId
from treecast.base.membership import ANY_SOURCE, NO_SOURCE, FilterMode, SourceFilter

GROUP, GROUP6, PORT = "239.7.7.7", "ff35::7:7", 5007
ETH_P_ALL = 0x0003
UDP_SEGMENT = 103
SO_ATTACH_FILTER, SO_DETACH_FILTER, SO_LOCK_FILTER = 26, 27, 44
TAKE_ALL = struct.pack("HBBI", 0x06, 0, 0, 0x4_0000)
"""A filter of one instruction (linux/filter.h)."""
PACKET_PORT = 1
GROUP_MAC = bytes.fromhex("01005e070707")
SIZE = 1200


@dataclass(frozen=True, slots=True)
class Scene:
    planes: DataPlanes
    lan: Lan
    interface: str

    @property
    def here(self) -> DataPlane:
        return self.planes[0]

    @property
    def far(self) -> DataPlane:
        return self.planes[1]

    def want(self, group: str, *sources: str) -> None:
        """The hosts behind the port want it: any source, or these."""
        mode = FilterMode.INCLUDE if sources else FilterMode.EXCLUDE
        wanted = SourceFilter(mode, frozenset(map(ip_address, sources)))
        self.here.do(SetPortGroup(PACKET_PORT, 0, ip_address(group), wanted))

    def forget(self, group: str) -> None:
        self.here.do(SetPortGroup(PACKET_PORT, 0, ip_address(group), NO_SOURCE))


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with DataPlanes(2) as planes:
        lan = Lan(planes.lab, 1)
        machine = planes[0].machine
        interface = lan.connect(planes.lab, machine)
        for host in lan.hosts:  # not asked to answer for what it has not
            host.run(["ip", "-6", "route", "replace", "multicast", "ff35::/16", "dev", "eth0", "table", "local"])
        for plane in planes.planes:
            plane.machine.run(
                ["ip", "-6", "route", "replace", "multicast", "ff35::/16", "dev", INTERFACE, "table", "local"]
            )
        with machine.enter():
            descriptor = _native.open_packet_socket(interface)
        assert planes[0].forwarder.open_packet_port(descriptor) == PACKET_PORT
        os.close(descriptor)
        planes[0].do(SetPortForwarding(PACKET_PORT, on=True))
        for number, (root, member) in enumerate(((planes[0], planes[1]), (planes[1], planes[0]))):
            planes.tree(root, 0, [member])
            planes.tree(root, 10 + number, [member], group=GROUP)
            root.do(SetRoute(0, ip_address(GROUP6), None, StreamId(10 + number)))
        yield Scene(planes, lan, interface)


def listen(machine: Machine, interface: str) -> socket.socket:
    """Everything that comes in by an interface."""
    with machine.enter():
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    raw.bind((interface, ETH_P_ALL))
    raw.settimeout(LIMIT_S)
    return raw


def hear(raw: socket.socket, count: int) -> set[bytes]:
    """The sources of the next ``count`` datagrams of SIZE to GROUP; the kernel may give several as one frame."""
    sources: set[bytes] = set()
    while count > 0:
        frame = raw.recv(65_536)
        if frame.startswith(GROUP_MAC):
            sources.add(frame[6:12])
            count -= (len(frame) - 42) // SIZE
    return sources


def hears_no_more(raw: socket.socket) -> bool:
    """Whether nothing that a test sent is left to be heard; closes it."""
    raw.setblocking(False)
    with raw:
        while True:
            try:
                frame = raw.recv(2000)
                if frame.startswith(GROUP_MAC) or frame[12:14] == b"\x88\xb6":
                    return False
            except BlockingIOError:
                return True


def send(machine: Machine, interface: str, *frames: bytes) -> None:
    with machine.enter(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind((interface, 0))
        for frame in frames:
            raw.send(frame)


def hardware_address(machine: Machine, interface: str) -> bytes:
    with machine.enter(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind((interface, 0))
        found: bytes = raw.getsockname()[4]
    return found


@pytest.mark.parametrize("group", [GROUP, GROUP6])
def test_a_host_behind_the_port_hears_the_group_and_is_heard(scene: Scene, group: str) -> None:
    inside, outside = scene.lan.hosts[0], scene.far.machine
    scene.want(group)
    receiver = Receiver(inside, group, PORT, interface="eth0")
    Sender(outside, group, PORT, interface=INTERFACE, rate_pps=2000, count=1000).wait(LIMIT_S)
    wait_until(lambda: receiver.snapshot().received >= 1000, LIMIT_S, "all has come")
    account = receiver.stop()
    assert (account.received, account.lost, account.duplicated) == (1000, 0, 0)
    scene.forget(group)
    listener = Receiver(outside, group, PORT, interface=INTERFACE)
    Sender(inside, group, PORT, interface="eth0", rate_pps=2000, count=1000).wait(LIMIT_S)
    wait_until(lambda: listener.snapshot().received >= 1000, LIMIT_S, "all has come")
    assert listener.stop().duplicated == 0


def test_what_leaves_has_the_interface_s_mac_and_only_wanted_groups_and_sources_leave(scene: Scene) -> None:
    inside, outside = scene.lan.hosts[0], scene.far.machine
    raw = listen(inside, "eth0")
    own = hardware_address(scene.here.machine, scene.interface)

    def come() -> int:
        return scene.here.forwarder.counters()["tap_tx_frames"]  # the TAP gets all

    def stream() -> None:
        before = come()
        Sender(outside, GROUP, PORT, interface=INTERFACE, rate_pps=1000, count=50).wait(LIMIT_S)
        wait_until(lambda: come() >= before + 50, LIMIT_S, "all has come to the node")

    stream()  # nobody wants it
    scene.want(GROUP, "10.9.0.99")
    stream()  # not from there
    scene.want(GROUP, "10.9.0.2")
    stream()
    assert hear(raw, 50) == {own}
    assert hears_no_more(raw)
    scene.forget(GROUP)


def test_super_frames_of_a_host_and_checksums_still_to_be_done_arrive_as_datagrams(scene: Scene) -> None:
    inside, outside = scene.lan.hosts[0], scene.far.machine
    with outside.enter():
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        receiver.bind(("", PORT + 1))
        joined = ip_address(GROUP).packed + ip_address("10.9.0.2").packed
        receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, joined)
    receiver.settimeout(LIMIT_S)
    payload = os.urandom(10_000)
    with inside.enter(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, ip_address("10.99.1.1").packed)
        sender.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 1000)
        sender.sendto(payload, (GROUP, PORT + 1))
    with receiver:
        assert b"".join(receiver.recv(2000) for _ in range(10)) == payload


def counted(flows: list[_native.FlowStats]) -> Counter[tuple[str, int | None]]:
    """Frames to GROUP by source, and by the port that they came from."""
    here = [flow for flow in flows if flow.group == ip_address(GROUP).packed]
    return Counter({(str(ip_address(flow.source)), flow.port): flow.packets for flow in here})


def test_frames_of_groups_cross_between_the_ports_of_one_node(scene: Scene) -> None:
    inside, machine = scene.lan.hosts[0], scene.here.machine
    scene.want(GROUP)
    receiver = Receiver(inside, GROUP, PORT, interface="eth0")
    forwarder = scene.here.forwarder
    sent_before, given_before = counted(forwarder.sent_flows()), counted(forwarder.delivered_flows())
    Sender(machine, GROUP, PORT, interface=INTERFACE, rate_pps=1000, count=200).wait(LIMIT_S)
    wait_until(lambda: receiver.snapshot().received >= 200, LIMIT_S, "from the node's own kernel")
    assert receiver.stop().duplicated == 0
    assert counted(forwarder.sent_flows()) - sent_before == Counter({("10.9.0.1", 0): 200})
    assert counted(forwarder.delivered_flows()) - given_before == Counter({("10.9.0.1", None): 200})
    scene.forget(GROUP)
    scene.here.do(SetPortSelective(0, on=True))
    raw = listen(machine, INTERFACE)

    def stream() -> None:
        Sender(inside, GROUP, PORT, interface="eth0", rate_pps=1000, count=100).wait(LIMIT_S)

    before = forwarder.counters()["packet_rx_frames"]
    stream()
    wait_until(lambda: forwarder.counters()["packet_rx_frames"] >= before + 100, LIMIT_S, "taken")
    scene.here.do(SetPortGroup(0, 0, ip_address(GROUP), ANY_SOURCE))
    stream()
    assert hear(raw, 100) == {hardware_address(inside, "eth0")}
    assert hears_no_more(raw)
    scene.here.do(SetPortGroup(0, 0, ip_address(GROUP), NO_SOURCE), SetPortSelective(0, on=False))


def test_unicast_broadcast_and_the_machine_s_own_frames_stay_where_they_are(scene: Scene) -> None:
    inside, machine, forwarder = scene.lan.hosts[0], scene.here.machine, scene.here.forwarder
    before, taken = forwarder.drops(), forwarder.counters()["packet_rx_frames"]
    source = hardware_address(inside, "eth0")
    own = hardware_address(machine, scene.interface)
    raw = listen(scene.far.machine, INTERFACE)
    Sender(machine, GROUP, PORT, interface=scene.interface, rate_pps=1000, count=50).wait(LIMIT_S)
    send(inside, "eth0", own + source + b"\x88\xb6" + bytes(46), mac(2) + source + b"\x88\xb6" + bytes(46))
    send(inside, "eth0", b"\xff" * 6 + own + b"\x88\xb6" + bytes(46))
    send(inside, "eth0", b"\xff" * 6 + source + b"\x81\x00\x00\x07\x88\xb6" + bytes(46))
    send(inside, "eth0", b"\xff" * 6 + source + b"\x88\xb6" + bytes(46))
    wait_until(lambda: forwarder.drops()["packet_not_group"] > before["packet_not_group"], LIMIT_S, "the broadcast")
    drops = forwarder.drops()
    assert drops["packet_own"] == before["packet_own"] + 1
    assert drops["packet_not_group"] == before["packet_not_group"] + 1
    assert forwarder.counters()["packet_rx_frames"] < taken + 25  # kernels say something now and then
    assert hears_no_more(raw)


def test_events_that_were_not_read_before_their_port_was_closed_are_dropped_also_when_its_number_is_taken_again(
    scene: Scene,
) -> None:
    forwarder = scene.here.forwarder
    with scene.here.machine.enter():
        descriptor = _native.open_packet_socket(scene.interface)
    port = forwarder.open_packet_port(descriptor)
    scene.here.do(SetPortForwarding(port, on=True))
    scene.here.collect()
    before = forwarder.counters()["frames_punted"], forwarder.drops()["port_closed"]
    receiver = Receiver(scene.lan.hosts[0], GROUP, PORT, interface="eth0")
    wait_until(lambda: forwarder.counters()["frames_punted"] >= before[0] + 3, LIMIT_S, "reports came by both ports")
    receiver.stop()
    forwarder.close_port(port)
    assert forwarder.open_packet_port(descriptor) == port
    os.close(descriptor)
    ports = {event.port for event in scene.here.new_events() if isinstance(event, TapFrame | HostSeen)}
    assert (port in ports, PACKET_PORT in ports) == (False, True)
    assert forwarder.drops()["port_closed"] > before[1]
    forwarder.close_port(port)


def test_a_port_goes_down_and_comes_up_with_its_interface(scene: Scene) -> None:
    inside, machine, forwarder = scene.lan.hosts[0], scene.here.machine, scene.here.forwarder
    before = forwarder.drops()["packet_down"]
    machine.run(["ip", "link", "set", scene.interface, "down"])
    wait_until(lambda: forwarder.drops()["packet_down"] > before, LIMIT_S, "down")
    sent = forwarder.counters()["packet_tx_frames"]
    beacon = b"\x03TC\0\0\x01" + mac(1) + b"\x88\xb5" + bytes(46)
    scene.here.do(Inject(PACKET_PORT, beacon))
    assert forwarder.counters()["packet_tx_frames"] == sent
    machine.run(["ip", "link", "set", scene.interface, "address", "02:00:00:00:77:77", "up"])
    beacons: list[bytes] = []
    with listen(inside, "eth0") as raw:
        raw.setblocking(False)

        def has_come() -> bool:
            """The switch may not send on at once what comes by a link that is up again."""
            scene.here.do(Inject(PACKET_PORT, beacon))
            with suppress(BlockingIOError):
                while frame := raw.recv(2000):
                    beacons.extend([frame] if frame.startswith(beacon[:6]) else [])
            return bool(beacons)

        wait_until(has_come, LIMIT_S, "up")
    assert beacons[0][6:12] == bytes.fromhex("020000007777")
    taken = forwarder.counters()["packet_rx_frames"]
    Sender(inside, GROUP, PORT, interface="eth0", rate_pps=1000, count=50).wait(LIMIT_S)
    wait_until(lambda: forwarder.counters()["packet_rx_frames"] >= taken + 50, LIMIT_S, "it hears again")


def test_ports_are_opened_with_packet_sockets_only_and_closed_once(scene: Scene, tmp_path: Path) -> None:
    forwarder = scene.here.forwarder
    with (tmp_path / "file").open("w") as file, pytest.raises(OSError, match="on non-socket") as no:
        forwarder.open_packet_port(file.fileno())
    assert no.value.errno == errno.ENOTSOCK
    with scene.here.machine.enter():
        with pytest.raises(OSError, match="argument"):
            _native.open_packet_socket("lo")
        with pytest.raises(OSError, match="device"):
            _native.open_packet_socket("none")
        descriptor = _native.open_packet_socket(scene.interface)
    assert [forwarder.open_packet_port(descriptor) for _ in range(2)] == [2, 3]
    with pytest.raises(OSError, match="space"):
        forwarder.open_packet_port(descriptor)
    os.close(descriptor)
    for port in (2, 3):
        forwarder.close_port(port)
        with pytest.raises(ValueError, match="no such port"):
            forwarder.close_port(port)


def test_the_filter_of_a_socket_stays_whoever_holds_it(scene: Scene) -> None:
    with scene.here.machine.enter():
        own = socket.socket(fileno=_native.open_packet_socket(scene.interface))
        other = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    instruction = ctypes.create_string_buffer(TAKE_ALL)
    program = struct.pack("HxxxxxxP", 1, ctypes.addressof(instruction))
    with own, other:
        other.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
        other.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
        for option, value in ((SO_ATTACH_FILTER, program), (SO_DETACH_FILTER, 0), (SO_LOCK_FILTER, 0)):
            with pytest.raises(PermissionError):
                own.setsockopt(socket.SOL_SOCKET, option, value)
