"""Builds a node from the parts and runs it: the one place that owns an event loop."""
