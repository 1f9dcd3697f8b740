"""Treecast: IP multicast for networks that have none."""

__version__ = "0.1.0"
"""As in pyproject.toml, which a test holds: to look it up in the installed package is a sixth of a verb's time."""
