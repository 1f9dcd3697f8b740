"""Requests for certificates: what is emitted is parsed, and nothing else is believed."""

from __future__ import annotations

import pytest

from treecast.base.errors import MalformedError, OperatorError
from treecast.identity.keys import NodeKeys
from treecast.identity.request import CertificateRequest, request_certificate

KEYS = NodeKeys.from_seeds(bytes(range(32)), bytes(range(32, 64)))


def test_a_request_is_parsed_as_it_was_made() -> None:
    request = CertificateRequest.decode(request_certificate("alice", KEYS))
    assert request == CertificateRequest("alice", KEYS.static.public, KEYS.signing.public)


def test_no_byte_of_a_request_can_be_another() -> None:
    wire = request_certificate("alice", KEYS)
    for place in range(len(wire)):
        altered = bytearray(wire)
        altered[place] ^= 1
        with pytest.raises(MalformedError, match=r"request_malformed|request_bad_signature"):
            CertificateRequest.decode(bytes(altered))
    for length in range(len(wire)):
        with pytest.raises(MalformedError, match="request_malformed"):
            CertificateRequest.decode(wire[:length])


def test_a_request_of_a_name_that_no_node_can_have_is_not_made() -> None:
    with pytest.raises(OperatorError, match="cannot be the name of a node"):
        request_certificate("Alice", KEYS)
