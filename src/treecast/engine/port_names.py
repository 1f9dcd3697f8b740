"""The ports by the names that people know: interfaces; and by what the next run knows them again. The data plane has
numbers only.
"""

from __future__ import annotations


class PortNames:
    """A port without a name is called by its number. Its identity outlives a run and the interface's name."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self._identities: dict[int, str] = {}

    def put(self, port: int, interface: str) -> None:
        self._names[port] = interface

    def remove(self, port: int) -> None:
        self._names.pop(port, None)
        self._identities.pop(port, None)

    def identify(self, port: int, identity: str) -> None:
        self._identities[port] = identity

    def identified(self, identity: str) -> int | None:
        """The port of this identity."""
        return next((port for port, known in self._identities.items() if known == identity), None)

    def identity(self, port: int) -> str:
        return self._identities.get(port) or f"port {port}"

    def name(self, port: int) -> str:
        return self._names.get(port) or f"port {port}"
