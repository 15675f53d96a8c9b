"""Whatever was sent by mistake is called by its name, and nothing of it is repeated."""

import base64

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.hazmat.primitives.serialization.pkcs7 import serialize_certificates

from services.secrets.certificates import CertificateRefused, read_certificate
from services.secrets.certificates.encodings.looks_like import (
    NOTHING_KNOWN,
    guess_bytes,
    kind_of,
    looks_like,
)
from services.secrets.certificates.encodings.outline import shape_of
from tests.fakes.certificates import NOW, ec_key, issue, pem_block, rsa_key, tlv

LEAF = issue(ca=True)
KEY = LEAF.key
PLAIN = NoEncryption()
OID = tlv(6, bytes.fromhex("2a864886f70d010702"))
PFX = tlv(0x30, b"\x02\x01\x03" + tlv(0x30, OID))
PKCS7 = serialize_certificates([LEAF.certificate], Encoding.DER)
PKCS8 = KEY.private_bytes(Encoding.DER, PrivateFormat.PKCS8, PLAIN)
SEC1 = KEY.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, PLAIN)
LOCKED = KEY.private_bytes(Encoding.DER, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
PKCS1 = rsa_key().private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, PLAIN)
RSA_PUBLIC = rsa_key().public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
PUBLIC = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
NO_NAME = x509.Name([])
REQUEST = (
    x509.CertificateSigningRequestBuilder()
    .subject_name(LEAF.certificate.subject)
    .sign(ec_key(), hashes.SHA256())
    .public_bytes(Encoding.DER)
)
NAMELESS_REQUEST = (
    x509.CertificateSigningRequestBuilder()
    .subject_name(NO_NAME)
    .sign(ec_key(), hashes.SHA256())
    .public_bytes(Encoding.DER)
)
CRL = (
    x509.CertificateRevocationListBuilder()
    .issuer_name(LEAF.certificate.subject)
    .last_update(NOW)
    .next_update(NOW.replace(year=2027))
    .sign(ec_key(), hashes.SHA256())
    .public_bytes(Encoding.DER)
)


DSA = tlv(0x30, b"".join(tlv(2, bytes([number])) for number in (0, 11, 5, 4, 7, 3)))


def indefinite(tag: int, body: bytes) -> bytes:
    return bytes([tag, 0x80]) + body + b"\0\0"


def signed(*members: bytes) -> bytes:
    """X.509 SIGNED of a body with those members."""
    return tlv(0x30, tlv(0x30, b"".join(members)) + tlv(0x30, tlv(6, b"\x2a\x03")) + tlv(3, b"\0x"))


FIRST_VERSION = signed(
    tlv(2, b"\x05"), tlv(0x30, tlv(6, b"\x2a\x03")), tlv(0x30, b""), tlv(0x30, b"")
)


