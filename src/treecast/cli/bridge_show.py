"""``bridge show`` for people: a block of lines for each LAN."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.table import Table

from treecast.api.bridge_records import Bridge, PacketPort, Storm
from treecast.cli.tables import console


def print_bridge(bridge: Bridge) -> None:
    blocks = list(_blocks(bridge))
    for title, lines in blocks:
        console().print(title)
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
        table.add_column(no_wrap=True, min_width=13)
        table.add_column(overflow="fold")
        for name, value in lines:
            table.add_row(f"  {name}", value)
        console().print(table)
    if not blocks:
        console().print("nothing is bridged")
    stayed = ", ".join(f"{count} of {word}" for word, count in bridge.kept_local.items() if count)
    if stayed:
        console().print(f"Frames that stayed on their LANs: {stayed}")


def _blocks(bridge: Bridge) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    if bridge.interface:
        frames = f"{bridge.frames_from_lan} from the LAN and this machine, {bridge.frames_to_lan} to them"
        yield f"{bridge.interface}, bridged by {bridge.bridge}", [*_lan(bridge), ("frames", frames)]
    for port in bridge.packet_ports:
        if port.port is None:
            yield f"{port.interface}, packet port", [("state", "not open: treecast status says why")]
        else:
            yield f"{port.interface}, packet port {port.port}", list(_lan(port))


def _lan(lan: Bridge | PacketPort) -> Iterator[tuple[str, str]]:
    state = "looped" if lan.looped else lan.state or "-"
    yield "state", f"{state}: {lan.why}" if lan.why else state
    yield "forwarder", lan.forwarder or "-"
    yield "other nodes", " ".join(lan.nodes) or "-"
    yield "keeps local", ", ".join(lan.keep_local) or "none"
    yield "limits", _limits(lan.storms) or "none"


def _limits(storms: Sequence[Storm]) -> str:
    """The limits there are, and what was above each."""
    return ", ".join(
        f"{storm.limit_pps}/s {storm.kind.replace('_', ' ')} ({storm.dropped} dropped)"
        for storm in storms
        if storm.limit_pps is not None
    )
