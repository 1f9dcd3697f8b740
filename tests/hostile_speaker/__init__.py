"""A program that speaks the protocol as a member, a former member or a stranger, and breaks its rules as told.

Plain Python along docs/protocol.md, independent of the code under test: it proves, too, that the document says all.
``layouts`` has every byte layout, ``noise`` the cryptography of handshakes, ``handshakes`` both sides of one,
``session`` what they make, ``member`` what a node's directory holds, ``speaker`` the program itself; ``lan_host`` is
another one, on a bridged LAN.
"""
