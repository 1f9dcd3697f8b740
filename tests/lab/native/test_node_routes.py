"""Two data planes whose underlays cannot reach each other, and one between that sends on what they seal::

n0 ---- n1 ---- n2      nothing goes from n0 to n2, nor back
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lab.load import Receiver, Sender
from lab.planes import INTERFACE, LIMIT_S, NETWORK, DataPlane, DataPlanes, ipv4, session_of
from lab.waiting import wait_until
from treecast import _native
from treecast.base import commands as c
from treecast.base.events import ForwardedHandshake
from treecast.base.ids import NodeIndex

GROUP = "239.1.1.1"
ONE, TWO, THREE = NodeIndex(1), NodeIndex(2), NodeIndex(3)
PATTERN = "5ec2e7ba5ec2e7ba"


@contextmanager
def line(*, routes: bool = True) -> Iterator[DataPlanes]:
    with DataPlanes(3) as planes:
        for plane, other in ((planes[0], planes[2]), (planes[2], planes[0])):
            plane.machine.run(["nft", "add table ip cut; add chain ip cut in { type filter hook input priority 0; }"])
            plane.machine.run(["nft", f"add rule ip cut in ip saddr {other.machine.underlay_ipv4} drop"])
        if routes:
            planes[0].do(c.SetNodeRoute(THREE, TWO))
            planes[2].do(c.SetNodeRoute(ONE, TWO))
        yield planes


def ping(plane: DataPlane, node: int, *options: str) -> bool:
    return plane.machine.run(["ping", "-c3", "-i0.05", "-W2", *options, ipv4(node)], check=False).returncode == 0


def test_frames_go_by_the_node_between_whole_and_in_parts_and_it_reads_none() -> None:
    with line(routes=False) as planes:
        assert not ping(planes[0], 3)
        planes[0].do(c.SetNodeRoute(THREE, TWO))
        planes[2].do(c.SetNodeRoute(ONE, TWO))
        path = planes.lab.directory / "between.pcap"
        with planes[1].machine.capture(path, "udp port 7700"), planes[2].machine.capture(path.with_name("end"), "icmp"):
            assert ping(planes[0], 3, "-p", PATTERN)
        assert bytes.fromhex(PATTERN) not in path.read_bytes()
        assert ping(planes[2], 1)
        assert ping(planes[0], 3, "-s", "1346"), "in parts"
        assert ping(planes[0], 2) and ping(planes[2], 2), "the neighbours, directly"
        assert planes[1].forwarder.counters()["datagrams_forwarded"] >= 20
        assert planes[1].forwarder.counters()["tap_tx_frames"] < 20, "it gets its own frames only"
        planes[0].do(c.RemoveNodeRoute(THREE))
        assert not ping(planes[0], 3)


def test_a_member_without_a_path_gets_its_group_by_copies() -> None:
    with line() as planes:
        planes.tree(planes[0], 5, planes.planes[1:], group=GROUP)
        receivers = [Receiver(plane.machine, GROUP, 5000, interface=INTERFACE) for plane in planes.planes[1:]]
        sent = Sender(planes[0].machine, GROUP, 5000, interface=INTERFACE, rate_pps=25, count=75).wait(20)
        wait_until(lambda: all(one.snapshot().received == sent.sent for one in receivers), LIMIT_S, "all received")
        assert [receiver.stop().duplicated for receiver in receivers] == [0, 0]
        assert planes[0].forwarder.drops()["forward_budget"] == 0


def test_who_sends_too_much_by_a_route_is_held_by_its_own_budget_and_the_session_lives() -> None:
    with line() as planes:
        planes.tree(planes[0], 5, [planes[2]], group=GROUP)
        receiver = Receiver(planes[2].machine, GROUP, 5000, interface=INTERFACE)
        Sender(planes[0].machine, GROUP, 5000, interface=INTERFACE, rate_pps=2000, count=8000).wait(20)
        wait_until(lambda: planes[0].forwarder.drops()["forward_budget"] > 4000, LIMIT_S, "more than it may")
        assert planes[1].forwarder.drops()["forward_budget"] == 0, "what has left is sent on"
        assert 0 < receiver.stop().received < 4000
        (sent,) = [one for one in planes[0].forwarder.sessions() if one.peer == THREE]
        (came,) = [one for one in planes[2].forwarder.sessions() if one.peer == ONE]
        assert sent.refused_bytes > 4000 * 1200 > sent.carried_bytes > came.carried_bytes / 2 > 0
        assert came.refused_bytes == 0

        def is_probed() -> bool:
            return [one.silent_s < 5 for one in planes[0].forwarder.sessions() if one.peer == THREE] == [True]

        wait_until(is_probed, LIMIT_S, "its probes are answered")
        wait_until(lambda: ping(planes[0], 3), LIMIT_S, "the budget fills up again")


def test_a_first_handshake_goes_by_the_node_between_and_its_session_has_no_path() -> None:
    with line(routes=False) as planes:
        one, three = planes[0], planes[2]
        for other, plane in ((three, one), (one, three)):
            node = NodeIndex(other.node)
            plane.do(c.ForgetPeer(node), c.SetNodeRoute(node, TWO))
            plane.neighbour(other)
        first = _native.Handshake.initiate(one.key, NETWORK, 501)
        one.do(c.SendForwarded(TWO, THREE, first.init_datagram()))
        init = three.wait_for(ForwardedHandshake)[-1]
        assert (init.neighbour, init.source) == (TWO, ONE)
        second = _native.Handshake.respond(three.key, NETWORK, 502, init.data)
        three.do(c.SendForwarded(TWO, ONE, second.write_response(b"response")))
        response = one.wait_for(ForwardedHandshake)[-1]
        assert (response.neighbour, response.source) == (TWO, THREE)
        assert first.read_response(response.data) == b"response"
        one.do(c.SendForwarded(TWO, THREE, first.write_final(b"final")))
        assert second.read_final(three.wait_for(ForwardedHandshake, 2)[-1].data) == b"final"
        one.do(session_of(first, THREE, None, _native.AEAD_AES_256_GCM))
        three.do(session_of(second, ONE, None, _native.AEAD_AES_256_GCM))
        assert ping(one, 3) and ping(three, 1)
        assert one.wait_probed(THREE) < 1000


def test_what_cannot_be_sent_on_is_counted_by_name() -> None:
    with line(routes=False) as planes:
        init = _native.Handshake.initiate(planes[0].key, NETWORK, 501).init_datagram()
        planes[0].do(c.SendForwarded(TWO, NodeIndex(9), init))
        wait_until(lambda: planes[1].forwarder.drops()["forward_no_route"] == 1, LIMIT_S, "nobody knows node 9")
        planes[0].do(c.SendForwarded(NodeIndex(9), THREE, init))
        assert planes[0].forwarder.drops()["forward_no_route"] == 1
        planes[0].do(c.SetNodeRoute(THREE, NodeIndex(9)), c.SendControl(THREE, b"message"))
        assert planes[0].forwarder.drops()["forward_no_route"] == 2
