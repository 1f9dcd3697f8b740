"""A thief that has read a node's directory speaks as that node beside it, and names no other run."""

from __future__ import annotations

from lab import wait_until
from lab.node import PORT
from tests.hostile_speaker import layouts as wire
from tests.hostile_speaker.member import Member
from tests.lab.hostile.hostility import LIMIT_S, Hostility
from treecast.api.client import fetch_status
from treecast.broadcast.twins import SETTLED


def test_all_nodes_name_the_node_whose_directory_is_used_elsewhere_it_among_them(hostility: Hostility) -> None:
    n0, n1, n2 = hostility.net.nodes
    hostility.wait_stream(SETTLED + 1.0)
    with hostility.speaker(Member.load(n1.directory)) as thief:

        def said() -> list[str]:
            thief.epoch += 1000
            sessions = [thief.connect((node.machine.underlay_ipv4, PORT)) for node in (n0, n2)]
            links = thief.advertise(wire.LINKS, b"\0", wire.encode([[session.peer for session in sessions]]))
            mine = thief.describe()
            for session in sessions:
                session.flood(mine, links)
            hostility.wait_stream(4.0)
            found = [fetch_status(node.directory).problems for node in hostility.net.nodes]
            texts = [problem.text for problems in found for problem in problems if problem.kind == "identity_twice"]
            return texts if len(texts) == len(found) else []

        texts = wait_until(said, 2 * LIMIT_S, "all have the problem")
    for text in texts:
        assert text.startswith("node n1 runs on two machines, ")
        assert hostility.machines["eve"].underlay_ipv4 in text and "treecast node revoke n1" in text
    assert n1.running
    hostility.net.wait_linked(2 * LIMIT_S)
