"""The command line: verbs and options. What a verb needs is imported by the verb, so that each starts quickly.

What the operator can fix is one sentence on stderr and exit code 1; a command line that is none is exit code 2.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from treecast.base.errors import OperatorError
from treecast.cli.values import LogLevel

if TYPE_CHECKING:
    import msgspec


class _Verbs(TyperGroup):
    """The verbs. An OperatorError in one of them ends the command with its sentence."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except OperatorError as error:
            typer.echo(f"treecast: {error}", err=True)
            raise typer.Exit(1) from None


app = typer.Typer(
    name="treecast",
    cls=_Verbs,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
network_verbs = typer.Typer(help="Make a network.", no_args_is_help=True, rich_markup_mode=None)
node_verbs = typer.Typer(help="Admit nodes to a network.", no_args_is_help=True, rich_markup_mode=None)
bridge_verbs = typer.Typer(help="Carry a whole LAN: switch mode.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(network_verbs, name="network")
app.add_typer(node_verbs, name="node")
app.add_typer(bridge_verbs, name="bridge")

_NodeDirectory = Annotated[Path, typer.Argument(metavar="DIR", help="The node's directory.")]


def _pps(what: str) -> Any:
    """An option: frames a second of a kind."""
    return typer.Option(
        metavar="N", min=0, max=10_000_000, help=f"At most N {what} a second from the LAN; 0: no limit."
    )


_Interface = Annotated[str, typer.Argument(metavar="INTERFACE", help="An Ethernet interface of this machine.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def main() -> None:
    """The entry point of the command ``treecast``."""
    app(prog_name="treecast")


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"treecast {version('treecast')}")
        raise typer.Exit


@app.callback()
def treecast(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> None:
    """IP multicast for networks that have none."""


@network_verbs.command("create")
def network_create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Lower-case letters, digits and hyphens.")],
    directory: Annotated[
        Path | None, typer.Option("--dir", metavar="DIR", help="Where to put it.", show_default="./NAME")
    ] = None,
    ipv4: Annotated[str, typer.Option(metavar="PREFIX", help="The nodes' IPv4 addresses.")] = "10.77.0.0/16",
    ipv6: Annotated[
        str | None,
        typer.Option(
            metavar="PREFIX/64", help="The nodes' IPv6 addresses.", show_default="a unique local prefix of its own"
        ),
    ] = None,
) -> None:
    """Make a network: its name, its prefixes and the CA key that admits nodes."""
    from treecast.adapters import storage

    place = directory if directory is not None else Path(name)
    network = storage.create_network(place, name, ipv4, ipv6)
    typer.echo(f"network {network.name}: id {network.id}, {network.ipv4}, {network.ipv6}")
    typer.echo(
        f"{place / storage.CA_KEY_FILE} admits nodes: keep it secret. Next: treecast node add NODE --network {place}"
    )


@node_verbs.command("add")
def node_add(
    name: Annotated[str, typer.Argument(metavar="NODE", help="Lower-case letters, digits and hyphens.")],
    *,
    network: Annotated[Path, typer.Option("--network", metavar="DIR", help="The network's directory.")],
    directory: Annotated[
        Path | None, typer.Option("--dir", metavar="OUT", help="Where to put it.", show_default="./NODE")
    ] = None,
    ipv4: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Its IPv4 address.", show_default="the next free one")
    ] = None,
    ipv6: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Its IPv6 address.", show_default="the prefix and its index")
    ] = None,
    days: Annotated[int, typer.Option(metavar="VALIDITY", help="Days until its certificate expires.")] = 365,
) -> None:
    """Admit a node: make its keys and its certificate, in a directory to take to its machine."""
    import time

    from treecast.adapters import storage
    from treecast.cli import values
    from treecast.identity.node import NodeRequest

    request = NodeRequest(name, values.ipv4_address(ipv4), values.ipv6_address(ipv6), days)
    place = directory if directory is not None else Path(name)
    certificate = storage.add_node(network, place, request, time.time()).certificate
    typer.echo(
        f"node {certificate.name}: index {certificate.node_index}, id {certificate.node_id}, "
        f"{certificate.ipv4}, {certificate.ipv6}"
    )
    typer.echo(f"Take {place} to its machine. Next: treecast up {place}")


@app.command()
def up(
    directory: _NodeDirectory,
    *,
    listen: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS:PORT", help="Where to listen; may be repeated.", show_default="port 7700 of all addresses"
        ),
    ] = None,
    peer: Annotated[
        list[str] | None, typer.Option(metavar="HOST:PORT", help="A running node to start from; may be repeated.")
    ] = None,
    interface: Annotated[str, typer.Option(metavar="NAME", help="The virtual interface to make.")] = "treecast0",
    workers: Annotated[
        int, typer.Option(metavar="N", min=0, max=64, help="Threads that move packets; 0: one per core.")
    ] = 0,
    underlay_mtu: Annotated[
        int,
        typer.Option(
            metavar="BYTES", min=1280, max=9000, help="The largest packet that the paths to all other nodes carry."
        ),
    ] = 1500,
    no_routes: Annotated[bool, typer.Option("--no-routes", help="Leave the multicast routes alone.")] = False,
    membership: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE", help="A timer or limit of IGMP and MLD, like query-interval=60s; may be repeated."
        ),
    ] = None,
    log_level: Annotated[LogLevel, typer.Option(help="What to log to stderr.")] = "info",
) -> None:
    """Run a node, in the foreground, until SIGTERM or SIGINT."""
    from treecast.cli import values
    from treecast.cli.membership import membership_config
    from treecast.daemon.options import UpOptions

    options = UpOptions(
        directory=directory,
        listen=values.listen_endpoints(listen or []),
        peers=values.peers(peer or []),
        interface=values.interface_name(interface),
        routes=not no_routes,
        log_level=log_level,
        workers=workers,
        underlay_mtu_bytes=underlay_mtu,
        membership=membership_config(membership or []),
    )
    _require_node(directory)
    from treecast.daemon.run import run

    run(options)


