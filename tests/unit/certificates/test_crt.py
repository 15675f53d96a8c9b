"""crt and cer: one name for two forms, and what stands under it by mistake."""

import base64
import hashlib
import ssl

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs7 import serialize_certificates

from services.secrets.certificates import (
    CertificateMaterial,
    CertificateRefused,
    normal_form,
    read_certificate,
)
from services.secrets.certificates.encodings import der
from tests.fakes.certificates import NOW, chain, ec_key, issue, key_pem, pem_block, tlv

MADE = chain()
LEAF = MADE.leaf


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def read(content: str, key: str | None = None, kind: str = "crt") -> CertificateMaterial:
    return read_certificate(content, key, None, kind, NOW)


def refused(content: str, key: str | None = None, kind: str = "crt") -> CertificateRefused:
    with pytest.raises(CertificateRefused) as caught:
        read(content, key, kind)
    return caught.value


@pytest.mark.parametrize("kind", ["crt", "cer"])
@pytest.mark.parametrize("content", [base64_of(LEAF.der), LEAF.pem], ids=["der", "pem"])
def test_both_names_stand_for_both_forms(kind: str, content: str) -> None:
    material = read(content, LEAF.key_pem, kind)
    assert material.certificate_type == kind
    assert material.content == content.encode()
    assert material.metadata.subject == "CN=example.com, O=Example Inc, C=US"
    form = normal_form.read(material.normal_form)
    assert (form.certificate, form.private_key) == (LEAF.pem, LEAF.key_pem)


def test_text_may_hold_a_chain_and_a_key() -> None:
    content = LEAF.key_pem + MADE.intermediate.pem + LEAF.pem + MADE.root.pem
    material = read(content)
    assert material.metadata.chain_length == 3
    assert material.metadata.has_private_key
    assert normal_form.read(material.normal_form).certificate == LEAF.pem


@pytest.mark.parametrize("padding", [b"\n", b"\r\n", b"\0" * 700], ids=["lf", "crlf", "zeros"])
def test_what_tools_leave_behind_a_certificate_is_not_part_of_it(padding: bytes) -> None:
    material = read(base64_of(LEAF.der + padding))
    assert normal_form.read(material.normal_form).certificate == LEAF.pem


@pytest.mark.parametrize(
    "rest", [b"\x01", MADE.root.der, b"\0\0\2"], ids=["byte", "other", "later"]
)
def test_anything_else_behind_a_certificate_is_refused(rest: bytes) -> None:
    refusal = refused(base64_of(LEAF.der + rest))
    assert (refusal.field, refusal.reason) == ("certificate_content", "malformed")
    assert f"{len(rest)} bytes follow" in refusal.message


def test_a_ber_certificate_is_turned_into_der_and_said_to_be_ber() -> None:
    body = LEAF.der[4:]
    for ber in (b"\x30\x80" + body + b"\0\0", b"\x30\x84\0\0" + LEAF.der[2:]):
        material = read(base64_of(ber), LEAF.key_pem)
        assert normal_form.read(material.normal_form).certificate == LEAF.pem
        assert "ber_encoding" in [warning.code for warning in material.metadata.warnings]
    assert "ber_encoding" not in [
        warning.code for warning in read(base64_of(LEAF.der)).metadata.warnings
    ]


@pytest.mark.parametrize("wrapped", [False, True], ids=["definite", "indefinite"])
@pytest.mark.parametrize("member", [0, 2, 3, 5, 6], ids=str)
def test_what_was_signed_in_ber_keeps_its_octets(member: int, wrapped: bool) -> None:
    key = ec_key()
    tbs, algorithm, _ = der.sequence(issue(key=key).der)
    parts = [part.encoded for part in tbs.children()]
    body = der.element(parts[member]).body
    parts[member] = parts[member][:1] + b"\x84" + len(body).to_bytes(4, "big") + body
    signed = tlv(0x30, b"".join(parts))
    signature = key.sign(signed, ec.ECDSA(hashes.SHA256()))
    members = signed + algorithm.encoded + tlv(3, b"\0" + signature)
    whole = tlv(0x30, members)
    sent = b"\x30\x80" + members + b"\0\0" if wrapped else whole
    material = read(base64_of(sent), key_pem(key))
    facts = material.metadata
    assert [warning.code for warning in facts.warnings] == ["self_signed", "ber_encoding"]
    assert facts.sha256_fingerprint == hashlib.sha256(whole).hexdigest()
    kept = normal_form.read(material.normal_form).certificate
    assert ssl.PEM_cert_to_DER_cert(kept) == whole
    if not wrapped:
        bag = serialize_certificates([LEAF.certificate], Encoding.DER)
        encoded = base64_of(_around(whole, bag))
        assert read(encoded, kind="p7b").metadata.sha256_fingerprint == facts.sha256_fingerprint


def _around(certificate: bytes, bag: bytes) -> bytes:
    """The PKCS#7 with another certificate than the leaf in it."""
    number, explicit = der.sequence(bag)
    (signed_data,) = explicit.children()
    parts = [
        tlv(part.tag, certificate) if part.tag == der.context(0) else part.encoded
        for part in signed_data.children()
    ]
    return tlv(0x30, number.encoded + tlv(0xA0, tlv(0x30, b"".join(parts))))


def test_a_signed_part_of_indefinite_length_is_turned_into_der() -> None:
    tbs, *others = der.sequence(LEAF.der)
    sent = tlv(0x30, b"\x30\x80" + tbs.body + b"\0\0" + b"".join(one.encoded for one in others))
    material = read(base64_of(sent), LEAF.key_pem)
    assert normal_form.read(material.normal_form).certificate == LEAF.pem


@pytest.mark.parametrize(
    "data",
    [
        LEAF.der[:-1],
        LEAF.der[: len(LEAF.der) // 2],
        LEAF.der[:20],
        b"\x30\x80" + LEAF.der[4:],
        tlv(0x30, LEAF.der[4:-2]),
        tlv(0x30, b""),
        tlv(0x30, tlv(0x0C, b"hello")),
    ],
    ids=["one-less", "half", "head", "no-end", "cut-inside", "empty", "another"],
)
def test_a_damaged_certificate_is_malformed_not_unknown(data: bytes) -> None:
    refusal = refused(base64_of(data))
    assert (refusal.field, refusal.reason) == ("certificate_content", "malformed")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (serialize_certificates([LEAF.certificate], Encoding.PEM).decode(), "'pkcs7'"),
        (base64_of(serialize_certificates([LEAF.certificate], Encoding.DER)), "'pkcs7'"),
        (base64_of(tlv(0x30, b"\x02\x01\x03" + tlv(0x30, b""))), "'pfx'"),
        (LEAF.key_pem, "'key'"),
        (base64_of(b"\xfe\xed\xfe\xed\0\0\0\2"), "keytool"),
        (base64_of(b"\x8a\x01 no structure at all"), "nothing Coffer recognises"),
        ("what is this?", "nothing Coffer recognises"),
        (pem_block("X509 CRL", b"0\0"), "revocation list"),
    ],
)
def test_another_kind_under_this_name_is_named(content: str, said: str) -> None:
    refusal = refused(content, kind="cer")
    assert (refusal.field, refusal.reason) == ("certificate_content", "not_this_format")
    assert said in refusal.message


def test_the_key_must_be_the_certificates() -> None:
    assert refused(base64_of(LEAF.der), issue().key_pem).reason == "key_mismatch"
