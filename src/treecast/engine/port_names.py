"""The ports by the names that people know: interfaces. The data plane has numbers only."""

from __future__ import annotations


class PortNames:
    """A port without a name is called by its number."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}

    def put(self, port: int, interface: str) -> None:
        self._names[port] = interface

    def remove(self, port: int) -> None:
        self._names.pop(port, None)

    def port(self, interface: str) -> int | None:
        """The port that people know by this interface."""
        return next((port for port, name in self._names.items() if name == interface), None)

    def name(self, port: int) -> str:
        return self._names.get(port) or f"port {port}"