@app.command()
def status(directory: _NodeDirectory, json: _Json = False) -> None:
    """The running node: its addresses, peers, counters and drops."""
    _require_node(directory)
    from treecast.api.client import ask_status

    answer = ask_status(directory)
    if json:
        _print_json(answer)
    else:
        from treecast.cli import tables

        tables.print_status(answer)


@app.command()
def peers(directory: _NodeDirectory, json: _Json = False) -> None:
    """The other nodes that the running node is linked to."""
    _require_node(directory)
    from treecast.api.client import ask_peers

    answer = ask_peers(directory)
    if json:
        _print_json(answer)
    else:
        from treecast.cli import tables

        tables.print_peers(answer)


@app.command()
def groups(
    directory: _NodeDirectory,
    json: _Json = False,
    watch: Annotated[bool, typer.Option("--watch", help="Follow changes until Ctrl-C.")] = False,
) -> None:
    """The multicast table: groups, the nodes and hosts that want them, and who asks for them."""
    _require_node(directory)
    if watch:
        from treecast.cli import watch as following

        following.watch(directory, json=json)
        return
    from treecast.api.client import ask_groups, ask_status

    answer = ask_groups(directory)
    if json:
        _print_json(answer)
    else:
        from treecast.cli.group_tables import print_groups

        print_groups(answer, ask_status(directory).queriers)


@app.command()
def hosts(directory: _NodeDirectory, json: _Json = False) -> None:
    """The hosts of all nodes: which address lives where."""
    _require_node(directory)
    from treecast.api.client import ask_hosts

    answer = ask_hosts(directory)
    if json:
        _print_json(answer)
    else:
        from treecast.cli import tables

        tables.print_hosts(answer)


@bridge_verbs.command("add")
def bridge_add(
    directory: _NodeDirectory,
    interface: _Interface,
    *,
    broadcast_pps: Annotated[int, _pps("broadcasts")] = 1000,
    multicast_pps: Annotated[int, _pps("multicast frames")] = 0,
    unknown_unicast_pps: Annotated[int, _pps("frames to hosts that nobody knows")] = 100,
    packet: Annotated[
        bool, typer.Option("--packet", help="Carry its multicast only, without a bridge; so it is with Wi-Fi anyway.")
    ] = False,
) -> None:
    """Bridge the running node with a network interface: all systems on its LAN become hosts of this node."""
    _require_node(directory)
    from treecast.adapters import bridge
    from treecast.adapters.link import sends_own_frames_only
    from treecast.api.client import ask_bridge, ask_status
    from treecast.base.storm import StormLimits

    if packet or sends_own_frames_only(interface):
        from treecast.cli.packet_port import add

        add(directory, interface, multicast_pps or None)
        return
    if any(port.interface == interface for port in ask_bridge(directory).packet_ports):
        raise OperatorError(f"{interface} is a packet port: remove that first")

    limits = StormLimits(broadcast_pps or None, multicast_pps or None, unknown_unicast_pps or None)

    def tell() -> None:
        ask_bridge(directory, changed=True)

    try:
        added = bridge.bridge_add(directory, ask_status(directory).interface, interface, limits, tell)
    except OperatorError:
        with suppress(OperatorError):  # the first one is to be told
            tell()
        raise
    tell()
    name = bridge.bridge_name(interface)
    if added:
        typer.echo(f"{interface} is bridged: its addresses and routes are on {name} now, where they work as before")
    else:
        typer.echo(f"{interface} is bridged already, by {name}")


@bridge_verbs.command("remove")
def bridge_remove(directory: _NodeDirectory, interface: _Interface) -> None:
    """Undo bridge add, whether the node runs or not: addresses and routes go back to the interface."""
    _require_node(directory)
    from treecast.adapters import bridge
    from treecast.adapters.packet_port import remove_packet_port
    from treecast.api.client import ask_bridge

    removed = remove_packet_port(directory, interface) or bridge.bridge_remove(directory, interface)
    with suppress(OperatorError):  # it does not run, and will read when it does
        ask_bridge(directory, changed=True)
    typer.echo(f"{interface} is on its own again" if removed else f"{interface} is not bridged by this node")


@bridge_verbs.command("show")
def bridge_show(directory: _NodeDirectory, json: _Json = False) -> None:
    """What the running node bridges."""
    _require_node(directory)
    from treecast.api.client import ask_bridge

    answer = ask_bridge(directory)
    if json:
        _print_json(answer)
    else:
        from treecast.cli import tables

        tables.print_bridge(answer)


def _require_node(directory: Path) -> None:
    from treecast.adapters.node_directory import require_node_directory

    require_node_directory(directory)


def _print_json(answer: msgspec.Struct | list[Any]) -> None:
    import msgspec

    typer.echo(msgspec.json.format(msgspec.json.encode(answer), indent=2))
