"""PKCS#7 as CAs, Windows, Java and OpenSSL hand it out, and what of it cannot be used."""

import base64
import textwrap
import time

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs7 import (
    PKCS7SignatureBuilder,
    serialize_certificates,
)

from services.secrets.certificates import (
    CertificateMaterial,
    CertificateRefused,
    normal_form,
    read_certificate,
)
from tests.fakes.certificates import NOW, chain, issue, key_pem, pem_block, tlv

MADE = chain()
ALL = (MADE.leaf, MADE.intermediate, MADE.root)
TYPES = ("pkcs7", "p7b", "p7c")
SIGNED_DATA = "2a864886f70d010702"
FILE = serialize_certificates([issued.certificate for issued in ALL], Encoding.DER)


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def read(
    content: str, key: str | None = None, kind: str = "p7b", passphrase: str | None = None
) -> CertificateMaterial:
    return read_certificate(content, key, passphrase, kind, NOW)


def refused(content: str, key: str | None = None, kind: str = "p7b") -> CertificateRefused:
    with pytest.raises(CertificateRefused) as caught:
        read(content, key, kind)
    return caught.value


def codes(material: CertificateMaterial) -> list[str]:
    return [warning.code for warning in material.metadata.warnings]


def content_info(oid: str, content: bytes) -> bytes:
    return tlv(0x30, tlv(6, bytes.fromhex(oid)) + tlv(0xA0, content))


def signed_data(certificates: bytes | None, *, crls: bytes = b"", signers: bytes = b"") -> bytes:
    """SignedData of RFC 5652 section 5.1; `certificates` is the body of the SET, None to leave it out."""
    inner = tlv(2, b"\1") + tlv(0x31, b"") + tlv(0x30, tlv(6, bytes.fromhex("2a864886f70d010701")))
    inner += b"" if certificates is None else tlv(0xA0, certificates)
    inner += tlv(0xA1, crls) if crls else b""
    return content_info(SIGNED_DATA, tlv(0x30, inner + tlv(0x31, signers)))


def indefinite(tag: int, body: bytes) -> bytes:
    return bytes([tag, 0x80]) + body + b"\0\0"


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(
    "content",
    [
        base64_of(FILE),
        "\n".join(textwrap.wrap(base64_of(FILE), 64)),
        pem_block("PKCS7", FILE),
        pem_block("CMS", FILE).replace("\n", "\r\n"),
        pem_block("CERTIFICATE", FILE),
        pem_block("PKCS #7 SIGNED DATA", FILE),
        "subject=CN = example.com\n\n" + pem_block("PKCS7", FILE) + "\n",
        base64_of(FILE + b"\r\n"),
    ],
    ids=["base64", "lines", "pkcs7", "cms", "windows", "apple", "text", "padded"],
)
def test_every_shape_yields_the_chain_in_order(kind: str, content: str) -> None:
    material = read(content, kind=kind)
    assert material.certificate_type == kind
    assert material.content == content.encode()
    assert codes(material) == []
    form = normal_form.read(material.normal_form)
    assert form.certificate == MADE.leaf.pem
    assert form.chain == MADE.intermediate.pem + MADE.root.pem


def test_a_set_has_no_order_that_could_be_wrong() -> None:
    certificates = [issued.certificate for issued in (MADE.root, MADE.leaf, MADE.intermediate)]
    one_way = read(base64_of(serialize_certificates(certificates, Encoding.DER)))
    by_hand = read(base64_of(signed_data(MADE.root.der + MADE.intermediate.der + MADE.leaf.der)))
    for material in (one_way, by_hand):
        assert codes(material) == []
        assert normal_form.read(material.normal_form).certificate == MADE.leaf.pem


def test_the_key_comes_beside_and_must_fit() -> None:
    content = base64_of(FILE)
    assert read(content, MADE.leaf.key_pem).metadata.has_private_key
    locked = read(content, key_pem(MADE.leaf.key, "x"), passphrase="x")
    assert normal_form.read(locked.normal_form).private_key == MADE.leaf.key_pem
    inside = read(pem_block("PKCS7", FILE) + MADE.leaf.key_pem)
    assert normal_form.read(inside.normal_form).private_key == MADE.leaf.key_pem
    assert refused(content, issue().key_pem).reason == "key_mismatch"


def test_ber_is_read_and_said_to_be_ber() -> None:
    header = tlv(2, b"\1") + tlv(0x31, b"")
    data = indefinite(
        0x30, tlv(6, bytes.fromhex("2a864886f70d010701")) + indefinite(0xA0, b"\x24\x80\0\0")
    )
    certificates = indefinite(0xA0, b"".join(issued.der for issued in ALL))
    ber = indefinite(0x30, header + data + certificates + indefinite(0x31, b""))
    file = indefinite(0x30, tlv(6, bytes.fromhex(SIGNED_DATA)) + indefinite(0xA0, ber))
    for content in (base64_of(file), pem_block("PKCS7", file)):
        material = read(content)
        assert codes(material) == ["ber_encoding"]
        form = normal_form.read(material.normal_form)
        assert form.certificate + form.chain == "".join(issued.pem for issued in ALL)
    assert refused(base64_of(file[:-2])).reason == "malformed"


def test_a_signed_message_is_as_good_as_certs_only() -> None:
    builder = PKCS7SignatureBuilder().set_data(b"contract")
    assert isinstance(MADE.leaf.key, ec.EllipticCurvePrivateKey)
    signed = builder.add_signer(MADE.leaf.certificate, MADE.leaf.key, hashes.SHA256())
    file = signed.add_certificate(MADE.intermediate.certificate).sign(Encoding.DER, [])
    material = read(base64_of(file))
    assert material.metadata.chain_length == 2
    assert material.metadata.subject == "CN=example.com, O=Example Inc, C=US"


