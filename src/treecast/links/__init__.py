"""How do two nodes talk, safely? Handshakes, sessions, rekeying, liveness.

``links`` decides; ``targets`` knows whom this node wants to reach and when to try; ``sessions`` knows the sessions of
each peer. The cryptography itself is the data plane's: see ``crypto`` for what it must offer.
"""
