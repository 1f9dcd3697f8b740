"""Installed hosts: at which node the data plane has each host, and the hosts of each node."""

from __future__ import annotations

from treecast.base.ids import NodeIndex
from treecast.discovery.local_hosts import HostKey


class InstalledHosts:
    """Keeps at which node the data plane has each host."""

    def __init__(self) -> None:
        self._node_of: dict[HostKey, NodeIndex] = {}
        self._hosts_of: dict[NodeIndex, set[HostKey]] = {}

    def get(self, key: HostKey) -> NodeIndex | None:
        """The node that the host is behind."""
        return self._node_of.get(key)

    def put(self, key: HostKey, node: NodeIndex) -> None:
        """The host is behind this node from now on."""
        self.remove(key)
        self._node_of[key] = node
        self._hosts_of.setdefault(node, set()).add(key)

    def remove(self, key: HostKey) -> bool:
        """The host is behind no other node; whether it was."""
        node = self._node_of.pop(key, None)
        if node is None:
            return False
        hosts = self._hosts_of[node]
        hosts.discard(key)
        if not hosts:
            del self._hosts_of[node]
        return True

    def of(self, node: NodeIndex) -> list[HostKey]:
        """The hosts behind a node, sorted."""
        return sorted(self._hosts_of.get(node, ()))
