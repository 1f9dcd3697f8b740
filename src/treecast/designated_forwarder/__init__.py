"""Designated forwarder election: beacons on a LAN, an election among the nodes that receive them, loops found.

Only ports that share a LAN with others (switch mode) take part; a TAP of the node's own does not.
"""
