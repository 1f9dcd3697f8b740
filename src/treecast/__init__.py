"""Treecast: IP multicast for networks that have none."""
