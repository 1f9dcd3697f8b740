"""The answer to ``groups`` for people: who wants a group, what this node's own hosts want, and who asks them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group as Stack
from rich.console import RenderableType

from treecast.api.records import Group, LocalGroup, LocalHost, LocalJoin, LocalSource, Querier
from treecast.cli.tables import Column, console, groups_table, in_brackets, rows_table, with_vlan

_PROTOCOLS = {4: "IGMPv{}", 6: "MLDv{}"}


def print_groups(groups: Sequence[Group], queriers: Sequence[Querier]) -> None:
    console().print(group_tables(groups, queriers), crop=False)


def group_tables(groups: Sequence[Group], queriers: Sequence[Querier]) -> RenderableType:
    """Three tables, one below the other; those of this node where it has hosts or routers."""
    parts: list[RenderableType] = [groups_table(groups)]
    local = tuple(_local_rows(groups))
    if local:
        parts += ["", rows_table("", _LOCAL_COLUMNS, local)]
    if queriers:
        parts += ["", rows_table("", _QUERIER_COLUMNS, tuple(_querier_row(querier) for querier in queriers))]
    return Stack(*parts)


_LOCAL_COLUMNS: tuple[Column, ...] = (
    ("OUR HOSTS' GROUP", "left"),
    ("PORT", "left"),
    ("VERSION", "left"),
    ("MODE", "left"),
    ("SOURCES", "left"),
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
                str(here.port),
                _PROTOCOLS[family].format(here.version) if here.version else "PIM",
                here.filter_mode + (", leaving" if here.leaving else ""),
                "\n".join(_source(source) for source in here.sources) or "-",
                _seconds(_expires(here)),
                "\n".join((*(_host(host, family) for host in here.hosts), *map(_join, here.joins))) or "-",
            )


def _expires(here: LocalGroup) -> float | None:
    """The group timer; in INCLUDE mode the last source's; where only routers ask, their last Join's."""
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
        with_vlan(str(querier.port), querier.vlan),
        "this node" if querier.is_this_node else querier.address,
        name,
        _seconds(querier.query_interval_s),
        _seconds(querier.expires_s),
        ", ".join(f"{r.address} ({r.seen_by}, {_seconds(r.expires_s)})" for r in querier.routers) or "-",
    )


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.0f} s"
