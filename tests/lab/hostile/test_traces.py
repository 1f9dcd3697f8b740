"""A member asks all nodes for traces of trees that it is not on, thousands of times, and answers what nobody asked."""

from __future__ import annotations

import socket

from lab.waiting import wait_until
from tests.hostile_speaker import layouts as wire
from tests.hostile_speaker.session import Session
from tests.lab.hostile.hostility import GROUP, Hostility, counted
from treecast.api.client import fetch_trace

ROUNDS = 400
STREAMS = 8
LIMIT_S = 20.0
REASONS = ("trace_request_rate", "tree_query_rate", "tree_report_unexpected", "traced_tree_unexpected")
PLACE = [1, 1, 1, 0, 0, 5, 700, 0, 0, []]


def messages(number: int) -> list[bytes]:
    """Queries about a group's trees and about streams, and answers to queries of others."""
    group = socket.inet_aton(GROUP)
    source = socket.inet_aton(f"10.77.{number // 256}.{number % 256}")
    told = [number, 1, number % STREAMS, True, [1, 1], [PLACE]]
    traced = [number, 0, 1, 0, group, None, b"", 1, 1, 1, 0, None, 0, [[9, 1, True, True, PLACE, [1, 1]]]]
    return [
        wire.encode([wire.TRACE_REQUEST, number, group, b""]),
        wire.encode([wire.TRACE_REQUEST, number, group, source]),
        *(wire.encode([wire.TREE_QUERY, number, stream]) for stream in range(STREAMS)),
        wire.encode([wire.TREE_REPORT, *told]),
        wire.encode([wire.TRACED_TREE, *traced]),
    ]


def of_kind(session: Session, tag: int) -> list[list[object]]:
    return [message for message in list(session.messages) if message[0] == tag]


def test_who_is_on_no_tree_learns_of_none_and_queries_without_end_are_counted(hostility: Hostility) -> None:
    nodes = hostility.net.nodes
    with (
        hostility.speaker(hostility.admit("asker", "eve")) as speaker,
        hostility.undisturbed(2.0),
        hostility.linked(speaker, *nodes) as sessions,
    ):
        before = [{reason: counted(node, reason) for reason in REASONS} for node in nodes]
        for number in range(ROUNDS):
            for session in sessions:
                for message in messages(number):
                    session.send(wire.CONTROL, message)

        def are_counted() -> bool:
            return all(
                counted(node, reason) > counts[reason]
                for node, counts in zip(nodes, before, strict=True)
                for reason in REASONS
            )

        wait_until(are_counted, LIMIT_S, f"all nodes count {REASONS}")
        for session in sessions:
            traced = of_kind(session, wire.TRACED_TREE)
            assert traced and all((part[2], part[3]) == (0, 0) for part in traced), "no tree of the group is told of"
            reports = of_kind(session, wire.TREE_REPORT)
            assert reports and all((report[5], report[6]) == (None, []) for report in reports), "nor a place"
        shown = fetch_trace(nodes[0].directory, GROUP, "", LIMIT_S)
        assert [tree.root for tree in shown.trees] == [nodes[0].name]
        assert {node.node for node in shown.trees[0].nodes if node.answered} == {node.name for node in nodes[1:]}
