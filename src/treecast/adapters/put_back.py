"""Configuration that an interface had lost, or somebody had changed, and that is put back: for the log."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PutBack:
    """The things put back on one interface. ``settings``: as somebody had changed them, like ``mcast_snooping 1``."""

    interface: str
    addresses: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.addresses or self.routes or self.settings)

    def in_words(self) -> str:
        """A sentence about what was lost or changed."""
        parts = []
        if self.addresses:
            parts.append(f"had lost {_and(self.addresses)}")
        if self.routes:
            routes = f"routes to {_and(self.routes)}"
            parts.append(f"the {routes}" if parts else f"had lost the {routes}")
        said = [" and ".join(parts) + ": put back"] if parts else []
        if self.settings:
            said.append(f"had been set to {_and(self.settings)}: set back")
        return f"{self.interface} {', and '.join(said)}"


def _and(items: tuple[str, ...]) -> str:
    return " and ".join(filter(None, (", ".join(items[:-1]), items[-1])))
