"""The verdict: facts of the run as ``report.json``, and what would have to be true of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
from PIL import Image, ImageStat, UnidentifiedImageError

from lab.demo.underlay import WireFacts

PICTURE_SIZE = (1280, 720)
LEAVE_LIMIT_MS = 3000.0


class NodeReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One node. The source's own fields are None for the others, join and leave for those who did neither."""

    node: str
    subscribed: bool
    packets_sent: int
    packets_received: int
    lost: int
    underlay_rx_bytes: int
    payload_bytes: int | None = None
    underlay_tx_bytes: int | None = None
    join_ms: float | None = None
    leave_ms: float | None = None


class Report(msgspec.Struct, frozen=True):
    """The contents of ``report.json``."""

    passed: bool
    failures: list[str]
    stream_seconds: int
    plaintext_packets_on_underlay: int
    underlay_packets_looked_at: int
    bystander_group_packets: int
    nodes: list[NodeReport]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Traces of the run to judge by. ``control``: the same look at the stream before it was sealed."""

    nodes: list[NodeReport]
    source_wire: WireFacts
    control_plaintext: int
    bystander_wire: WireFacts
    pictures: dict[str, Path]
    disorder: list[str]
    measuring_errors: list[str]


def judge(evidence: Evidence) -> list[str]:
    """The run's failures, a sentence each."""
    failures = [*evidence.measuring_errors, *(f"{node} got datagrams out of order" for node in evidence.disorder)]
    for node in evidence.nodes:
        if node.subscribed:
            failures += _judge_subscriber(node)
        elif node.packets_received:
            failures.append(f"{node.node} asked for nothing and got {node.packets_received} datagrams")
    if evidence.bystander_wire.group_packets:
        failures.append(f"the bystander's wire carried {evidence.bystander_wire.group_packets} packets of the stream")
    if evidence.source_wire.plaintext_packets:
        failures.append(f"{evidence.source_wire.plaintext_packets} packets on the underlay show MPEG-TS in the clear")
    if not evidence.control_plaintext:
        failures.append("the search for plaintext finds nothing in the stream itself: it proves nothing")
    if not evidence.source_wire.packets:
        failures.append("the capture of the underlay is empty: it proves nothing")
    for name, path in evidence.pictures.items():
        failures += _judge_picture(name, path)
    return failures


def _judge_subscriber(node: NodeReport) -> list[str]:
    failures = []
    if not node.packets_received:
        failures.append(f"{node.node} subscribed and got nothing")
    if node.lost:
        failures.append(f"{node.node} lost {node.lost} datagrams")
    if node.join_ms is None:
        failures.append(f"{node.node}'s join was not seen")
    if node.leave_ms is not None and node.leave_ms > LEAVE_LIMIT_MS:
        failures.append(f"{node.node} got the stream for {node.leave_ms:.0f} ms after it left")
    return failures


def _judge_picture(name: str, path: Path) -> list[str]:
    """A picture of the stream has its size and many colours; grey or black is what a decoder makes of nothing."""
    try:
        with Image.open(path) as picture:
            size = picture.size
            spread = max(ImageStat.Stat(picture.convert("RGB")).stddev)
    except (OSError, UnidentifiedImageError) as error:
        return [f"{name} has no picture: {error}"]
    if size != PICTURE_SIZE or spread < 40:
        return [f"{name}'s picture is not that of the stream ({size[0]}x{size[1]}, spread {spread:.0f})"]
    return []


def write(report: Report, path: Path) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
