"""``groups --watch``: what changes among groups, hosts and routers, as it happens, until Ctrl-C.

On a terminal a table that stays; elsewhere, and with ``--json``, a line for each change.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from treecast.api.client import ask_groups, ask_status
from treecast.api.records import Group, Querier
from treecast.base.time import Duration

INTERVAL: Duration = 0.5


class Change(msgspec.Struct, frozen=True):
    """``change`` is ``joined``, ``changed`` or ``left``; ``who`` is ``node NAME``, ``host IP MAC``, ``router IP`` or
    ``querier``; ``wants`` the filter or address it has now, or had.
    """

    at: str
    change: str
    vlan: int
    group: str
    who: str
    wants: str


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
    """Everything that can change by what hosts, nodes and routers say; no timers, no traffic."""
    found: dict[Fact, str] = {}
    for group in groups:
        for member in group.members:
            found[group.vlan, group.group, f"node {member.node}"] = _wants(member.filter_mode, member.sources)
        for here in group.here:
            for host in here.hosts:
                found[group.vlan, group.group, f"host {host.ip} {host.mac}"] = _wants(host.filter_mode, host.sources)
    for querier in queriers:
        where = f"{querier.protocol} port {querier.port}"
        found[querier.vlan, where, "querier"] = "this node" if querier.is_this_node else querier.address
        for router in querier.routers:
            found[querier.vlan, where, f"router {router.address}"] = router.seen_by
    return found


def changes(before: Mapping[Fact, str], after: Mapping[Fact, str], at: str) -> Iterator[Change]:
    """What is different, by VLAN, group and subject."""
    for fact in sorted({**before, **after}):
        if before.get(fact) == after.get(fact):
            continue
        change = "joined" if fact not in before else "changed" if fact in after else "left"
        yield Change(at, change, *fact, after.get(fact, before.get(fact, "")))


def line(change: Change) -> str:
    vlan = f" vlan {change.vlan}" if change.vlan else ""
    wants = "" if change.change == "left" else f": {change.wants}"
    return f"{change.at} {change.group}{vlan} {change.who} {change.change}{wants}"


def _wants(mode: str, sources: Sequence[str]) -> str:
    if not sources:
        return "any source" if mode == "exclude" else "no source"
    return f"{'not' if mode == 'exclude' else 'only'} {' '.join(sources)}"


def _print_changes(directory: Path, *, json: bool) -> None:
    before: dict[Fact, str] = {}
    while True:
        began = time.monotonic()
        after = facts(ask_groups(directory), ask_status(directory).queriers)
        pause = _pause(began)
        for change in changes(before, after, time.strftime("%H:%M:%S")):
            print(msgspec.json.encode(change).decode() if json else line(change), flush=True)
        before = after
        time.sleep(pause)


def _show_table(directory: Path) -> None:
    from rich.live import Live

    from treecast.cli.group_tables import group_tables
    from treecast.cli.tables import console

    with Live(console=console(), auto_refresh=False) as live:
        while True:
            began = time.monotonic()
            groups, queriers = ask_groups(directory), ask_status(directory).queriers
            pause = _pause(began)
            live.update(group_tables(groups, queriers), refresh=True)
            time.sleep(pause)


def _pause(began: float) -> Duration:
    """How long to sleep before the next question: there is nothing to wait for, the control socket only answers.

    A node with 10,000 groups takes a while to say them all: no more than a fifth of its time goes into that.
    """
    return max(INTERVAL, 4 * (time.monotonic() - began))
