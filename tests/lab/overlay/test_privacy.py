"""The underlay shows nothing to non-subscribers, the same bytes to all subscribers, no plaintext anywhere."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from lab.load import FILLER, Receiver, Sender
from lab.node import INTERFACE, Overlay
from tests.lab.overlay.asking import wait_members, wait_received
from tests.lab.overlay.captured import SESSION, TREE, read_datagrams, stream_sizes, stream_trees

GROUP = "239.30.0.1"
PORT = 5008
SIZE_BYTES = 1200
COUNT = 3000


def test_a_stream_goes_to_its_subscribers_alone_in_the_same_bytes_and_sealed(mesh: Overlay, tmp_path: Path) -> None:
    receivers = [Receiver(mesh[node].machine, GROUP, PORT, interface=INTERFACE) for node in (1, 3)]
    wait_members(mesh[0], GROUP, {"n1", "n3"})
    with ExitStack() as captures:
        made = [captures.enter_context(n.machine.capture(tmp_path / n.name, "udp port 7700")) for n in mesh.nodes]
        stream = Sender(
            mesh[0].machine, GROUP, PORT, interface=INTERFACE, rate_pps=1000, count=COUNT, size_bytes=SIZE_BYTES
        )
        assert stream.wait(20.0).sent == COUNT
        for receiver in receivers:
            wait_received(receiver, COUNT)
    assert [capture.counts.dropped for capture in made] == [0, 0, 0, 0]
    assert [receiver.stop().lost for receiver in receivers] == [0, 0]
    at_root, at_first, at_other, at_second = (read_datagrams(tmp_path / node.name) for node in mesh.nodes)

    assert not stream_trees(at_other)
    assert not [d for d in at_other if d.kind in (SESSION, TREE) and len(d.payload) in stream_sizes(SIZE_BYTES)]
    assert sum(len(d.payload) for d in at_other) < COUNT * SIZE_BYTES // 20

    first, second = stream_trees(at_first), stream_trees(at_second)
    assert len(first) > COUNT * 0.9
    assert {d.root for d in first} == {1}
    by_counter = {d.tree_counter: d.payload for d in first}
    assert len(by_counter) == len(first), "the root sent a counter twice"
    both = [d for d in second if d.tree_counter in by_counter]
    assert len(both) > COUNT * 0.9
    assert all(d.payload == by_counter[d.tree_counter] for d in both)

    assert len(stream_trees(at_root)) == len(first) + len(second)
    for datagrams in (at_root, at_first, at_other, at_second):
        assert not [d for d in datagrams if FILLER in d.payload]
    for node in mesh.nodes:
        assert FILLER not in (tmp_path / node.name).read_bytes()
