"""Modes of streams: how their root gets them to all that want them, by what its operator says of their groups."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import IntEnum

from treecast.base.addresses import IPNetwork
from treecast.base.flows import Flow, is_of_any


class TreeMode(IntEnum):
    """The numbers are those of a TracedTree (``docs/protocol.md`` section 7). Later versions may have others."""

    USUAL = 0
    """One tree as the root plans it: within its bound, where it has one."""
    AUTHENTICATED = 1
    """Each member gets copies of its own, for good: nobody has a key with which it could forge them."""
    REPLICATED = 2
    """The root sends to each member itself, whatever its bound."""
    PROTECTED = 3
    """Two trees, of which a relay that dies leaves one whole, where there are places for that."""


@dataclass(frozen=True, slots=True)
class TreeModes:
    """Prefixes of groups that have a mode of their own."""

    authenticated: Collection[IPNetwork] = ()
    replicated: Collection[IPNetwork] = ()
    protected: Collection[IPNetwork] = ()

    def of(self, flow: Flow | None) -> TreeMode:
        """The mode of the flow's stream; None is broadcast."""
        if flow is not None:
            for mode, prefixes in (
                (TreeMode.AUTHENTICATED, self.authenticated),
                (TreeMode.REPLICATED, self.replicated),
                (TreeMode.PROTECTED, self.protected),
            ):
                if is_of_any(flow, prefixes):
                    return mode
        return TreeMode.USUAL


USUAL_MODES = TreeModes()
