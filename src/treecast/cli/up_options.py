"""The options of ``up``, in the order in which its help shows them."""

from __future__ import annotations

from typing import Annotated

import typer

from treecast.cli.arguments import LogLevel

ListenOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ADDRESS:PORT", help="Where to listen; may be repeated.", show_default="port 7700 of all addresses"
    ),
]
PeerOption = Annotated[
    list[str] | None,
    typer.Option(metavar="HOST[:PORT]", help="A running node to start from, port 7700 if not said; may be repeated."),
]
InterfaceOption = Annotated[str, typer.Option(metavar="NAME", help="The virtual interface to make.")]
WorkersOption = Annotated[
    int, typer.Option(metavar="N", min=0, max=64, help="Threads that move packets; 0: one per core.")
]
UnderlayMtuOption = Annotated[
    int | None,
    typer.Option(
        metavar="BYTES",
        min=1280,
        max=9000,
        help="The largest packet that the paths to all other nodes carry.",
        show_default="what the interfaces to them carry, at most 1500",
    ),
]
KeepInterfaceOption = Annotated[
    bool,
    typer.Option(
        "--keep-interface", help="Leave the interface at the end, for the next start: programs stay in their groups."
    ),
]
RouteOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PREFIX",
        help="Groups that programs reach by the interface when they name none; may be repeated.",
        show_default="224.0.0.0/4 and ff00::/8",
    ),
]
NoRoutesOption = Annotated[bool, typer.Option("--no-routes", help="Leave the multicast routes alone.")]
RouterGroupsOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PREFIX",
        help="Groups that this node gets without a join, for multicast routers there; may be repeated.",
    ),
]
AuthenticatedOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PREFIX",
        help="Groups whose frames are sealed for each receiver alone, and count here only so; may be repeated.",
    ),
]
ReplicateOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PREFIX",
        help="Groups that this node sends to each receiver itself, whatever --max-children is; may be repeated.",
    ),
]
ProtectOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PREFIX",
        help="Groups that this node sends by two trees where it has --max-children: a relay that dies costs nothing; "
        "may be repeated.",
    ),
]
NoSuperPacketsOption = Annotated[
    bool,
    typer.Option(
        "--no-super-packets",
        help="Give this machine datagrams for groups one by one, for multicast routers in its containers.",
    ),
]
MembershipOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE", help="A timer or limit of IGMP and MLD, like query-interval=60s; may be repeated."
    ),
]
NoRelayOption = Annotated[
    bool, typer.Option("--no-relay", help="Send nothing on of other nodes' streams, whatever the certificate permits.")
]
UplinkOption = Annotated[
    str | None,
    typer.Option(
        metavar="RATE",
        help="What this machine can send, like 20mbit; streams go to 4 nodes unless --max-children is given.",
    ),
]
MaxChildrenOption = Annotated[
    int | None,
    typer.Option(metavar="N", help="How many nodes this one sends streams to, over all trees: others go on by these."),
]
MaxLinksOption = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="How many other nodes this one chooses to be linked with, from 17 nodes on; the rest is reached by these.",
        show_default="all",
    ),
]
OnDemandOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE",
        help="When much goes to a node without a link one is made, like above=1mbit or idle=180s; may be repeated.",
    ),
]
UserOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="The account to run as, once what root alone can open is open.")
]
LogLevelOption = Annotated[LogLevel, typer.Option(help="What to log to stderr.")]
