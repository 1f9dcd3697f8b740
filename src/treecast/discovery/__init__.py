"""Which host lives where? Learned from ARP and ND, shared with all nodes, answered for from the table."""
