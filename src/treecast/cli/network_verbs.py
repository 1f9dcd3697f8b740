"""The verbs of whoever runs a network: made and looked at offline, in its directory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from treecast.cli.output import JsonOption, print_json

network_verbs = typer.Typer(help="Make a network.", no_args_is_help=True, rich_markup_mode=None)
node_verbs = typer.Typer(help="Admit nodes to a network.", no_args_is_help=True, rich_markup_mode=None)

_WHERE = "$TREECAST_DIR, or in /etc/treecast, or in the working directory"
NetworkOption = Annotated[
    Path | None,
    typer.Option("--network", metavar="DIR", help="The network's directory.", show_default=_WHERE, readable=False),
]

Ipv4Option = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="Its IPv4 address.", show_default="the next free one")
]
Ipv6Option = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="Its IPv6 address.", show_default="the prefix and its index")
]
DaysOption = Annotated[int, typer.Option(metavar="VALIDITY", help="Days until its certificate expires.")]
RoleOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ROLE,...",
        help="What it may do: bridge (carry other hosts than its own machine), relay, controller, or none.",
        show_default="relay, or those that it has",
    ),
]

HostsOption = Annotated[
    int | None,
    typer.Option(
        metavar="NUMBER", help="At most so many hosts of it count.", show_default="4096, or the number that it has"
    ),
]
GroupsOption = Annotated[
    int | None,
    typer.Option(
        metavar="NUMBER",
        help="At most so many groups, and as many sources of groups, that it joins count.",
        show_default="16384, or the number that it has",
    ),
]
SendOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PREFIX,...", help="Groups that it may send to, all or none.", show_default="all, or those that it has"
    ),
]
ReceiveOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PREFIX,...", help="Groups that it may join, all or none.", show_default="all, or those that it has"
    ),
]


@contextmanager
def _advice_on_new_keys(network: Path, name: str) -> Iterator[None]:
    """Adds the command that gives a node new keys where those that it has get no certificate any more."""
    from treecast.adapters.node_directory import command_for_new_keys
    from treecast.base.errors import OperatorError
    from treecast.identity.node import KeysRevokedError

    try:
        yield
    except KeysRevokedError as error:
        raise OperatorError(f"{error} ({command_for_new_keys(network, name)})") from error


@network_verbs.command("create")
def network_create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Lower-case letters, digits and hyphens.")],
    directory: Annotated[
        Path | None,
        typer.Option("--dir", metavar="DIR", help="Where to put it.", show_default="./NAME", readable=False),
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
    from treecast.adapters.node_directory import CA_KEY_FILE

    place = directory if directory is not None else Path(name)
    network = storage.create_network(place, name, ipv4, ipv6)
    typer.echo(f"network {network.name}: id {network.id}, {network.ipv4}, {network.ipv6}")
    typer.echo(f"{place / CA_KEY_FILE} admits nodes: keep it secret. Next: treecast node add NODE --network {place}")


@node_verbs.command("add")
def node_add(
    name: Annotated[str, typer.Argument(metavar="NODE", help="Lower-case letters, digits and hyphens.")],
    *,
    network: NetworkOption = None,
    directory: Annotated[
        Path | None,
        typer.Option("--dir", metavar="OUT", help="Where to put it.", show_default="./NODE", readable=False),
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
        typer.Option(
            "--replace", help="Renew a node that is there: it keeps index and addresses, and in its directory its keys."
        ),
    ] = False,
) -> None:
    """Admit a node: make its keys and its certificate, in a directory to take to its machine."""
    import time

    from treecast.adapters import storage
    from treecast.adapters.node_directory import CERTIFICATE_FILE, NODE_KEY_FILE, network_directory
    from treecast.base.time import iso_date
    from treecast.cli import values
    from treecast.identity.node import NodeRequest
    from treecast.identity.rights import role_names

    addresses = values.ipv4_address(ipv4), values.ipv6_address(ipv6)
    limits = values.limits(hosts, groups, send, receive)
    request = NodeRequest(name, *addresses, days, replace, values.roles(role), limits)
    network = network_directory(network)
    place = directory if directory is not None else Path(name)
    with _advice_on_new_keys(network, name):
        certificate = storage.add_node(network, place, request, time.time()).certificate
    typer.echo(
        f"node {certificate.name}: index {certificate.node_index}, id {certificate.node_id}, "
        f"{certificate.ipv4}, {certificate.ipv6}"
    )
    roles = ", ".join(role_names(certificate.rights.roles)) or "none"
    typer.echo(f"valid until {iso_date(certificate.not_after_s)}, roles: {roles}")
    if replace:
        files = f"{place / CERTIFICATE_FILE} and {place / NODE_KEY_FILE}"
        typer.echo(
            f"Take {files} to its machine. Next: stop {certificate.name} wherever it still runs, then start it with "
            "these files (what runs with older keys of it is refused by the nodes that have seen the new ones)"
        )
    else:
        typer.echo(
            f"Take {place} to its machine. Next: treecast up {place} --peer HOST, where HOST is any machine that runs "
            "a node (the first node needs none)"
        )


@node_verbs.command("renew")
def node_renew(
    name: Annotated[str, typer.Argument(metavar="NODE", help="Lower-case letters, digits and hyphens.")],
    *,
    network: NetworkOption = None,
    directory: Annotated[
        Path | None,
        typer.Option(
            "--dir", metavar="OUT", help="Where to put its new node.cert.", show_default="./NODE", readable=False
        ),
    ] = None,
    days: Annotated[int, typer.Option(metavar="VALIDITY", help="Days until its certificate expires.")] = 365,
    role: RoleOption = None,
    hosts: HostsOption = None,
    groups: GroupsOption = None,
    send: SendOption = None,
    receive: ReceiveOption = None,
) -> None:
    """Give a node another certificate for the keys, name and addresses that it has: only node.cert is new."""
    import time

    from treecast.adapters import storage
    from treecast.adapters.node_directory import CERTIFICATE_FILE, NODE_KEY_FILE, network_directory
    from treecast.base.time import iso_date
    from treecast.cli import values
    from treecast.identity.rights import role_names

    place = directory if directory is not None else Path(name)
    roles = values.roles(role)
    limits = values.limits(hosts, groups, send, receive)
    where = network_directory(network)
    with _advice_on_new_keys(where, name):
        certificate = storage.renew_node(where, place, name, days, roles, time.time(), limits)
    names = ", ".join(role_names(certificate.rights.roles)) or "none"
    typer.echo(f"node {name}: valid until {iso_date(certificate.not_after_s)}, roles: {names}")
    if (place / NODE_KEY_FILE).exists():
        typer.echo(f"A node that runs with {place} takes it within 5 s; nothing else is to be done there")
    else:
        typer.echo(
            f"Put {place / CERTIFICATE_FILE} in place of the one that {name} has in its directory, on its machine"
        )


@network_verbs.command("show")
def network_show(
    directory: Annotated[
        Path | None,
        typer.Argument(metavar="DIR", help="A network's or a node's directory.", show_default=_WHERE, readable=False),
    ] = None,
    json: JsonOption = False,
) -> None:
    """The network: its name, id, prefixes and CA key, and its secret key's fingerprint."""
    from treecast.adapters import storage
    from treecast.adapters.node_directory import any_directory
    from treecast.adapters.revocation import revoked_names
    from treecast.api.network_records import NetworkView

    place = any_directory(directory)
    network = storage.load_network(place)
    prefixes, keys = (str(network.ipv4), str(network.ipv6)), (network.ca_public_key.hex(), network.key_fingerprint)
    view = NetworkView(network.name, str(network.id), *prefixes, *keys, revoked=revoked_names(place))
    if json:
        print_json(view)
    else:
        from treecast.cli import tables

        tables.print_network(view)


@node_verbs.command("list")
def node_list(
    directory: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="The network's directory.", show_default=_WHERE, readable=False)
    ] = None,
    network: NetworkOption = None,
    json: JsonOption = False,
) -> None:
    """The nodes that the network's CA has admitted."""
    if directory is not None and network is not None:
        raise typer.BadParameter("give the network's directory once, as DIR or as --network")
    import time

    from treecast.adapters import storage
    from treecast.adapters.node_directory import network_directory
    from treecast.api.network_records import AdmittedNode
    from treecast.base.time import iso_date
    from treecast.identity.rights import role_names

    authority = storage.load_authority(network_directory(directory or network))
    now = time.time()
    nodes = [
        AdmittedNode(
            name=node.name,
            index=node.index,
            node_id=str(node.node_id),
            ipv4=str(node.ipv4),
            ipv6=str(node.ipv6),
            valid_until=iso_date(node.not_after_s),
            expired=node.not_after_s < now,
            roles=role_names(node.rights.roles),
            revoked=node.revoked,
        )
        for node in authority.registry.nodes
    ]
    if json:
        print_json(nodes)
    else:
        from treecast.cli import tables

        tables.print_admitted_nodes(nodes)
