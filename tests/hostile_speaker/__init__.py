"""A program that speaks the protocol as a member, a former member or a stranger, and breaks its rules as told.

Plain Python along docs/protocol.md, independent of the code under test: it proves, too, that the document says all.
``layouts`` has every byte layout, ``noise`` the handshake's cryptography, ``member`` what a node's directory holds,
``records`` what members advertise, ``speaker`` the program itself.
"""
