"""How does every node learn it? Advertisements: signed, versioned, flooded, reconciled, expiring.

One mechanism for all kinds of state. Read ``docs/protocol.md`` section 7, then ``broadcast`` (what it offers),
``store`` (what is held) and ``flooding`` (what each neighbour still lacks).
"""
