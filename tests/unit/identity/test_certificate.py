"""Certificates: the bytes, and each reason to refuse one."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Interface, IPv6Interface

import msgspec
import pytest

from tests.unit.identity.samples import (
    CA_KEY,
    CERTIFICATE,
    CLAIMS,
    KEYS,
    NETWORK,
    NOT_AFTER_S,
    NOT_BEFORE_S,
    NOW_S,
    OTHER_CA_KEY,
)
from treecast.base.ids import NodeIndex
from treecast.identity.certificate import (
    CERTIFICATE_BAD_SIGNATURE,
    CERTIFICATE_EXPIRED,
    CERTIFICATE_MALFORMED,
    CERTIFICATE_NOT_YET_VALID,
    CERTIFICATE_WRONG_NETWORK,
    MAX_CERTIFICATE_BYTES,
    Certificate,
    CertificateError,
    Claims,
    Verifier,
    issue,
)

_BODY = [1, bytes(NETWORK.id), 7, "alice", KEYS.static.public, KEYS.signing.public]
_BODY += [bytes([10, 77, 0, 7]), 16, CLAIMS.ipv6.ip.packed if CLAIMS.ipv6 else None, 64, NOT_BEFORE_S, NOT_AFTER_S]


def _sealed(body: object) -> bytes:
    """``body`` as a certificate that the CA did sign."""
    packed = msgspec.msgpack.encode(body)
    return msgspec.msgpack.encode([packed, CA_KEY.sign(b"treecast certificate 1", packed)])


def _with(position: int, value: object) -> bytes:
    return _sealed([*_BODY[:position], value, *_BODY[position + 1 :]])


def _reason(certificate: Certificate, ca_public_key: bytes, now_unix_s: float) -> str:
    with pytest.raises(CertificateError) as refused:
        certificate.verify(ca_public_key, now_unix_s)
    return refused.value.reason


def test_the_bytes_are_those_of_the_protocol() -> None:
    assert CERTIFICATE.encode() == _sealed(_BODY)


def test_a_certificate_is_read_back_as_it_was_issued() -> None:
    assert Certificate.decode(CERTIFICATE.encode()) == CERTIFICATE
    CERTIFICATE.verify(CA_KEY.public, NOW_S)


def test_a_node_without_addresses_has_a_certificate_too() -> None:
    certificate = issue(CA_KEY, replace(CLAIMS, ipv4=None, ipv6=None))
    assert Certificate.decode(certificate.encode()) == certificate
    assert certificate.encode() == _sealed([*_BODY[:6], None, 0, None, 0, *_BODY[10:]])


def test_the_longest_certificate_fits_its_limit() -> None:
    longest = replace(
        CLAIMS,
        node_index=NodeIndex(0xFFFFFFFF),
        name="a" * 63,
        ipv6=IPv6Interface("fd00::1/128"),
        not_after_s=253_402_300_799,
        not_before_s=253_402_300_799,
    )
    assert len(issue(CA_KEY, longest).encode()) <= MAX_CERTIFICATE_BYTES


def test_it_is_valid_from_its_first_to_its_last_second() -> None:
    CERTIFICATE.verify(CA_KEY.public, NOT_BEFORE_S)
    CERTIFICATE.verify(CA_KEY.public, NOT_AFTER_S)
    assert _reason(CERTIFICATE, CA_KEY.public, NOT_BEFORE_S - 0.001) == CERTIFICATE_NOT_YET_VALID
    assert _reason(CERTIFICATE, CA_KEY.public, NOT_AFTER_S + 0.001) == CERTIFICATE_EXPIRED


def test_another_networks_certificate_is_refused_whatever_the_time() -> None:
    assert _reason(CERTIFICATE, OTHER_CA_KEY.public, NOW_S) == CERTIFICATE_WRONG_NETWORK
    assert _reason(CERTIFICATE, OTHER_CA_KEY.public, NOT_AFTER_S + 1) == CERTIFICATE_WRONG_NETWORK


def test_a_certificate_that_another_ca_signed_for_this_network_is_refused() -> None:
    assert _reason(issue(OTHER_CA_KEY, CLAIMS), CA_KEY.public, NOW_S) == CERTIFICATE_BAD_SIGNATURE


@pytest.mark.parametrize(
    "forged",
    [
        replace(CERTIFICATE, node_index=NodeIndex(8)),
        replace(CERTIFICATE, name="bob"),
        replace(CERTIFICATE, ipv4=IPv4Interface("10.77.0.8/16")),
        replace(CERTIFICATE, not_after_s=NOT_AFTER_S + 1),
        replace(CERTIFICATE, static_key=KEYS.signing.public),
        replace(CERTIFICATE, signature=bytes(64)),
    ],
    ids=["index", "name", "address", "validity", "key", "signature"],
)
def test_a_changed_claim_makes_the_signature_bad(forged: Certificate) -> None:
    assert _reason(Certificate.decode(forged.encode()), CA_KEY.public, NOW_S) == CERTIFICATE_BAD_SIGNATURE


def test_a_forged_certificate_is_called_forged_and_not_expired() -> None:
    forged = replace(CERTIFICATE, name="bob")
    assert _reason(forged, CA_KEY.public, NOT_AFTER_S + 1) == CERTIFICATE_BAD_SIGNATURE


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc0",
        CERTIFICATE.encode()[:-1],
        CERTIFICATE.encode() + b"\x00",
        b"\x92\xc5\x00" + CERTIFICATE.encode()[2:],  # bin 16 where bin 8 does
        _sealed(_BODY) + b"\x00" * MAX_CERTIFICATE_BYTES,
        _sealed(_BODY[:-1]),
        _sealed([*_BODY, 0]),
        _sealed({"version": 1}),
        _with(0, 0),
        _with(0, 2),
        _with(1, bytes(15)),
        _with(2, 0),
        _with(2, 2**32),
        _with(2, -1),
        _with(2, 7.0),
        _with(3, ""),
        _with(3, "a" * 64),
        _with(3, "Alice"),
        _with(3, "alice\n"),
        _with(3, "../alice"),
        _with(3, b"alice"),
        _with(4, bytes(31)),
        _with(5, bytes(33)),
        _with(5, None),
        _with(6, bytes(16)),
        _with(6, None),
        _with(7, 33),
        _with(8, bytes(4)),
        _with(8, None),
        _with(9, 129),
        _with(10, -1),
        _with(10, NOT_AFTER_S + 1),
        _with(11, 2**63),
        _with(11, NOT_AFTER_S + 0.5),
        msgspec.msgpack.encode([msgspec.msgpack.encode(_BODY), bytes(63)]),
        msgspec.msgpack.encode([_BODY, bytes(64)]),
        b"\x91" * 300,
    ],
)
def test_bytes_of_another_form_are_malformed_even_when_signed(data: bytes) -> None:
    with pytest.raises(CertificateError) as refused:
        Certificate.decode(data)
    assert refused.value.reason == CERTIFICATE_MALFORMED


@pytest.mark.parametrize(
    "claims", [replace(CLAIMS, name="A"), replace(CLAIMS, node_index=NodeIndex(0)), replace(CLAIMS, not_after_s=0)]
)
def test_the_ca_issues_nothing_that_no_one_could_read(claims: Claims) -> None:
    with pytest.raises(CertificateError):
        issue(CA_KEY, claims)


def test_the_mac_address_is_made_of_the_index() -> None:
    assert str(CERTIFICATE.mac) == "02:54:00:00:00:07"


def test_a_verifier_that_knows_a_certificate_still_looks_at_the_time_and_at_each_byte() -> None:
    verifier, wire = Verifier(CA_KEY.public), CERTIFICATE.encode()
    forged = replace(CERTIFICATE, name="mallory").encode()
    rows = [
        (wire, NOW_S, ""),
        (wire, NOW_S, ""),
        (wire, NOT_AFTER_S + 1, CERTIFICATE_EXPIRED),
        (forged, NOW_S, CERTIFICATE_BAD_SIGNATURE),
        (forged, NOW_S, CERTIFICATE_BAD_SIGNATURE),
        (wire[:-1], NOW_S, CERTIFICATE_MALFORMED),
        (wire, NOT_BEFORE_S - 1, CERTIFICATE_NOT_YET_VALID),
        (wire, NOW_S, ""),
    ]
    for data, now_s, reason in rows:
        if not reason:
            assert verifier.verify(data, now_s) == CERTIFICATE
            continue
        with pytest.raises(CertificateError) as refused:
            verifier.verify(data, now_s)
        assert refused.value.reason == reason
    with pytest.raises(CertificateError) as foreign:
        Verifier(OTHER_CA_KEY.public).verify(wire, NOW_S)
    assert foreign.value.reason == CERTIFICATE_WRONG_NETWORK


def test_of_the_certificates_that_were_verified_the_one_used_least_lately_is_verified_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("treecast.identity.certificate.MAX_VERIFIED_CERTIFICATES", 2)
    verifier = Verifier(CA_KEY.public)
    first, *others = (issue(CA_KEY, replace(CLAIMS, name=name)).encode() for name in ("alice", "bob", "carol"))
    known = verifier.verify(first, NOW_S)
    assert verifier.verify(first, NOW_S) is known
    for other in others:
        verifier.verify(other, NOW_S)
    again = verifier.verify(first, NOW_S)
    assert (again == known, again is known) == (True, False)
