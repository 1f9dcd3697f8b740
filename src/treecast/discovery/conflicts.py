"""Addresses that two hosts claim (RFC 5227 section 2.4, RFC 9161 section 3.7): kept to be shown to the operator."""

from __future__ import annotations

from dataclasses import dataclass

from treecast.base.addresses import MacAddress
from treecast.base.bounded_table import BoundedTable
from treecast.base.limits import MAX_ADDRESS_CONFLICTS
from treecast.base.time import Duration, Instant, after
from treecast.discovery.local_hosts import AddressKey

CONFLICT_LIFETIME: Duration = 600.0


@dataclass(frozen=True, slots=True)
class AddressConflict:
    """``holder`` keeps the address, ``claimant`` was the last to claim it too."""

    holder: MacAddress
    claimant: MacAddress
    last_at: Instant


class AddressConflicts:
    """The conflicts of the last minutes. Bounded: the oldest is forgotten for a new one."""

    def __init__(self) -> None:
        self._conflicts: BoundedTable[AddressKey, AddressConflict] = BoundedTable(MAX_ADDRESS_CONFLICTS)

    def note(self, now: Instant, address: AddressKey, holder: MacAddress, claimant: MacAddress) -> bool:
        """Whether this conflict is new."""
        is_new = address not in self._conflicts
        self._conflicts.put(address, AddressConflict(holder, claimant, now))
        return is_new

    def forget(self, address: AddressKey) -> None:
        """Two hosts may have claimed it, but its holder is gone."""
        self._conflicts.pop(address, None)

    def forget_claimant(self, claimant: MacAddress) -> None:
        """Nothing that it claimed is a conflict any more."""
        for address in [address for address, found in self._conflicts.items() if found.claimant == claimant]:
            del self._conflicts[address]

    def items(self) -> list[tuple[AddressKey, AddressConflict]]:
        """The oldest first."""
        return list(self._conflicts.items())

    def advance(self, now: Instant) -> None:
        while self._conflicts and after(next(iter(self._conflicts.values())).last_at, CONFLICT_LIFETIME) <= now:
            self._conflicts.popitem(last=False)
