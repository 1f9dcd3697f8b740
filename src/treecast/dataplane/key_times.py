"""Lifetimes of a root's sender keys, and how soon another follows (``docs/protocol.md`` section 6)."""

from __future__ import annotations

from treecast.base.time import Duration

KEY_LIFETIME: Duration = 3600.0
ROTATION_LIMIT: Duration = 1.25
"""The time from the moment from which the key in use is to be replaced, a leave for example, to that when the next
one is in use. A member that has not taken that by then gets session-sealed copies, and the others do not wait for it.
Answers over 300 ms, of which a tenth of all datagrams is lost, come within it but for one or two in a thousand."""
KEY_OVERLAP: Duration = 1.5
"""Members take datagrams under the key before for so long after the next one is in use: those that overtook each other,
that repair sends once more (a second), that a root sealed which was stopped for a moment. With ROTATION_LIMIT it is
a quarter of a second less than the 3 s after which nobody takes anything of one who has left: offers take their way."""
KEY_REST: Duration = 0.25
"""How long a key is used at least. Members keep two keys: what was sealed with the one before has arrived by then. And
members that leave in a row cost each other one offer per rest and change of keys, not one per leave."""
ROTATION_INTERVAL: Duration = 1.0
"""The time from the begin of one rotation of a tree's keys to that of the next: members that join and leave all the
time cost the others no more. It is shorter than ROTATION_LIMIT, which so holds for those, too, who leave just after
one began."""
