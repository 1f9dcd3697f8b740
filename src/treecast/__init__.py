"""Treecast: IP multicast for networks that have none."""

__version__ = "0.1.0"
"""The version, as in pyproject.toml (a test): to look it up in the installed package is a sixth of a verb's time."""
