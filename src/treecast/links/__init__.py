"""How do two nodes talk, safely? Handshakes, sessions, rekeying, liveness.

``links`` decides; ``targets`` knows whom this node wants to reach, ``handshakes`` what is under way, ``peers`` the
sessions; ``problems`` puts into words what a person must act on. The cryptography itself is the data plane's: see
``crypto`` for what it must offer.
"""