@pytest.mark.parametrize(
    ("data", "shape"),
    [
        (LEAF.der, "certificate"),
        (LEAF.der[:30], "certificate"),
        (indefinite(0x30, LEAF.der[4:]), "certificate"),
        (FIRST_VERSION, "certificate"),
        (tlv(0x30, LEAF.der + LEAF.der), "certificate path"),
        (REQUEST, "certificate request"),
        (NAMELESS_REQUEST, "certificate request"),
        (CRL, "certificate revocation list"),
        (CRL[:90], "certificate revocation list"),
        (signed(b"\x02\x01\x01", tlv(0x30, b""), tlv(0xA0, b"")), "attribute certificate"),
        (PKCS7, "pkcs7"),
        (PKCS7[:40], "pkcs7"),
        (indefinite(0x30, OID + indefinite(0xA0, b"")), "pkcs7"),
        (b"\x30\x84\0\0\0" + PKCS7[3:], "pkcs7"),
        (PFX, "pkcs12"),
        (PFX[:-2], "pkcs12"),
        (indefinite(0x30, b"\x02\x01\x03" + indefinite(0x30, OID)), "pkcs12"),
        (PKCS8, "private key"),
        (PKCS8[:40], "private key"),
        (SEC1, "private key"),
        (PKCS1, "private key"),
        (PKCS1[:100], "private key"),
        (DSA, "private key"),
        (LOCKED, "encrypted private key"),
        (PUBLIC, "public key"),
        (RSA_PUBLIC, "public key"),
        (b"\xfe\xed\xfe\xed\0\0\0\2", "jks"),
        (b"\xce\xce\xce\xce\0\0\0\2", "jceks"),
        (b"\0\0\0\2\0\0\0\x14salt", "bks"),
        (tlv(0x30, tlv(0x30, tlv(0x30, OID) + tlv(4, b"x")) + tlv(0x30, b"")), "bcfks"),
        (b"\0\0\0\0CERT", "sst"),
        (b"\x1e\xf1\xb5\xb0", "pvk"),
        (b"\x07\x02\0\0\0\xa4\0\0RSA2", "privatekeyblob"),
        (b"\x07\x02\0\0\0\x24\0\0RSA2", "privatekeyblob"),
        (b"\x07\x02\0\0\0\x22\0\0DSS2", "privatekeyblob"),
        (tlv(0x30, tlv(6, bytes.fromhex("6086480186f8420205"))), "netscape certificate sequence"),
        (b"PK\x03\x04....", "zip"),
        (b"\x1f\x8b\x08\0", "gzip"),
        (b"%PDF-1.7", "pdf"),
        (b"", None),
        (b"\x30", None),
        (b"\x30\0", None),
        (b"hello", None),
        (tlv(0x30, tlv(2, b"\1")), None),
        (tlv(0x30, tlv(6, b"\x2a\x03")), None),
        (tlv(0x30, tlv(6, b"")), None),
        (tlv(0x30, tlv(0x0C, b"hello")), None),
        (tlv(0x31, b""), None),
        (b"\x30\xff" + b"\xff" * 300, None),
    ],
)
def test_bytes_are_told_by_their_outline(data: bytes, shape: str | None) -> None:
    assert shape_of(data) == shape
    if shape is not None:
        assert guess_bytes(data).phrase != NOTHING_KNOWN


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (pem_block("PGP PRIVATE KEY BLOCK", b"x"), "OpenPGP"),
        (pem_block("PGP MESSAGE", b"x"), "OpenPGP"),
        (pem_block("OPENSSH PRIVATE KEY", b"x"), "ssh-keygen"),
        (pem_block("NEW CERTIFICATE REQUEST", b"x"), "signing request"),
        (pem_block("RSA PUBLIC KEY", b"x"), "public key"),
        (pem_block("PUBLIC KEY", b"x"), "public key"),
        (pem_block("X509 CRL", b"x"), "revocation list"),
        (pem_block("ATTRIBUTE CERTIFICATE", b"x"), "attribute certificate"),
        (pem_block("OpenVPN Static key V1", b"x"), "OpenVPN"),
        (pem_block("AGE ENCRYPTED FILE", b"x"), "age"),
        (pem_block("RSA PRIVATE KEY", b"x"), "certificate_type 'key'"),
        (pem_block("CERTIFICATE", PFX), "certificate_type 'pfx'"),
        (pem_block("CERTIFICATE", PKCS8), "private key"),
        ("ssh-rsa AAAAB3NzaC1yc2E= me@here", "OpenSSH public key"),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5", "OpenSSH public key"),
        ("ssh-ed25519-cert-v01@openssh.com AAAA me", "OpenSSH public key"),
        ("sk-ssh-ed25519@openssh.com AAAA", "OpenSSH public key"),
        ("---- BEGIN SSH2 PUBLIC KEY ----\nAAAA", "OpenSSH public key"),
        ("---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nAAAA", "SSH private key"),
        ("PuTTY-User-Key-File-3: ssh-rsa\nEncryption: none", "puttygen"),
        ("AGE-SECRET-KEY-1QQQ", "age"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc", "JSON Web Token"),
        ("\n <html><body>403</body></html>", "HTML"),
        ('<?xml version="1.0"?>', "XML"),
        ('{"kty": "EC"}', "JSON"),
        ('["' + "A" * 100 + '"]', "JSON"),
        ("apiVersion: v1\nkind: Secret\n", "Kubernetes"),
        ("Certificate:\n    Data:\n        Version: 3 (0x2)\n", "printed"),
        ("sha256 Fingerprint=AA:BB", "fingerprint"),
        ("MIME-Version: 1.0\nContent-Type: application/pkcs7-mime\n", "e-mail"),
        ("https://example.com/cert.pem", "address"),
        ("arn:aws:acm:eu-west-1:1:certificate/1", "address"),
        ("/etc/ssl/certs/example.pem", "name of a file"),
        (r"C:\certs\example.PFX", "name of a file"),
        (LEAF.der.hex(), "hexadecimal"),
        (LEAF.der.hex(":").upper(), "hexadecimal"),
        (base64.b64encode(REQUEST).decode(), "signing request"),
        (base64.b64encode(b"<html></html>").decode(), "HTML"),
        ("hunter2 hunter2!", NOTHING_KNOWN),
        (base64.b64encode(b"\xff" * 50).decode(), NOTHING_KNOWN),
    ],
)
@pytest.mark.parametrize("certificate_type", ["pem", "cer", "p7c"])
def test_what_people_paste_by_mistake_is_named(
    content: str, said: str, certificate_type: str
) -> None:
    with pytest.raises(CertificateRefused) as caught:
        read_certificate(content, None, None, certificate_type, NOW)
    refusal = caught.value
    assert (refusal.field, refusal.reason) == ("certificate_content", "not_this_format")
    assert said in refusal.message


