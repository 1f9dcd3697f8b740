"""The verbs that take a node's certificate back: at the CA, and at any node."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from treecast.cli.arguments import NodeDirectory, resolved
from treecast.cli.network_verbs import NetworkOption, node_verbs
from treecast.cli.output import print_note

revocation_verbs = typer.Typer(help="Cut revoked nodes off.", no_args_is_help=True, rich_markup_mode=None)


@node_verbs.command("revoke")
def node_revoke(
    name: Annotated[str, typer.Argument(metavar="NODE", help="Lower-case letters, digits and hyphens.")],
    *,
    network: NetworkOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="Where to put the revocation.",
            show_default="./NODE.revocation",
            readable=False,
        ),
    ] = None,
    older: Annotated[
        bool, typer.Option("--older", help="Only the certificates before its newest one, which goes on to count.")
    ] = False,
) -> None:
    """Take back all certificates that a node has, for good: one file, to apply at any running node."""
    from treecast.adapters.node_directory import command_for_new_keys, network_directory
    from treecast.adapters.revocation import revoke_node, void_older

    place = out if out is not None else Path(f"{name}.revocation")
    home = network_directory(network)
    if older:
        node, damage = void_older(home, place, name)
        print_note(damage)
        typer.echo(
            f"node {name} (index {node.index}): its certificates up to serial {node.serial - 1} are revoked, that with "
            f"serial {node.serial} counts"
        )
        typer.echo(
            f"Next: where {name} has that one (its status has its end), treecast revocation apply {place} DIR, where "
            "DIR is the directory of any node that runs: it tells all others"
        )
        return
    node, damage = revoke_node(home, place, name)
    print_note(damage)
    typer.echo(f"node {name} (index {node.index}): its certificates up to serial {node.serial} are revoked")
    typer.echo(
        f"Next: treecast revocation apply {place} DIR, where DIR is the directory of any node that runs: it tells all "
        f"others. {name} comes back with new keys only ({command_for_new_keys(home, name)})"
    )


@revocation_verbs.command("apply")
def revocation_apply(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The file that treecast node revoke wrote.", readable=False)
    ],
    directory: NodeDirectory = None,
) -> None:
    """Give a revocation to a node: if it runs, it tells all others at once; if not, it knows when it starts."""
    from treecast.adapters.revocation import apply_revocation
    from treecast.api.client import take_revocations

    place = resolved(directory)
    applied = apply_revocation(place, file)
    print_note(applied.damage)
    content = applied.content
    what = f"certificates of node {content.name} (index {applied.node}) up to serial {content.serial} are revoked"
    if not applied.is_running:
        typer.echo(f"{what} for the node in {place}, from its next start on")
        return
    status = take_revocations(place)
    from treecast.adapters.revocations_file import require_kept

    require_kept(place, applied.network, file)
    peers = "1 linked node" if status.peers == 1 else f"{status.peers} linked nodes"
    cut = "cuts it off" if content.name in status.revoked else "has a later one of it, which counts,"
    typer.echo(f"{what}: {status.node} {cut} and tells its {peers}")
