"""The command line: verbs and options. What a verb needs is imported by the verb, so that each starts quickly.

What the operator can fix is one sentence on stderr and exit code 1, or 3 where another machine has the node's identity;
a command line that is none is exit code 2.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from treecast import __version__
from treecast.adapters import standard_streams
from treecast.adapters.signals import raise_at_interrupts
from treecast.base.errors import OperatorError
from treecast.cli import admission_verbs  # noqa: F401 (adds verbs to node)
from treecast.cli.arguments import NodeDirectory, resolved
from treecast.cli.bridge_verbs import bridge_verbs
from treecast.cli.network_verbs import network_verbs, node_verbs
from treecast.cli.output import JsonOption, all_is_written, print_error, print_json
from treecast.cli.revocation_verbs import revocation_verbs
from treecast.cli.up_options import (
    AuthenticatedOption,
    InterfaceOption,
    KeepInterfaceOption,
    ListenOption,
    LogLevelOption,
    MaxChildrenOption,
    MaxLinksOption,
    MembershipOption,
    NoRelayOption,
    NoRoutesOption,
    NoSuperPacketsOption,
    OnDemandOption,
    PeerOption,
    ProtectOption,
    ReplicateOption,
    RouteOption,
    RouterGroupsOption,
    UnderlayMtuOption,
    UplinkOption,
    UserOption,
    WorkersOption,
)
from treecast.cli.usage import UsageError, command_path, is_help, sentence

GARBAGE_THRESHOLDS = (5_000, 20, 1_000)
"""A node's tables are no garbage, and to look through all that one with 82,000 groups has takes half a second: that
comes after so many objects, not each time that they have grown by a quarter."""


class _Verbs(TyperGroup):
    """The verbs. An OperatorError in one of them, or a command line that is none, ends the command with a sentence."""

    _verb = ""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **options: Any) -> Any:
        self._verb = command_path(self, args)
        with _one_sentence(self._verb):
            return super().make_context(info_name, args, parent, **options)

    def invoke(self, ctx: Any) -> Any:
        with _one_sentence(self._verb):
            return super().invoke(ctx)


@contextmanager
def _one_sentence(verb: str) -> Iterator[None]:
    try:
        yield
    except OperatorError as error:
        print_error(str(error))
        raise typer.Exit(error.exit_code) from None
    except UsageError as error:
        if is_help(error):
            raise
        print_error(sentence(error, verb))
        raise typer.Exit(error.exit_code) from None


app = typer.Typer(
    name="treecast",
    cls=_Verbs,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(network_verbs, name="network")
app.add_typer(node_verbs, name="node")
app.add_typer(bridge_verbs, name="bridge")
app.add_typer(revocation_verbs, name="revocation")


def main() -> None:
    """The command ``treecast``, once signals are settled (``cli.start``)."""
    standard_streams.open_closed()
    with all_is_written():
        app(prog_name="treecast")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"treecast {__version__}")
        raise typer.Exit


@app.callback()
def treecast(
    ctx: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> None:
    """IP multicast for networks that have none."""
    if ctx.invoked_subcommand != "up":
        raise_at_interrupts()


@app.command()
def up(
    directory: NodeDirectory = None,
    *,
    listen: ListenOption = None,
    peer: PeerOption = None,
    interface: InterfaceOption = "treecast0",
    workers: WorkersOption = 0,
    underlay_mtu: UnderlayMtuOption = None,
    keep_interface: KeepInterfaceOption = False,
    route: RouteOption = None,
    no_routes: NoRoutesOption = False,
    router_groups: RouterGroupsOption = None,
    authenticated: AuthenticatedOption = None,
    replicate: ReplicateOption = None,
    protect: ProtectOption = None,
    no_super_packets: NoSuperPacketsOption = False,
    membership: MembershipOption = None,
    no_relay: NoRelayOption = False,
    uplink: UplinkOption = None,
    max_children: MaxChildrenOption = None,
    max_links: MaxLinksOption = None,
    on_demand: OnDemandOption = None,
    user: UserOption = None,
    log_level: LogLevelOption = "info",
) -> None:
    """Run a node, in the foreground, until SIGTERM or SIGINT."""
    directory = resolved(directory)
    gc.disable()  # all that is imported stays: to look through it again and again is a tenth of the start
    from treecast.adapters.account import account_of
    from treecast.cli import rates, values
    from treecast.cli.membership import membership_config
    from treecast.cli.on_demand import on_demand_config
    from treecast.daemon.options import UpOptions

    options = UpOptions(
        directory=directory,
        listen=values.listen_endpoints(listen or []),
        peers=values.peers(peer or []),
        interface=values.interface_name(interface),
        groups=values.group_prefixes(route or [], none=no_routes),
        router_groups=values.routed_prefixes("--router-groups", router_groups),
        authenticated=values.routed_prefixes("--authenticated", authenticated),
        replicated=values.routed_prefixes("--replicate", replicate),
        protected=values.protected_groups(protect, replicate),
        keep_interface=keep_interface,
        super_packets=not no_super_packets,
        log_level=log_level,
        workers=workers,
        underlay_mtu_bytes=underlay_mtu,
        account=account_of(user) if user is not None else None,
        membership=membership_config(membership or []),
        relaying=rates.relaying(uplink, max_children, no_relay=no_relay),
        max_links=values.max_links(max_links),
        on_demand=on_demand_config(on_demand or [], max_links),
    )
    from treecast.daemon.run import run

    gc.freeze()  # nor later
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    gc.enable()
    run(options)


@app.command()
def status(directory: NodeDirectory = None, json: JsonOption = False) -> None:
    """The running node: its problems, addresses, counters and drops."""
    directory = resolved(directory)
    from treecast.api.client import fetch_status

    answer = fetch_status(directory)
    if json:
        print_json(answer)
    else:
        from treecast.cli import tables

        tables.print_status(answer)


@app.command()
def peers(directory: NodeDirectory = None, json: JsonOption = False) -> None:
    """The other nodes that the running node knows or seeks, each with its state."""
    directory = resolved(directory)
    from treecast.api.client import fetch_peers

    answer = fetch_peers(directory)
    if json:
        print_json(answer)
    else:
        from treecast.cli import tables

        tables.print_peers(answer)


@app.command()
def groups(
    directory: NodeDirectory = None,
    json: JsonOption = False,
    watch: Annotated[bool, typer.Option("--watch", help="Follow changes until Ctrl-C.")] = False,
    every: Annotated[bool, typer.Option("--all", help="All groups, not 1,000 of them; --json has all.")] = False,
) -> None:
    """The multicast table: groups, the nodes and hosts that want them, and their queriers."""
    directory = resolved(directory)
    if watch:
        from treecast.cli import watch as following

        following.watch(directory, json=json)
        return
    from treecast.api.client import fetch_groups, fetch_some_groups, fetch_status

    answer = fetch_groups(directory) if every or json else fetch_some_groups(directory)
    if json:
        print_json(answer)
    else:
        from treecast.cli.group_tables import print_groups, print_left_out, print_repairs

        status = fetch_status(directory)
        print_groups(answer, status.queriers)
        print_repairs(status)
        if not every:
            print_left_out(answer, status)


@app.command()
def trace(
    words: Annotated[
        list[str], typer.Argument(metavar="[DIR] GROUP", help="The node's directory; a group, such as 239.1.1.1.")
    ],
    source: Annotated[str | None, typer.Option("--source", help="Only trees that carry what this host sends.")] = None,
    json: JsonOption = False,
) -> None:
    """The trees of a group that the node is on, hop by hop, as the nodes on them report them."""
    if len(words) > 2:
        raise typer.BadParameter(f"unexpected {words[2]!r}: give [DIR] GROUP")
    from treecast.api.client import fetch_trace
    from treecast.cli import values

    group = values.group(words[-1])
    of = values.source_of(group, source)
    answer = fetch_trace(resolved(Path(words[0]) if len(words) == 2 else None), str(group), of)
    if answer.why_none:
        raise OperatorError(f"no tree to trace: {answer.why_none}")
    if json:
        print_json(answer)
    else:
        from treecast.cli.trace_tables import print_trace

        print_trace(answer)


@app.command()
def why(
    words: Annotated[
        list[str], typer.Argument(metavar="[DIR] NODE|GROUP", help="The node's directory; another node, or a group.")
    ],
    json: JsonOption = False,
) -> None:
    """The decisions behind a link, the way to a node, or the trees of a group."""
    if len(words) > 2:
        raise typer.BadParameter(f"unexpected {words[2]!r}: give [DIR] NODE or [DIR] GROUP")
    from treecast.api.client import fetch_why

    answer = fetch_why(resolved(Path(words[0]) if len(words) == 2 else None), words[-1])
    if not answer.decisions:
        raise OperatorError(answer.why_none)
    if json:
        print_json(answer)
    else:
        from treecast.cli.trace_tables import print_why

        print_why(answer)


@app.command()
def hosts(directory: NodeDirectory = None, json: JsonOption = False) -> None:
    """The hosts of all nodes: which address lives where."""
    directory = resolved(directory)
    from treecast.api.client import fetch_hosts

    answer = fetch_hosts(directory)
    if json:
        print_json(answer)
    else:
        from treecast.cli import tables

        tables.print_hosts(answer)


@app.command("log-level")
def log_level(
    words: Annotated[
        list[str],
        typer.Argument(metavar="[DIR] LEVEL", help="The node's directory; debug, info, warning or error."),
    ],
) -> None:
    """Change what the running node logs to stderr, until it ends."""
    if len(words) > 2:
        raise typer.BadParameter(f"unexpected {words[2]!r}: give [DIR] LEVEL")
    from treecast.api.client import set_log_level
    from treecast.cli import values

    if len(words) == 1:
        values.require_level(words[0])
    level = values.log_level(words[-1])
    directory = resolved(Path(words[0]) if len(words) == 2 else None)
    status = set_log_level(directory, level)
    typer.echo(f"node {status.node} in {directory} logs at level {status.log_level} from now on, until it ends")
