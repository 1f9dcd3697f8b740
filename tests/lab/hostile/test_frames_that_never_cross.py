"""A member seals queries and beacons for a node, whose kernel would believe them: none comes out at its interface."""

from __future__ import annotations

from scapy.layers.igmp import IGMP
from scapy.layers.inet import IP
from scapy.layers.inet6 import ICMPv6MLQuery, IPv6, IPv6ExtHdrHopByHop, RouterAlert
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from lab import wait_until
from lab.node import INTERFACE, TreecastNode
from tests.hostile_speaker import layouts as wire
from tests.lab.hostile.hostility import LIMIT_S, Hostility, counted, problems

REASON = "frame_never_crosses"


def igmp_version(node: TreecastNode) -> str:
    """The version that the kernel speaks on the node's interface."""
    lines = node.machine.run(["cat", "/proc/net/igmp"]).stdout.splitlines()
    (version,) = (line.split()[-1] for line in lines if INTERFACE in line)
    return version


def queries(mac: str, ipv4: str) -> list[bytes]:
    """An IGMPv1 query, at which a kernel says nothing any more when it leaves, and one of MLDv1."""
    all_hosts = Ether(src=mac, dst="01:00:5e:00:00:01") / IP(src=ipv4, dst="224.0.0.1", ttl=1)
    all_nodes = Ether(src=mac, dst="33:33:00:00:00:01") / IPv6(src="fe80::1", dst="ff02::1", hlim=1)
    options = IPv6ExtHdrHopByHop(options=[RouterAlert()])
    return [bytes(all_hosts / IGMP(type=0x11, mrcode=0)), bytes(all_nodes / options / ICMPv6MLQuery())]


def test_a_member_s_queries_and_beacons_reach_no_kernel_and_it_is_named(hostility: Hostility) -> None:
    n0, n1, _ = hostility.net.nodes
    member = hostility.admit("querier", "eve")
    mac, ipv4 = f"02:54:{member.index.to_bytes(4, 'big').hex(':')}", f"10.77.0.{member.index}"
    beacon = bytes(Ether(src=mac, dst="03:54:43:00:00:01", type=0x88B5) / Raw(bytes(60)))
    frames = [*queries(mac, ipv4), beacon]
    sent = 0
    with hostility.speaker(member) as speaker, hostility.linked(speaker, n1) as (session,), hostility.undisturbed():

        def is_named() -> bool:
            nonlocal sent
            for frame in frames:
                session.send(wire.FRAME, frame)
                sent += 1
            return (REASON, "querier") in problems(n1)

        wait_until(is_named, LIMIT_S, "the member is named")
        wait_until(lambda: counted(n1, REASON) == sent, LIMIT_S, "all are judged")
        assert igmp_version(n1) == "V3"
    assert (REASON, "querier") not in problems(n0)
