"""The answer to ``groups`` for people: receivers and senders of each group, this node's hosts, and the queriers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from rich.console import Group as Stack
from rich.console import RenderableType

from treecast.api.records import (
    GROUPS_SHOWN,
    Group,
    LocalGroup,
    LocalHost,
    LocalJoin,
    LocalSource,
    Member,
    Querier,
    Sender,
    Status,
)
from treecast.base.rates import in_bytes, in_rate
from treecast.base.time import in_time
from treecast.cli.layout import Column
from treecast.cli.tables import console, in_brackets, rows_table, with_vlan

_PROTOCOLS = {4: "IGMPv{}", 6: "MLDv{}"}
NOT_PERMITTED = " (not permitted)"
SENDER_SILENCE_S = 5.0
"""The seconds without a frame after which a sender is shown as silent: its rate has ended by then."""


def print_groups(groups: Sequence[Group], queriers: Sequence[Querier]) -> None:
    console().print(group_tables(groups, queriers), crop=False)


def print_left_out(groups: Sequence[Group], status: Status) -> None:
    """How many groups there are beside these, where these are as many as are shown at once."""
    if len({_of_group(row) for row in groups if "/" not in row.group}) >= GROUPS_SHOWN:
        console().print(_left_out(groups, status), soft_wrap=True)


def print_repairs(status: Status) -> None:
    """Grafts of this node and at it, on trees of others, and what it sent once more, where there were any."""
    grafts, taken, retransmissions = (
        status.counters.get(name, 0) for name in ("grafts", "grafts_taken", "retransmissions")
    )
    if grafts or taken or retransmissions:
        text = f"repairs here: {grafts} grafts, {taken} grafts taken, {retransmissions} retransmissions"
        console().print(f"\n{text}", soft_wrap=True)


def _left_out(groups: Sequence[Group], status: Status) -> str:
    """The table may have grown or shrunk since it was read: the number is about right."""
    shown = {_of_group(row) for row in groups if any(member.node != status.node for member in row.members)}
    left = status.groups_of_others - len(shown)
    which = f"{left:,} more groups that other nodes want" if left > 0 else "more groups"
    return f"\nand {which}: treecast groups --all lists all, treecast groups --json too"


def group_tables(groups: Sequence[Group], queriers: Sequence[Querier]) -> RenderableType:
    """Tables below each other: receivers, senders, this node's hosts, queriers."""
    tables = [
        rows_table("no groups", _GROUP_COLUMNS, tuple(_group_rows(groups))),
        rows_table("", _SENDER_COLUMNS, tuple(_sender_rows(groups))),
        rows_table("", _STREAM_COLUMNS, tuple(_stream_rows(groups))),
        rows_table("", _LOCAL_COLUMNS, tuple(_local_rows(groups))),
        rows_table("", _QUERIER_COLUMNS, tuple(_querier_row(querier) for querier in queriers)),
    ]
    parts: list[RenderableType] = []
    for table in tables:
        if table:
            parts += ["", table] if parts else [table]
    return Stack(*parts)


_GROUP_COLUMNS: tuple[Column, ...] = (
    ("GROUP", "left"),
    ("MEMBERS", "left"),
    ("LOCAL", "left"),
    ("UP FOR", "right"),
    ("RX PACKETS", "right"),
    ("RX", "right"),
    ("TX PACKETS", "right"),
    ("TX", "right"),
)
_SENDER_COLUMNS: tuple[Column, ...] = (
    ("SENT TO", "left"),
    ("BY", "left"),
    ("AT", "left"),
    ("WANTED BY", "left"),
    ("FOR", "right"),
    ("RATE", "right"),
    ("PACKETS", "right"),
)
_STREAM_COLUMNS: tuple[Column, ...] = (
    ("STREAM FROM HERE", "left"),
    ("FROM", "left"),
    ("TREE", "left"),
    ("EPOCHS", "right"),
    ("REPLANS", "right"),
    ("GRAFTS", "right"),
)
_LOCAL_COLUMNS: tuple[Column, ...] = (
    ("OUR HOSTS' GROUP", "left"),
    ("PORT", "left"),
    ("VERSION", "left"),
    ("MODE", "left"),
    ("SOURCES", "left"),
    ("UP FOR", "right"),
    ("EXPIRES", "right"),
    ("HOSTS", "left"),
)
_QUERIER_COLUMNS: tuple[Column, ...] = (
    ("PORT", "left"),
    ("QUERIER", "left"),
    ("VERSION", "left"),
    ("EVERY", "right"),
    ("TAKEN OVER IN", "right"),
    ("MULTICAST ROUTERS", "left"),
)


def _of_group(row: Group) -> tuple[int, str]:
    return (row.vlan, row.group)


