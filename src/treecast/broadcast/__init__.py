"""Broadcast: each node floods signed advertisements of its state to all nodes, like LSAs (RFC 2328 section 13).

Neighbours acknowledge each advertisement, and reconcile what they hold. All kinds of state go so. Read
``docs/protocol.md`` section 7, then ``broadcast`` (what it offers), ``store`` (what is held) and ``flooding`` (what
each neighbour still lacks).
"""
