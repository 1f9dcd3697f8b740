"""Identifiers of networks, nodes, trees and keys, and the number of the first port.

Read ``docs/protocol.md`` for how they are derived and where they stand on the wire.
"""

from __future__ import annotations

from typing import NewType

NodeIndex = NewType("NodeIndex", int)
"""u32, 1-based, unique in the network, given by the CA; 0 means "no node"."""

NO_NODE = NodeIndex(0)

StreamId = NewType("StreamId", int)
"""u32, names what a root sends to one group (and source), and the keys of that; 0 is the root's broadcast."""

TreeEpoch = NewType("TreeEpoch", int)
"""u32, grows with every new form of a stream's tree."""

KeyId = NewType("KeyId", int)
"""u32, names one sender key of one stream; it grows."""

BROADCAST_STREAM = StreamId(0)

TAP = 0
"""The port of a node's own interface; packet ports have numbers from 1 on."""

NETWORK_ID_BYTES = 16
NODE_ID_BYTES = 16


class NodeId(bytes):
    """16 bytes: the head of SHA-256 over the node's public keys. Prints as hex."""

    def __str__(self) -> str:
        return self.hex()


class NetworkId(bytes):
    """16 bytes: the head of SHA-256 over the network's CA public key. Prints as hex."""

    def __str__(self) -> str:
        return self.hex()
