"""Bytes to typed records and back. No state, no time, no decisions.

Each module has ``parse`` (bytes to a frozen record, :class:`~treecast.base.errors.MalformedError` with a
named reason otherwise) and its inverse ``emit``. Above this package no code sees raw header bytes.
Read ``ethernet`` first, then the protocol you came for.
"""
