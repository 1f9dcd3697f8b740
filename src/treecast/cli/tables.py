"""The answers of a running node as tables for people. Whoever wants to parse them takes ``--json``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from rich.console import Console, RenderableType
from rich.table import Table

from treecast.api.network_records import AdmittedNode, NetworkView
from treecast.api.records import Host, Peer, Status
from treecast.base.rates import in_bytes, in_rate
from treecast.base.time import in_time
from treecast.cli.layout import Column, TextTable

_SHORT_ID_DIGITS = 8
_WIDTH_WITHOUT_TERMINAL = 120
"""The width unless COLUMNS has another."""
UNWANTED = "no_subscriber"
"""The one drop that is as it should be."""


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
            ("network key", f"fingerprint {network.key_fingerprint}"),
            *((("revoked", ", ".join(network.revoked)),) if network.revoked else ()),
        )
    )


def print_admitted_nodes(nodes: Sequence[AdmittedNode]) -> None:
    columns: tuple[Column, ...] = (
        ("NAME", "left"),
        ("INDEX", "right"),
        ("IPV4", "left"),
        ("IPV6", "left"),
        ("ROLES", "left"),
        ("VALID UNTIL", "left"),
    )
    rows = tuple(
        (
            *(node.name, str(node.index), node.ipv4, node.ipv6, ",".join(node.roles) or "none"),
            node.valid_until + (" (revoked)" if node.revoked else " (expired)" if node.expired else ""),
        )
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
    chosen = any(peer.link not in ("", "mesh") for peer in peers)
    columns: tuple[Column, ...] = (
        ("NAME", "left"),
        ("ADDRESS", "left"),
        ("STATE", "left"),
        ("LAST RX", "right"),
        ("RTT", "right"),
        ("PATH", "left"),
        *((("LINK", "left"),) if chosen else ()),
        ("VERSION", "left"),
        ("RX", "right"),
        ("TX", "right"),
    )
    rows = (
        (
            peer.name,
            peer.ipv4 or peer.ipv6 or "-",
            peer.state,
            in_time(peer.last_received_s) if peer.last_received_s is not None else "-",
            f"{peer.rtt_ms:.1f} ms" if peer.rtt_ms is not None else "-",
            peer.endpoint or "-",
            *((_link(peer),) if chosen else ()),
            peer.version or "-",
            in_bytes(peer.rx_bytes),
            in_bytes(peer.tx_bytes),
        )
        for peer in peers
    )
    print_rows("no peers", columns, tuple(rows))


def _link(peer: Peer) -> str:
    """Why there is a link; of one on demand how much goes there, and since when it is wanted."""
    if peer.link != "on demand" or peer.demand_bps is None or peer.demand_since_s is None:
        return peer.link or "-"
    since = datetime.now() - timedelta(seconds=peer.demand_since_s)
    day = "" if since.date() == datetime.now().date() else f"{since:%d %b} "
    return f"{peer.link}: {in_rate(peer.demand_bps)} since {day}{since:%H:%M}"


def print_hosts(hosts: Sequence[Host]) -> None:
    named = any(host.name for host in hosts)
    columns: tuple[Column, ...] = (
        ("MAC", "left"),
        ("IP", "left"),
        *((("NAME", "left"),) if named else ()),
        ("NODE", "left"),
        ("AGE", "right"),
        ("NOTE", "left"),
    )
    rows = (
        (
            host.mac,
            "\n".join(host.ip) or "-",
            *((host.name or "-",) if named else ()),
            host.node,
            in_time(host.age_s),
            _host_note(host),
        )
        for host in hosts
    )
    print_rows("no hosts", columns, tuple(rows))


def _host_note(host: Host) -> str:
    """Notes about a host for the operator; the last two are for him to settle."""
    notes = [f"VLAN {host.vlan}"] if host.vlan else []
    notes += [f"port {host.port}"] if host.port else []
    notes += ["this node"] if host.own else []
    notes += [f"unreachable: {host.unreachable}"] if host.unreachable else []
    notes += ["router"] if host.router else []
    notes += ["duplicate: in two places at once"] if host.duplicate else []
    notes += [f"conflict: same address as {' '.join(host.conflicts)}"] if host.conflicts else []
    return "\n".join(notes)


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
        ("on", "\n".join(status.on) or "-"),
        ("log level", status.log_level or "-"),
        ("offloads", ", ".join(status.offloads) or "none"),
        ("peers", str(status.peers)),
        *((("revoked", ", ".join(status.revoked)),) if status.revoked else ()),
        *((("unreached", "\n".join(status.unreached)),) if status.unreached else ()),
        ("counters", _counts(status.counters)),
        ("drops", _counts({name: count for name, count in status.drops.items() if name != UNWANTED})),
        *_unwanted(status.drops.get(UNWANTED, 0)),
    )


def _unwanted(count: int) -> tuple[tuple[str, str], ...]:
    """Frames that no host has joined are no fault."""
    return (
        (("unwanted", f"{count} frames to groups that no other node wants ({UNWANTED}): see groups"),) if count else ()
    )


def _counts(counts: dict[str, int]) -> str:
    """The counts that are not zero, one a line."""
    counted = {name: count for name, count in counts.items() if count}
    digits = max((len(str(count)) for count in counted.values()), default=0)
    return "\n".join(f"{count:>{digits}} {name}" for name, count in counted.items()) or "none"


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
    """A table with a line under its titles, as wide as the terminal; ``nothing`` where it has no rows."""
    return TextTable(columns, rows) if rows else nothing


def console() -> Console:
    """A console that shows text as it is, as wide as the terminal."""
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _WIDTH_WITHOUT_TERMINAL
    return Console(markup=False, highlight=False, emoji=False, width=width)
