"""Which node carries a LAN's frames? Beacons on the LAN, an election among those who hear each other, loops found.

Only ports that share a LAN with others (switch mode) take part; a TAP of the node's own is never asked.
"""
