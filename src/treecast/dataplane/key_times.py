"""Lifetimes of a root's sender keys, and how soon another follows (``docs/protocol.md`` section 6)."""

from __future__ import annotations

from treecast.base.time import Duration

KEY_LIFETIME: Duration = 3600.0
ROTATION_LIMIT: Duration = 2.0
"""A member that has not taken the next key by then gets session-sealed copies, and the others do not wait for it."""
KEY_REST: Duration = 0.25
"""How long a key is used at least. Members keep two keys: what was sealed with the one before has arrived by then. And
members that leave in a row cost each other one offer per rest and change of keys, not one per leave."""
ROTATION_INTERVAL: Duration = 1.0
"""The time from one rotation of a tree's keys to the next: members that join and leave all the time cost
the others no more. It is shorter than ROTATION_LIMIT and KEY_REST: nobody who leaves can read on for longer by it."""
