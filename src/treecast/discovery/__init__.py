"""Discovery: each node learns its LANs' hosts from ARP and ND, and replies to solicitations of other nodes' hosts.

It is the proxy of RFC 9161. Claims of all nodes to hosts meet in ``host_table``.
"""