CANARY = "correct-horse-battery-staple"


@pytest.mark.parametrize(
    "content",
    [
        CANARY,
        f"{CANARY}.pem",
        f"-----BEGIN {CANARY}-----\nAAAA\n-----END {CANARY}-----",
        f"-----BEGIN {CANARY}-----\nAAAA",
        f"-----BEGIN CERTIFICATE----- {CANARY}",
        f"data:{CANARY};base64,{CANARY}",
        f'{{"password": "{CANARY}"}}',
        f"ssh-rsa {CANARY}",
        f"https://{CANARY}.example",
    ],
)
@pytest.mark.parametrize("certificate_type", ["pem", "crt", "pkcs7"])
def test_no_refusal_repeats_what_was_sent(content: str, certificate_type: str) -> None:
    with pytest.raises(CertificateRefused) as caught:
        read_certificate(content, None, None, certificate_type, NOW)
    assert CANARY not in caught.value.message
    assert "horse" not in repr(caught.value)
    assert "horse" not in looks_like(content, [])


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (LEAF.pem.encode(), "pem"),
        (LEAF.pem.encode("utf-16"), "pem"),
        (LEAF.key_pem.encode() + LEAF.pem.encode(), "pem"),
        (pem_block("TRUSTED CERTIFICATE", LEAF.der).encode(), "pem"),
        (LEAF.pem[:-20].encode(), "pem"),
        (LEAF.der, "crt"),
        (base64.encodebytes(LEAF.der), "crt"),
        (PKCS7, "pkcs7"),
        (pem_block("PKCS7", PKCS7).encode(), "pkcs7"),
        (pem_block("CERTIFICATE", PKCS7).encode(), "pkcs7"),
        (PFX, "pfx"),
        (pem_block("PKCS12", PFX).encode(), "pfx"),
        (LEAF.key_pem.encode(), "key"),
        (LEAF.key_pem[:-20].encode(), "key"),
        (pem_block("EC PARAMETERS", b"x").encode() + LEAF.key_pem.encode(), "key"),
        (PKCS8, "key"),
        (LOCKED, "key"),
        (REQUEST, None),
        (pem_block("CERTIFICATE REQUEST", REQUEST).encode(), None),
        (pem_block("OPENSSH PRIVATE KEY", b"x").encode(), None),
        (b"\xfe\xed\xfe\xed\0\0\0\2", None),
        (b"hello, world", None),
        (b"", None),
        (b"\xff\xfe", None),
    ],
)
def test_the_type_of_a_whole_file_is_guessed(data: bytes, kind: str | None) -> None:
    assert kind_of(data) == kind
