"""Commands of a root's trees: those that may be refused, and those by which a flow's frames take a tree."""

from __future__ import annotations

from treecast.base.commands import (
    Command,
    CreateTree,
    MakeKey,
    OfferKey,
    OfferTree,
    RemovePrefixRoute,
    RemoveRoute,
    SetPrefixRoute,
    SetRoute,
    SetTreeMembers,
    UseKey,
)
from treecast.base.flows import Flow
from treecast.base.ids import StreamId

TreeCommand = CreateTree | SetRoute | SetPrefixRoute | SetTreeMembers | MakeKey | UseKey | OfferKey | OfferTree
"""Commands that the data plane may refuse."""


def set_route(flow: Flow, stream: StreamId) -> Command:
    """Have a flow's frames take a tree."""
    if flow.prefix is not None:
        return SetPrefixRoute(flow.vlan, flow.prefix, stream)
    return SetRoute(flow.vlan, flow.group, flow.source, stream)


def remove_route(flow: Flow) -> Command:
    """Have a flow's frames take no tree of their own."""
    if flow.prefix is not None:
        return RemovePrefixRoute(flow.vlan, flow.prefix)
    return RemoveRoute(flow.vlan, flow.group, flow.source)
