"""Identities: keys, certificates, the network file, and the rules by which the CA hands out names and addresses.

Bytes in, records out, and back. No file is opened here (``adapters.storage`` does that), and no clock or randomness
is read: seeds and the time are arguments. Formats: docs/protocol.md section 2; vectors: docs/vectors-identity.json.
"""
