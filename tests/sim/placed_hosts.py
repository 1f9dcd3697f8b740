"""Hosts of other nodes, as a node shows them."""

from __future__ import annotations

from treecast.base.addresses import MacAddress
from treecast.base.ids import NodeIndex
from treecast.sim.world import SimNode


def hosts_elsewhere(node: SimNode) -> dict[tuple[int, MacAddress], NodeIndex]:
    """The node of each host that another one claims, by VLAN and MAC."""
    shown = filter(None, node.engine.view.hosts(node.now))
    return {(host.vlan, host.mac): host.node for host in shown if host.node != node.index}
