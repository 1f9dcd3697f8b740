"""Membership: the router side of IGMP (RFC 9776) and MLD (RFC 9777) on each port of a node.

Read in this order: ``transitions`` (the table of RFC 9776 section 6.4), ``group`` (one group's state and
timers), ``tracking`` (explicit host tracking), ``querier`` (election and general queries), ``router`` (the whole).
Then ``switch`` (all ports and VLANs), ``router_ports`` and ``host_side`` (what is reported to routers there), and
``pim_memory`` (what is remembered of them for the next start).
Nothing here sends, sleeps or reads a clock: inputs are frames and the time, outputs are frames and changes.
"""

from treecast.base.ids import TAP
from treecast.multicast.config import Intervals, MembershipConfig
from treecast.multicast.pim_downstream import PimJoinView
from treecast.multicast.pim_memory import AbsentPim, PimSegment, within_limit
from treecast.multicast.port import PortMembership
from treecast.multicast.protocol import (
    IGMP,
    MLD,
    NO_ADDRESS,
    OwnKernel,
    PortAddresses,
    PortSource,
    Protocol,
    neighbour_of,
)
from treecast.multicast.router import GroupMembershipRouter
from treecast.multicast.router_ports import RouterView
from treecast.multicast.switch import UNTAGGED, SwitchMembership
from treecast.multicast.switch_output import PortFrame, SwitchOutput, VlanChange
from treecast.multicast.view import GroupView, MembershipChange, MembershipCounts, Output, QuerierView, TrackedHostView

__all__ = [
    "AbsentPim",
    "TAP",
    "UNTAGGED",
    "PortAddresses",
    "PortFrame",
    "RouterView",
    "SwitchMembership",
    "SwitchOutput",
    "VlanChange",
    "IGMP",
    "MLD",
    "GroupMembershipRouter",
    "GroupView",
    "TrackedHostView",
    "Intervals",
    "MembershipChange",
    "MembershipConfig",
    "MembershipCounts",
    "NO_ADDRESS",
    "Output",
    "OwnKernel",
    "PimJoinView",
    "PimSegment",
    "PortMembership",
    "PortSource",
    "Protocol",
    "QuerierView",
    "neighbour_of",
    "within_limit",
]
