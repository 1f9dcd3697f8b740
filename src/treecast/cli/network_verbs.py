"""The verbs of whoever runs a network: made and looked at offline, in its directory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

network_verbs = typer.Typer(help="Make a network.", no_args_is_help=True, rich_markup_mode=None)
node_verbs = typer.Typer(help="Admit nodes to a network.", no_args_is_help=True, rich_markup_mode=None)


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
