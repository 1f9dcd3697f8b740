"""The API of a running node: the records of its answers, and the control socket that carries them.

``DIR/control.sock`` is a Unix stream socket. A request is one line of JSON, ``{"verb": "status"}``; the answer is one
line, ``{"answer": ...}`` or ``{"error": reason}``. A connection may carry several requests, one after another.
"""
