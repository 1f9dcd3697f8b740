"""``groups --watch``: what changes among groups, hosts, senders and routers, as it happens, until Ctrl-C.

On a terminal a table that stays; elsewhere, and with ``--json``, a line for each change. What stood before comes
first, marked as a snapshot, and a line says where that ends.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from ipaddress import ip_network
from math import inf
from pathlib import Path

import msgspec

from treecast.api.client import fetch_group_changes
from treecast.api.records import Group, GroupChanges, Querier
from treecast.base.flows import SENDER_PAUSE
from treecast.base.time import Duration

PAUSE: Duration = 0.5
"""Where a node that has many followers answers at once that nothing has changed."""
REDRAWN_AFTER: Duration = 5.0
"""A table on a terminal shows timers and rates, which change all the time and are no changes."""

SNAPSHOT_END = "snapshot_end"
_EVENTS = {
    ("router", "joined"): "router_seen",
    ("router", "left"): "router_gone",
    ("querier", "joined"): "querier_seen",
    ("querier", "left"): "querier_gone",
    ("sender", "joined"): "sender_started",
    ("sender", "left"): "sender_stopped",
}
"""Others are called ``node_joined``, ``host_changed`` and so on."""


class WatchedChange(msgspec.Struct, frozen=True):
    """``change`` is ``joined``, ``changed`` or ``left``; ``who`` is ``node NAME``, ``host IP MAC``, ``sender IP``,
    ``router IP`` or ``querier``; ``wants`` the filter or address it has now, or had, of a sender its node and port.

    ``event``: what has happened, in one word (``host_joined``, ``sender_started``, ``router_gone``, ``querier_changed``
    and so on); ``snapshot``: it was so before; the line with the event ``snapshot_end`` is behind the last of these.
    ``at``: ISO 8601 with the zone's offset.
    """

    at: str
    change: str
    vlan: int
    group: str
    who: str
    wants: str
    event: str = ""
    snapshot: bool = False


Fact = tuple[int, str, str]
"""VLAN, group (of routers and queriers: protocol and port), and who."""


def watch(directory: Path, *, json: bool) -> None:
    """Follow the node in ``directory``. OperatorError when it stops."""
    with suppress(KeyboardInterrupt):
        if json or not sys.stdout.isatty():
            _print_changes(directory, json=json)
        else:
            _show_table(directory)


def facts(groups: Sequence[Group], queriers: Sequence[Querier]) -> dict[Fact, str]:
    """Everything that changes with reports of hosts, nodes and routers; no timers, no traffic."""
    found: dict[Fact, str] = {}
    for group in groups:
        for member in group.members:
            found[group.vlan, group.group, f"node {member.node}"] = _wants(member.filter_mode, member.sources)
        for here in group.here:
            for host in here.hosts:
                found[group.vlan, group.group, f"host {host.ip} {host.mac}"] = _wants(host.filter_mode, host.sources)
        for sender in group.senders:
            if sender.silent_s < SENDER_PAUSE:
                found[group.vlan, group.group, f"sender {sender.source}"] = f"at {sender.node} {sender.port}".rstrip()
    for querier in queriers:
        where = f"{querier.protocol} {querier.port_name or f'port {querier.port}'}"
        found[querier.vlan, where, "querier"] = "this node" if querier.is_this_node else querier.address
        for router in querier.routers:
            found[querier.vlan, where, f"router {router.address}"] = router.seen_by
    return found


def snapshot(present: Mapping[Fact, str], at: str) -> Iterator[WatchedChange]:
    """A line for each fact that stands already, and the line behind them."""
    for change in changes({}, present, at):
        yield msgspec.structs.replace(change, snapshot=True)
    yield WatchedChange(at, "", 0, "", "", "", SNAPSHOT_END)


def changes(before: Mapping[Fact, str], after: Mapping[Fact, str], at: str) -> Iterator[WatchedChange]:
    """Facts that are different, by VLAN, group and subject."""
    for fact in sorted({**before, **after}):
        if before.get(fact) == after.get(fact):
            continue
        change = "joined" if fact not in before else "changed" if fact in after else "left"
        kind = fact[2].split()[0]
        event = _EVENTS.get((kind, change), f"{kind}_{change}")
        yield WatchedChange(at, change, *fact, after.get(fact, before.get(fact, "")), event)


def line(change: WatchedChange) -> str:
    if change.event == SNAPSHOT_END:
        return f"{change.at} so far; from here on as it happens"
    vlan = f" vlan {change.vlan}" if change.vlan else ""
    wants = "" if change.change == "left" else f": {change.wants}"
    what = "is there" if change.snapshot else change.event.split("_")[1]
    return f"{change.at} {change.group}{vlan} {change.who} {what}{wants}"


def _wants(mode: str, sources: Sequence[str]) -> str:
    if not sources:
        return "any source" if mode == "exclude" else "no source"
    return f"{'not' if mode == 'exclude' else 'only'} {' '.join(sources)}"


class WatchedTable:
    """The node's table as the last answer left it: rows by VLAN and group."""

    def __init__(self) -> None:
        self.position: int | None = None
        self.queriers: list[Querier] = []
        self._rows: dict[tuple[int, str], list[Group]] = {}

    def take(self, answer: GroupChanges) -> None:
        """Replace what an answer concerns."""
        self.position = answer.position
        if answer.snapshot:
            self._rows.clear()
        for touched in answer.touched:
            self._rows.pop((touched.vlan, touched.group), None)
        for row in answer.groups:
            self._rows.setdefault((row.vlan, row.group), []).append(row)
        if answer.queriers is not None:
            self.queriers = answer.queriers

    def groups(self) -> list[Group]:
        """All rows: prefixes first, then by VLAN and address."""
        return [row for key in sorted(self._rows, key=_order) for row in self._rows[key]]

    def facts_of(self, keys: Collection[tuple[int, str]]) -> dict[Fact, str]:
        """Facts of the rows of some groups, and of the queriers."""
        return facts([row for key in keys for row in self._rows.get(key, ())], self.queriers)

    def keys(self) -> set[tuple[int, str]]:
        return set(self._rows)