def _group_rows(groups: Sequence[Group]) -> Iterator[tuple[str, ...]]:
    """Each group once: its members with all that they want, and the traffic of its rows together."""
    for (vlan, group), grouped in groupby(groups, _of_group):
        rows = list(grouped)
        members = {member.node: member for row in rows for member in row.members}
        yield (
            with_vlan(group, vlan) + (" (authenticated)" if rows[0].authenticated else ""),
            ", ".join(_member(members[node]) for node in sorted(members)) or "nobody",
            "yes" if any(row.local for row in rows) else "no",
            _longest(member.since_s for member in members.values()),
            str(sum(row.rx_packets for row in rows)),
            in_bytes(sum(row.rx_bytes for row in rows)),
            str(sum(row.tx_packets for row in rows)),
            in_bytes(sum(row.tx_bytes for row in rows)),
        )


def _member(member: Member) -> str:
    """``name``, ``name (only SOURCES)`` or ``name (not SOURCES)``, ``(not permitted)`` where it gets nothing."""
    return member.node + in_brackets(member.filter_mode, member.sources) + ("" if member.permitted else NOT_PERMITTED)


def _sender_rows(groups: Sequence[Group]) -> Iterator[tuple[str, ...]]:
    for row in groups:
        for sender in row.senders:
            yield (
                with_vlan(row.group, row.vlan),
                sender.source,
                f"{sender.node} {sender.port}".rstrip(),
                _wanted_by(row, sender),
                in_time(sender.since_s),
                _rate(sender),
                str(sender.packets),
            )


def _stream_rows(groups: Sequence[Group]) -> Iterator[tuple[str, ...]]:
    for row in groups:
        if row.stream is not None:
            counts = (row.stream.epochs, row.stream.replans, row.stream.grafts)
            source = "any source" if row.source == "*" else row.source
            yield (with_vlan(row.group, row.vlan), source, row.stream.mode, *map(str, counts))


def _wanted_by(row: Group, sender: Sender) -> str:
    """How many nodes get it; where nobody does because a certificate is against it, that."""
    wanting = [member for member in row.members if _accepts(member, sender.source)]
    count = sum(member.permitted for member in wanting)
    if not sender.permitted or (wanting and not count):
        return NOT_PERMITTED.strip(" ()")
    return "nobody" if not count else "1 node" if count == 1 else f"{count} nodes"


def _accepts(member: Member, source: str) -> bool:
    return (source in member.sources) == (member.filter_mode == "include")


def _rate(sender: Sender) -> str:
    if sender.silent_s >= SENDER_SILENCE_S:
        return f"silent {in_time(sender.silent_s)}"
    return "-" if sender.rate_bps is None else in_rate(sender.rate_bps)


def _longest(times_s: Iterable[float | None]) -> str:
    longest_s = max((time_s for time_s in times_s if time_s is not None), default=None)
    return "-" if longest_s is None else in_time(longest_s)


def _local_rows(groups: Sequence[Group]) -> Iterator[tuple[str, ...]]:
    """Each group of a port once, though it may have a row for each of its sources."""
    seen: set[tuple[str, int]] = set()
    for group in groups:
        if (group.group, group.vlan) in seen:
            continue
        seen.add((group.group, group.vlan))
        family = 6 if ":" in group.group else 4
        for here in group.here:
            yield (
                with_vlan(group.group, group.vlan),
                here.port_name or str(here.port),
                _PROTOCOLS[family].format(here.version) if here.version else "PIM",
                here.filter_mode + (", leaving" if here.leaving else ""),
                "\n".join(_source(source) for source in here.sources) or "-",
                _longest([here.since_s]),
                _seconds(_expires(here)),
                "\n".join((*(_host(host, family) for host in here.hosts), *map(_join, here.joins))) or "-",
            )


def _expires(here: LocalGroup) -> float | None:
    """The group timer; in INCLUDE mode the last source's; where only routers have joined, their last Join's."""
    timers = [source.expires_s for source in here.sources if source.expires_s is not None]
    timers += [] if here.version else [join.expires_s for join in here.joins]
    return here.expires_s if here.expires_s is not None else max(timers, default=None)


def _source(source: LocalSource) -> str:
    return f"not {source.source}" if source.expires_s is None else f"{source.source} ({_seconds(source.expires_s)})"


def _host(host: LocalHost, family: int) -> str:
    return (
        f"{host.ip} {host.mac} {_PROTOCOLS[family].format(host.version)}{in_brackets(host.filter_mode, host.sources)}"
    )


def _join(join: LocalJoin) -> str:
    return f"PIM Join of {join.source} to {join.upstream} ({_seconds(join.expires_s)})"


def _querier_row(querier: Querier) -> tuple[str, ...]:
    name = {"igmp": "IGMPv{}", "mld": "MLDv{}"}[querier.protocol].format(querier.version)
    return (
        with_vlan(querier.port_name or str(querier.port), querier.vlan),
        "this node" if querier.is_this_node else querier.address,
        name,
        _seconds(querier.query_interval_s),
        _seconds(querier.expires_s),
        ", ".join(f"{r.address} ({r.seen_by}, {_seconds(r.expires_s)})" for r in querier.routers) or "-",
    )


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.0f} s"
