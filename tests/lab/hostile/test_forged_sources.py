"""A member that writes a victim's address into what it sends: the victim gets three bytes for each, and no stream.

::

      n0: a stream to n1        n1: answers under        victim
                                the victim's address
     +-------------------+     +---------------+      +-----------+
     | treecast0         |     | treecast0     |      | no node   |
     +--------||---------+     +------||-------+      +----||-----+
     =========++======================++===== switch0 =====++======
"""

from __future__ import annotations

import json

from lab import Lab, Machine, wait_until
from lab.load import Receiver, Sender
from lab.node import INTERFACE, PORT, Overlay, TreecastNode
from tests.lab.overlay.asking import drops, wait_members, wait_received

GROUP = "239.90.0.9"
STREAM_PORT = 5025
RATE_PPS = 500
REPLY_UDP_BYTES = 76
"""A probe's reply. The member's own probes leave as they are: it keeps its path."""
FORGED = 8
"""One each 2 s: nearly as many as came in the 20 s in which a victim once got 5.3 MB."""
LIMIT_S = 30.0


def count_here(victim: Machine) -> None:
    """Counts what comes to the victim from nodes."""
    victim.run(
        ["nft", "add table ip t; add counter ip t n; add chain ip t c { type filter hook prerouting priority -300; }"]
    )
    victim.run(["nft", f"add rule ip t c udp sport {PORT} counter name n"])


def forge(member: Machine, at: TreecastNode, victim: Machine) -> None:
    """Each reply to a probe leaves the member for a node under the victim's address from now on."""
    member.run(
        ["nft", "add table ip t; add counter ip t n; add chain ip t c { type filter hook postrouting priority 0; }"]
    )
    which = f"ip daddr {at.machine.underlay_ipv4} udp sport {PORT} udp length {REPLY_UDP_BYTES}"
    member.run(["nft", f"add rule ip t c {which} counter name n ip saddr set {victim.underlay_ipv4}"])


def counted(machine: Machine) -> tuple[int, int]:
    """Packets and bytes."""
    shown = json.loads(machine.run(["nft", "-j", "list", "counters", "table", "ip", "t"]).stdout)["nftables"]
    (counter,) = (entry["counter"] for entry in shown if "counter" in entry)
    return counter["packets"], counter["bytes"]


def endpoint_of(member: TreecastNode, at: TreecastNode) -> str:
    (peer,) = (peer for peer in at.peers() if peer.name == member.name)
    return peer.endpoint


def test_a_victim_gets_three_bytes_for_each_forged_one_and_the_stream_goes_where_it_went(lab: Lab) -> None:
    lan = lab.switch()
    net = Overlay([lab.machine(f"n{number}", lan) for number in range(2)], lab.directory)
    victim = lab.machine("victim", lan)
    net.nodes[1].machine.offload(False)  # a packet is a datagram
    count_here(victim)
    net.start()
    root, member = net.nodes
    receiver = Receiver(member.machine, GROUP, STREAM_PORT, interface=INTERFACE)
    wait_members(root, GROUP, {member.name})
    stream = Sender(root.machine, GROUP, STREAM_PORT, interface=INTERFACE, rate_pps=RATE_PPS)
    wait_received(receiver, RATE_PPS)
    at = endpoint_of(member, root)
    forge(member.machine, root, victim)

    def forged_enough() -> bool:
        (challenges, victims_bytes), (packets, forged_bytes) = counted(victim), counted(member.machine)
        assert victims_bytes <= 3 * forged_bytes
        return packets >= FORGED and challenges > 0

    wait_until(forged_enough, LIMIT_S, "the member has forged enough, and the victim was challenged", poll_s=0.2)
    assert endpoint_of(member, root) == at
    assert "path moved" not in root.log_tail()
    assert drops(root).get("path_response_unexpected", 0) == 0
    wait_received(receiver, receiver.snapshot().received + RATE_PPS)
    sent = stream.stop()
    wait_received(receiver, sent.sent - 1)
    got = receiver.stop()
    assert (got.lost, got.duplicated, got.other) == (0, 0, 0)
    assert forged_enough()
    net.stop()
