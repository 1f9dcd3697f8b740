"""``bridge add``, ``bridge remove``, ``bridge show``. What a verb needs is imported by the verb."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from treecast.base.errors import OperatorError
from treecast.cli.arguments import NodeDirectory, resolved
from treecast.cli.output import JsonOption, print_json

if TYPE_CHECKING:
    from treecast.adapters.bridge import Done

bridge_verbs = typer.Typer(help="Carry a whole LAN: switch mode.", no_args_is_help=True, rich_markup_mode=None)


def _pps(what: str) -> Any:
    """An option: frames a second of a kind."""
    return typer.Option(
        metavar="N", min=0, max=10_000_000, help=f"At most N {what} a second from the LAN; 0: no limit."
    )


_NodeAndInterface = Annotated[
    list[str],
    typer.Argument(metavar="[DIR] INTERFACE", help="The node's directory, and an Ethernet interface of this machine."),
]


_KeepLocalOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="WORDS",
        help="What stays on the LAN: ra (IPv6 router advertisements), dhcp, both with a comma, or none; may be "
        "repeated.",
        show_default="ra,dhcp",
    ),
]
_PacketOption = Annotated[
    bool, typer.Option("--packet", help="Carry its multicast only, without a bridge; so it is with Wi-Fi anyway.")
]
_ForceOption = Annotated[bool, typer.Option("--force", help="Although another program configures the interface.")]


@bridge_verbs.command("add")
def bridge_add(
    words: _NodeAndInterface,
    *,
    broadcast_pps: Annotated[int, _pps("broadcasts")] = 1000,
    multicast_pps: Annotated[int, _pps("multicast frames")] = 0,
    unknown_unicast_pps: Annotated[int, _pps("frames to hosts that nobody knows")] = 100,
    keep_local: _KeepLocalOption = None,
    packet: _PacketOption = False,
    force: _ForceOption = False,
) -> None:
    """Bridge the running node with a network interface: all systems on its LAN become hosts of this node."""
    directory, interface = _node_and_interface(words, "add")
    from treecast.adapters import bridge
    from treecast.adapters.storage import require_bridge_role
    from treecast.adapters.sysfs import sends_own_frames_only
    from treecast.api.client import fetch_bridge, fetch_status
    from treecast.base.storm_control import StormLimits
    from treecast.cli import values

    require_bridge_role(directory)
    kept = values.keep_local(keep_local)
    if packet or sends_own_frames_only(interface):
        from treecast.cli.packet_port import add

        add(directory, interface, multicast_pps or None, kept)
        return
    if any(port.interface == interface for port in fetch_bridge(directory).packet_ports):
        raise OperatorError(f"{interface} is a packet port: remove that first")

    limits = StormLimits(broadcast_pps or None, multicast_pps or None, unknown_unicast_pps or None)

    def apply_changes() -> None:
        fetch_bridge(directory, changed=True)

    try:
        own = fetch_status(directory).interface
        done = bridge.bridge_add(directory, own, interface, limits, apply_changes, keep_local=kept, force=force)
    except OperatorError:
        with suppress(OperatorError):  # the first error counts
            apply_changes()
        raise
    apply_changes()
    _print_bridged(done)


def _print_bridged(done: Done) -> None:
    if done.bare:
        typer.echo(f"{done.interface} is bridged again, by {done.bridge}")
    elif done.changed:
        moved = f"its addresses and routes are on {done.bridge} now, where they work as before"
        typer.echo(f"{done.interface} is bridged: {moved}")
    else:
        typer.echo(f"{done.interface} is bridged already, by {done.bridge}")
    for note in done.notes:
        typer.echo(note)


@bridge_verbs.command("remove")
def bridge_remove(words: _NodeAndInterface) -> None:
    """Undo bridge add, whether the node runs or not: addresses and routes go back to the interface."""
    directory, interface = _node_and_interface(words, "remove")
    from treecast.adapters import bridge
    from treecast.api.client import fetch_bridge
    from treecast.cli import packet_port

    port = packet_port.remove(directory, interface)
    done = bridge.bridge_remove(directory, interface) if port is None else bridge.Done(True, port)
    with suppress(OperatorError):  # it does not run, and will read when it does
        fetch_bridge(directory, changed=True)
    if not done.changed:
        from treecast.cli import values

        raise OperatorError(values.not_bridged(directory, interface))
    typer.echo(f"{done.interface} is on its own again")
    for note in done.notes:
        typer.echo(note)


@bridge_verbs.command("show")
def bridge_show(directory: NodeDirectory = None, json: JsonOption = False) -> None:
    """The bridges and packet ports of the running node."""
    directory = resolved(directory)
    from treecast.api.client import fetch_bridge

    answer = fetch_bridge(directory)
    if json:
        print_json(answer)
    else:
        from treecast.cli.bridge_show import print_bridge

        print_bridge(answer)


def _node_and_interface(words: list[str], verb: str) -> tuple[Path, str]:
    if len(words) > 2:
        raise typer.BadParameter(f"unexpected {words[2]!r}: give [DIR] INTERFACE")
    if len(words) == 1:
        from treecast.cli.values import require_no_directory

        require_no_directory(words[0], verb)
    return resolved(Path(words[0]) if len(words) == 2 else None), words[-1]