def test_what_else_stands_in_the_set_is_passed_over() -> None:
    extended = tlv(0xA0, b"\x02\x01\x00")
    attribute = tlv(0xA2, b"\x02\x01\x00")
    crl = tlv(0x30, b"")
    file = signed_data(extended + MADE.leaf.der + attribute + MADE.root.der, crls=crl)
    assert read(base64_of(file)).metadata.chain_length == 2


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(
    "file",
    [
        tlv(0x30, tlv(6, bytes.fromhex(SIGNED_DATA))),
        signed_data(None),
        signed_data(b""),
        signed_data(None, crls=tlv(0x30, b"")),
        signed_data(tlv(0xA2, b"\x02\x01\x00")),
        content_info("2a864886f70d010701", tlv(4, b"hello")),
        indefinite(
            0x30,
            tlv(6, bytes.fromhex(SIGNED_DATA)) + indefinite(0xA0, tlv(0x30, tlv(2, b"\1"))),
        ),
    ],
    ids=["no-content", "left-out", "empty", "crl-only", "attributes-only", "data", "ber"],
)
def test_a_file_without_any_certificate_is_called_empty(kind: str, file: bytes) -> None:
    refusal = refused(base64_of(file), kind=kind)
    assert (refusal.field, refusal.reason) == ("certificate_content", "no_certificate")
    assert "empty" in refusal.message
    assert refused(pem_block("PKCS7", file), kind=kind).reason == "no_certificate"


@pytest.mark.parametrize(
    ("oid", "named"),
    [
        ("2a864886f70d010703", "envelopedData"),
        ("2a864886f70d010704", "signedAndEnvelopedData"),
        ("2a864886f70d010706", "encryptedData"),
        ("2a864886f70d0109100117", "authEnvelopedData"),
        ("2a864886f70d010763", "1.2.840.113549.1.7.99"),
    ],
)
def test_other_content_types_are_named(oid: str, named: str) -> None:
    refusal = refused(base64_of(content_info(oid, tlv(0x30, tlv(2, b"\0")))))
    assert (refusal.field, refusal.reason) == ("certificate_content", "unsupported_algorithm")
    assert named in refusal.message


@pytest.mark.parametrize(
    "file",
    [
        FILE[:-1],
        FILE[:40],
        FILE + b"\1",
        FILE + FILE,
        content_info(SIGNED_DATA, b""),
        content_info(SIGNED_DATA, tlv(4, b"x")),
        content_info(SIGNED_DATA, tlv(0x30, b"") + tlv(0x30, b"")),
        tlv(0x30, tlv(6, bytes.fromhex(SIGNED_DATA)) + tlv(0x30, tlv(0x30, b""))),
        tlv(0x30, tlv(0x0C, b"x")),
    ],
)
def test_a_damaged_file_is_malformed(file: bytes) -> None:
    assert refused(base64_of(file)).reason == "malformed"


def test_a_label_that_promises_pkcs7_over_something_unknown_is_damage() -> None:
    for inside in (b"hello", FILE[1:], tlv(0x30, b"")):
        assert refused(pem_block("PKCS7", inside)).reason == "malformed"
    assert refused(pem_block("PKCS7", FILE).replace("M", "*", 1)).reason == "invalid_base64"


def test_thousands_of_blocks_are_refused_in_linear_time() -> None:
    began = time.process_time()
    refused(pem_block("PKCS7", b"\0\0\0") * 10_000)
    assert time.process_time() - began < 2


def test_a_damaged_certificate_is_counted() -> None:
    refusal = refused(base64_of(signed_data(MADE.leaf.der + tlv(0x30, b"\x02\x01\x05"))))
    assert refusal.reason == "malformed"
    assert "Certificate 2 of 2" in refusal.message


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (MADE.leaf.pem, "'pem'"),
        (pem_block("PKCS7", FILE) + MADE.leaf.pem, "'pem'"),
        (base64_of(MADE.leaf.der), "'crt'"),
        (pem_block("PKCS7", MADE.leaf.der), "'crt'"),
        (base64_of(tlv(0x30, b"\x02\x01\x03" + tlv(0x30, b""))), "'pfx'"),
        (MADE.leaf.key_pem, "'key'"),
        (pem_block("CERTIFICATE REQUEST", b"0\0"), "signing request"),
        (base64_of(b"PK\x03\x04...."), "ZIP"),
        ("example.p7b", "name of a file"),
    ],
)
def test_another_kind_is_named(content: str, said: str) -> None:
    refusal = refused(content, kind="pkcs7")
    assert (refusal.field, refusal.reason) == ("certificate_content", "not_this_format")
    assert said in refusal.message


def test_the_number_of_certificates_is_bounded() -> None:
    assert read(base64_of(signed_data(MADE.leaf.der * 100))).metadata.chain_length == 100
    over = refused(base64_of(signed_data(MADE.leaf.der * 101)))
    assert (over.field, over.reason) == ("certificate_content", None)
    assert "at most 100" in over.message


def test_a_deeply_nested_file_is_refused_without_recursion() -> None:
    deep = b"\x30\x80" * 100_000
    file = b"\x30\x80" + tlv(6, bytes.fromhex(SIGNED_DATA)) + b"\xa0\x80" + deep
    assert refused(base64_of(file)).reason == "malformed"
