"""The seven rooms in order: events in at the top, commands out at the bottom. Still no I/O.

``engine`` is the order, ``view`` is what people may look at.
"""
