"""The answers of a running node as tables for people. Whoever wants to parse them takes ``--json``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Literal

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.table import Table

from treecast.api.records import AdmittedNode, Group, Host, Member, NetworkView, Peer, Status

_SHORT_ID_DIGITS = 8
_WIDTH_WITHOUT_TERMINAL = 120
MOST_FOLDED_ROWS = 500
"""Folding the cells of 10,000 rows takes half a minute."""

Column = tuple[str, Literal["left", "right"]]


def print_status(status: Status) -> None:
    for problem in status.problems:
        console().print(f"PROBLEM for {in_time(problem.since_s)}: {problem.text}", soft_wrap=True)
    _print_facts(_status_rows(status))


def print_network(network: NetworkView) -> None:
    _print_facts(
        (
            ("network", network.name),
            ("id", network.id),
            ("IPv4", network.ipv4),
            ("IPv6", network.ipv6),
            ("CA key", network.ca_public_key),
        )
    )


def print_admitted_nodes(nodes: Sequence[AdmittedNode]) -> None:
    columns: tuple[Column, ...] = (
        ("NAME", "left"),
        ("INDEX", "right"),
        ("IPV4", "left"),
        ("IPV6", "left"),
        ("VALID UNTIL", "left"),
    )
    rows = tuple(
        (node.name, str(node.index), node.ipv4, node.ipv6, node.valid_until + (" (expired)" if node.expired else ""))
        for node in nodes
    )
    print_rows("no nodes", columns, rows)


def _print_facts(rows: Iterable[tuple[str, str]]) -> None:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, value)
    console().print(table)


def print_peers(peers: Sequence[Peer]) -> None:
    columns: tuple[Column, ...] = (
        ("NAME", "left"),
        ("NODE ID", "left"),
        ("ENDPOINT", "left"),
        ("STATE", "left"),
        ("RTT", "right"),
        ("RECEIVED", "right"),
        ("SENT", "right"),
    )
    rows = (
        (
            peer.name,
            peer.node_id[:_SHORT_ID_DIGITS],
            peer.endpoint,
            peer.state,
            f"{peer.rtt_ms:.1f} ms" if peer.rtt_ms is not None else "-",
            in_bytes(peer.rx_bytes),
            in_bytes(peer.tx_bytes),
        )
        for peer in peers
    )
    print_rows("no peers", columns, tuple(rows))


def print_groups(groups: Sequence[Group]) -> None:
    console().print(groups_table(groups), crop=False)


def groups_table(groups: Sequence[Group]) -> RenderableType:
    """The multicast table, to print it or to show it live."""
    columns: tuple[Column, ...] = (
        ("GROUP", "left"),
        ("SOURCE", "left"),
        ("MEMBERS", "left"),
        ("LOCAL", "left"),
        ("RX PACKETS", "right"),
        ("RX", "right"),
        ("TX PACKETS", "right"),
        ("TX", "right"),
    )
    rows = (
        (
            with_vlan(group.group, group.vlan),
            group.source,
            ", ".join(_member(member) for member in group.members) or "-",
            "yes" if group.local else "no",
            str(group.rx_packets),
            in_bytes(group.rx_bytes),
            str(group.tx_packets),
            in_bytes(group.tx_bytes),
        )
        for group in groups
    )
    return rows_table("no groups", columns, tuple(rows))


def print_hosts(hosts: Sequence[Host]) -> None:
    columns: tuple[Column, ...] = (
        ("MAC", "left"),
        ("IP", "left"),
        ("NODE", "left"),
        ("AGE", "right"),
        ("NOTE", "left"),
    )
    rows = ((host.mac, "\n".join(host.ip) or "-", host.node, in_time(host.age_s), _host_note(host)) for host in hosts)
    print_rows("no hosts", columns, tuple(rows))


def _host_note(host: Host) -> str:
    """What an operator should know of it; the last two are for him to settle."""
    notes = [f"VLAN {host.vlan}"] if host.vlan else []
    notes += [f"port {host.port}"] if host.port else []
    notes += ["router"] if host.router else []
    notes += ["duplicate: in two places at once"] if host.duplicate else []
    notes += [f"conflict: same address as {' '.join(host.conflicts)}"] if host.conflicts else []
    return "\n".join(notes)


def in_bytes(count: int) -> str:
    """``count`` bytes with three or four digits and a decimal unit."""
    if count < 1000:
        return f"{count} B"
    value, unit = count / 1000, "kB"
    for larger in ("MB", "GB", "TB", "PB"):
        if value < 999.95:
            break
        value, unit = value / 1000, larger
    return f"{value:.1f} {unit}"


def in_time(seconds: float) -> str:
    """A duration in its two largest units."""
    whole = int(seconds)
    days, hours, minutes = whole // 86_400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"


def _status_rows(status: Status) -> tuple[tuple[str, str], ...]:
    return (
        ("node", f"{status.node} ({status.node_id[:_SHORT_ID_DIGITS]})"),
        ("network", status.network),
        ("interface", status.interface),
        ("IPv4", status.ipv4 or "-"),
        ("IPv6", status.ipv6 or "-"),
        ("certificate", f"valid from {status.valid_from} until {status.valid_until}"),
        ("version", status.version),
        ("up for", in_time(status.uptime_s)),
        ("listening", "\n".join(status.listening) or "-"),
        ("workers", str(status.workers)),
        ("offloads", ", ".join(status.offloads) or "none"),
        ("peers", str(status.peers)),
        *((("seeking", "\n".join(status.seeking)),) if status.seeking else ()),
        ("counters", _counts(status.counters)),
        ("drops", _counts(status.drops)),
    )


def _counts(counts: dict[str, int]) -> str:
    """The counts that are not zero, one a line."""
    counted = {name: count for name, count in counts.items() if count}
    digits = max((len(str(count)) for count in counted.values()), default=0)
    return "\n".join(f"{count:>{digits}} {name}" for name, count in counted.items()) or "none"


def _member(member: Member) -> str:
    """``name``, ``name (only SOURCES)`` or ``name (not SOURCES)``."""
    return member.node + in_brackets(member.filter_mode, member.sources)


def in_brackets(filter_mode: str, sources: Sequence[str]) -> str:
    """`` (only SOURCES)`` or `` (not SOURCES)``, or nothing."""
    if not sources:
        return ""
    return f" ({'only' if filter_mode == 'include' else 'not'} {' '.join(sources)})"


def with_vlan(text: str, vlan: int) -> str:
    return f"{text} vlan {vlan}" if vlan else text


def print_rows(nothing: str, columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    console().print(rows_table(nothing, columns, rows), crop=False)


def rows_table(nothing: str, columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> RenderableType:
    """A table with a line under its titles; ``nothing`` where it has no rows."""
    if not rows:
        return nothing
    if len(rows) > MOST_FOLDED_ROWS:
        return _unfolded(columns, rows)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for title, justify in columns:
        table.add_column(title, justify=justify, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


class _Lines:
    """Text as it is."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = lines

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in self._lines:
            yield Segment(line)
            yield Segment.line()


def _unfolded(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> RenderableType:
    """The same, as wide as it is."""
    cells = [[title for title, _ in columns], *([cell.replace("\n", ", ") for cell in row] for row in rows)]
    widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]
    cells.insert(1, ["\u2500" * width for width in widths])
    lines = (
        " ".join(
            cell.rjust(width) if justify == "right" else cell.ljust(width)
            for cell, width, (_, justify) in zip(line, widths, columns, strict=True)
        )
        for line in cells
    )
    return _Lines(line.rstrip() for line in lines)


def console() -> Console:
    """A console that shows text as it is, as wide as the terminal."""
    width = None if sys.stdout.isatty() else _WIDTH_WITHOUT_TERMINAL
    return Console(markup=False, highlight=False, emoji=False, width=width)
