"""A control server in a thread of its own, for tests of clients that block."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

from treecast.api.records import Answer, ApiRequest, Group, GroupChanges, Host, Member, Peer, Rows, Sliced, Status, Verb
from treecast.api.server import ControlServer
from treecast.api.trace_records import Decision, TracedNode, TracedTree, TreeTrace, Why

STATUS = Status(
    node="alice",
    node_id="d035ab604040db599348f315ec068b68",
    network="lab",
    interface="treecast0",
    ipv4="10.77.0.1",
    ipv6="fdb1:6d60:f2aa:5883::1",
    uptime_s=3725.5,
    peers=2,
    counters={"frames_in": 1234, "frames_out": 7, "idle": 0},
    drops={"no_subscriber": 12, "tag_bad": 0},
    listening=["0.0.0.0:7700", "[::]:7700"],
    workers=2,
    offloads=["tso", "uso"],
    unreached=["node.example.net:7700"],
)
PEERS = [
    Peer("bob", "fe3e35fc87f5c62dd5f6023872aeb3c7", "192.0.2.7:7700", "up", 0.251, 1_234_567, 999),
    Peer("carol", "32828b1c7cf6be8fc7d04b5a5d616a5e", "[2001:db8:1:2:3:4:5:6]:7700", "connecting", None, 0, 0),
]
GROUPS = [
    Group(
        "239.1.1.1",
        "*",
        [Member("bob", "exclude", []), Member("carol", "exclude", ["10.77.0.9"])],
        local=False,
        rx_packets=0,
        rx_bytes=0,
        tx_packets=1000,
        tx_bytes=1_316_000,
    ),
    Group("ff3e::1234", "fd00::1", [Member("alice", "include", ["fd00::1"])], True, 5, 500, 0, 0),
]
TREE = TracedTree(
    root="alice",
    group="239.1.1.1",
    source="*",
    vlan=0,
    stream=3,
    epoch=17,
    key_id=18,
    since_s=62.0,
    pps=1000.0,
    rate_bps=8_000_000.0,
    left_out=0,
    nodes=[
        TracedNode(
            node="bob",
            answered=True,
            service="tree",
            subscribes=True,
            parent="alice",
            epoch=17,
            key_id=18,
            since_s=61.0,
            rtt_ms=0.25,
            loss=0.0,
            pps=999.5,
            rate_bps=7_990_000.0,
            children=["carol"],
        ),
        TracedNode(
            node="carol",
            answered=True,
            service="tree",
            subscribes=True,
            parent="bob",
            backup="alice",
            graft="backup",
            epoch=17,
            key_id=18,
            since_s=61.0,
        ),
        TracedNode(node="dave", answered=False, service="copies"),
    ],
)
HOSTS = [Host("02:54:00:00:00:01", ["10.77.0.1", "fdb1:6d60:f2aa:5883::1"], "alice", 0.4)]


def sample_answer(verb: Verb) -> Answer:
    answers: dict[Verb, Answer] = {Verb.STATUS: STATUS, Verb.PEERS: PEERS, Verb.GROUPS: GROUPS, Verb.HOSTS: HOSTS}
    answers[Verb.SOME_GROUPS] = GROUPS
    return answers[verb]


async def sample_changes(since: int | None) -> Sliced:
    """The table, and then that nothing has changed."""
    if since is None:
        return Sliced(GroupChanges(1, True, [], []), iter(GROUPS))
    return Sliced(GroupChanges(since, False, [], None), iter(()))


async def sample_trace(request: ApiRequest) -> Answer:
    """One tree of two levels, of the group 239.1.1.1 alone, and why a node is linked."""
    group, source = request.group, request.source
    if request.verb is Verb.WHY:
        return Why(group, [Decision("link", "up: --peer bob.example", 62.0)] if group == "bob" else [], "nobody has it")
    if group != "239.1.1.1" or source:
        return TreeTrace(group, [], [], why_none=f"nobody has joined {group}, and no host here sends to it")
    return TreeTrace(group, [TREE], [])


@contextmanager
def serving(
    directory: Path,
    answer: Callable[[Verb], Answer | Rows] = sample_answer,
    follow: Callable[[int | None], Awaitable[Sliced]] = sample_changes,
    trace: Callable[[ApiRequest], Awaitable[Answer]] = sample_trace,
) -> Iterator[list[str]]:
    """A node answers in ``directory`` inside the with statement; what its answers raised, by verb."""
    bugs: list[str] = []
    ready, failed, loop = Event(), [], asyncio.new_event_loop()
    stop = asyncio.Event()

    def note(verb: str, error: Exception) -> None:
        bugs.append(f"{verb}: {error!r}")

    async def serve() -> None:
        async with ControlServer(directory, answer, note, follow, trace):
            ready.set()
            await stop.wait()

    def run() -> None:
        try:
            loop.run_until_complete(serve())
        except BaseException as error:
            failed.append(error)
            raise
        finally:
            ready.set()
            loop.close()

    thread = Thread(target=run)
    thread.start()
    assert ready.wait(5)
    assert not failed
    try:
        yield bugs
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(5)
        assert not thread.is_alive()