def following(table: WatchedTable, answer: GroupChanges, at: str) -> list[WatchedChange]:
    """Take an answer into the table: what is different by it. A snapshot is shown as one, also when it comes again."""
    keys = {(touched.vlan, touched.group) for touched in answer.touched}
    before = table.facts_of(keys)
    table.take(answer)
    if answer.snapshot:
        return list(snapshot(table.facts_of(table.keys()), at))
    return list(changes(before, table.facts_of(keys), at))


def _order(key: tuple[int, str]) -> tuple[bool, int, int, int]:
    vlan, group = key
    network = ip_network(group)
    return ("/" not in group, vlan, network.version, int(network.network_address))


def _answers(directory: Path, anew_after: Duration = inf) -> Iterator[GroupChanges]:
    """Yields the whole table, then what has changed since the answer before; and the whole now and then.

    A node with 10,000 groups takes a while to list them all: no more than a fifth of its time goes into that.
    """
    position: int | None = None
    answered_at = time.monotonic()
    while True:
        if time.monotonic() - answered_at > anew_after:
            position = None
        began = time.monotonic()
        answer = fetch_group_changes(directory, position)
        took = time.monotonic() - began
        position = answer.position
        yield answer
        if answer.snapshot:
            time.sleep(4 * took)
            answered_at = time.monotonic()
        elif not answer.touched and answer.queriers is None:
            time.sleep(max(PAUSE - took, 0))


def _print_changes(directory: Path, *, json: bool) -> None:
    table = WatchedTable()
    for answer in _answers(directory):
        at = datetime.now().astimezone().isoformat(timespec="milliseconds")
        for change in following(table, answer, at):
            print(msgspec.json.encode(change).decode() if json else line(change), flush=True)


def _show_table(directory: Path) -> None:
    from rich.live import Live

    from treecast.cli.group_tables import group_tables
    from treecast.cli.tables import console

    table = WatchedTable()
    with Live(console=console(), auto_refresh=False) as live:
        for answer in _answers(directory, REDRAWN_AFTER):
            table.take(answer)
            live.update(group_tables(table.groups(), table.queriers), refresh=True)
