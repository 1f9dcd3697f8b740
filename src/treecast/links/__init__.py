"""Links: each node authenticates other nodes by Noise handshakes and keeps encrypted sessions and paths with them.

The engine calls ``links``. ``targets`` has the nodes that are to be reached, ``handshakes`` the handshakes in progress,
``sessions`` the sessions and their rekeying. ``reachability`` and ``refusals`` report problems for people. The
cryptography itself is the data plane's: ``crypto`` has what it must offer.
"""
