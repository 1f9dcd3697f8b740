"""The verbs by which a node gets its certificate and keeps its private keys to itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from treecast.cli.network_verbs import (
    DaysOption,
    GroupsOption,
    HostsOption,
    Ipv4Option,
    Ipv6Option,
    NetworkOption,
    ReceiveOption,
    RoleOption,
    SendOption,
    node_verbs,
)
from treecast.cli.output import print_note


@node_verbs.command("request")
def node_request(
    name: Annotated[str, typer.Argument(metavar="NODE", help="Lower-case letters, digits and hyphens.")],
    directory: Annotated[
        Path | None,
        typer.Option("--dir", metavar="OUT", help="Where to put it.", show_default="./NODE", readable=False),
    ] = None,
) -> None:
    """Make a node's keys on its own machine, and a request for the CA, which has public keys only."""
    from treecast.adapters.admission import make_request

    place = directory if directory is not None else Path(name)
    path = make_request(place, name)
    typer.echo(f"node {name}: its keys are in {place} and stay there")
    typer.echo(f"Next: take {path} to where the CA key is, and run treecast node sign on it there")


@node_verbs.command("sign")
def node_sign(
    file: Annotated[
        Path, typer.Argument(metavar="REQUEST", help="The node.request that the node made.", readable=False)
    ],
    *,
    network: NetworkOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", help="Where to put the answer.", show_default="./NODE.admission", readable=False
        ),
    ] = None,
    ipv4: Ipv4Option = None,
    ipv6: Ipv6Option = None,
    days: DaysOption = 365,
    role: RoleOption = None,
    hosts: HostsOption = None,
    groups: GroupsOption = None,
    send: SendOption = None,
    receive: ReceiveOption = None,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="For a node that is there: it keeps index and addresses, and has these keys."),
    ] = False,
) -> None:
    """Admit the node that made a request: one file to give back to it."""
    import time

    from treecast.adapters.admission import load_request, sign_request
    from treecast.adapters.node_directory import network_directory
    from treecast.base.time import iso_date
    from treecast.cli import values
    from treecast.identity.node import NodeRequest
    from treecast.identity.rights import role_names

    name = load_request(file).name
    addresses = values.ipv4_address(ipv4), values.ipv6_address(ipv6)
    limits = values.limits(hosts, groups, send, receive)
    request = NodeRequest(name, *addresses, days, replace, values.roles(role), limits)
    place = out if out is not None else Path(f"{name}.admission")
    certificate = sign_request(network_directory(network), file, place, request, time.time())
    typer.echo(
        f"node {name}: index {certificate.node_index}, id {certificate.node_id}, {certificate.ipv4}, {certificate.ipv6}"
    )
    names = ", ".join(role_names(certificate.rights.roles)) or "none"
    typer.echo(f"valid until {iso_date(certificate.not_after_s)}, roles: {names}")
    typer.echo(
        f"Next: take {place} to {name} (it holds the network's key: secret) and run treecast node accept on it there"
    )


@node_verbs.command("accept")
def node_accept(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The file that treecast node sign wrote.", readable=False)
    ],
    directory: Annotated[
        Path | None,
        typer.Option(
            "--dir",
            metavar="DIR",
            help="The directory that its request was made in.",
            show_default="$TREECAST_DIR, or in /etc/treecast",
            readable=False,
        ),
    ] = None,
) -> None:
    """Put the CA's answer to a request into the node's directory."""
    import time

    from treecast.adapters.admission import accept_admission
    from treecast.adapters.node_directory import directory_of_request

    place = directory_of_request(directory)
    node, damage = accept_admission(place, file, time.time())
    print_note(damage)
    certificate, network = node.certificate, node.network
    typer.echo(
        f"node {certificate.name} is admitted to network {network.name} (id {network.id}): "
        f"{certificate.ipv4}, {certificate.ipv6}"
    )
    typer.echo(
        f"Remove {file}. Next: treecast up {place} --peer HOST, where HOST is any machine that runs a node (the first "
        "node needs none)"
    )
