"""How do two nodes talk, safely? Handshakes, sessions, rekeying, liveness.

``links`` is the way in; ``targets`` knows whom this node wants to reach, ``handshakes`` what is under way, ``sessions``
what has come of it; ``reachability`` and ``refusals`` put into words what a person must act on. The
cryptography itself is the data plane's: see ``crypto`` for what it must offer.
"""
