"""The states of a port that shares a LAN: what follows from what the election finds.

The states are those that beacons announce. ``election`` finds, whenever it decides, exactly one of the findings.
"""

from __future__ import annotations

from enum import Enum

from treecast.base.state_table import StateTable
from treecast.base.state_table import Transition as Row
from treecast.wire.beacon import BeaconState


class Finding(Enum):
    """How things stand for a port, the first that is true."""

    UNREADY = "not ready"
    """The port waits for beacons yet, or its own ones come back; the node has no links; a higher one forwards while it
    learns.
    """
    LOWER_CAPABLE = "a lower one is capable"
    """A lower candidate is capable, or forwards."""
    SETTLING = "ready for less than 0.2 s"
    HIGHER_FORWARDS = "a higher one forwards"
    CLEAR = "nobody lower, nobody else forwards"


_SILENT, _CAPABLE, _FORWARDING = BeaconState.SILENT, BeaconState.CAPABLE, BeaconState.FORWARDING

PORT: StateTable[BeaconState, Finding] = StateTable(
    Row(_SILENT, Finding.UNREADY, _SILENT, "listens for 1.5 s, after a loop for 3 s"),
    Row(_SILENT, Finding.LOWER_CAPABLE, _CAPABLE, "stands by"),
    Row(_SILENT, Finding.SETTLING, _CAPABLE, "of two that have listened at once, each learns of the other"),
    Row(_CAPABLE, Finding.UNREADY, _SILENT),
    Row(_CAPABLE, Finding.LOWER_CAPABLE, _CAPABLE, "stands by"),
    Row(_CAPABLE, Finding.SETTLING, _CAPABLE),
    Row(_CAPABLE, Finding.HIGHER_FORWARDS, _CAPABLE, "waits until that one has made way"),
    Row(_CAPABLE, Finding.CLEAR, _FORWARDING, "unblocks the port, announces its addresses"),
    Row(_FORWARDING, Finding.UNREADY, _SILENT, "blocks the port"),
    Row(_FORWARDING, Finding.LOWER_CAPABLE, _CAPABLE, "blocks the port: makes way"),
    Row(_FORWARDING, Finding.HIGHER_FORWARDS, _FORWARDING, "that one makes way"),
    Row(_FORWARDING, Finding.CLEAR, _FORWARDING),
)
