"""Topology: which links a node chooses, and who is on which tree."""
