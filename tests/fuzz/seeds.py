"""Inputs to start from: sound ones of every type and shape, small and cheap to open."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs7,
    pkcs12,
)

from tests.fakes.certificates import Issued, chain, encrypted_pem, issue, rsa_key, tlv
from tests.fuzz.case import Case

MAX_BYTES: Final = 30_000
"""Of a case: with small ones there are more tries in a second."""
_MEMBERS: Final = ("certificate_content", "private_key")
_VECTORS: Final = Path(__file__).resolve().parent.parent / "vectors" / "certificates"
PASSPHRASE: Final = "open sesame"
_DATA: Final = tlv(6, bytes.fromhex("2a864886f70d010701"))
_BAG: Final = "2a864886f70d010c0a01"
_X509: Final = tlv(6, bytes.fromhex("2a864886f70d01091601"))


def corpus() -> list[Case]:
    """The cases of tests/vectors/certificates that are not long, in the order of their names."""
    found: list[Case] = []
    for manifest in sorted(_VECTORS.glob("*.json")):
        family = json.loads(manifest.read_text(encoding="ascii"))
        for entry in family["cases"]:
            content, key = (_text(entry.get(name), family["texts"]) for name in _MEMBERS)
            passphrase = entry.get("passphrase")
            found.append(Case(entry["certificate_type"], content or "", key, passphrase))
    return [case for case in found if len(case.to_bytes()) < MAX_BYTES]


def _text(value: Any, shared: list[Any]) -> str | None:
    """A text: as it is, packed, or joined of such that several cases have."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return _text(shared[value], shared)
    if "zlib" in value:
        return zlib.decompress(base64.b64decode(value["zlib"])).decode()
    return "".join(_text(piece, shared) or "" for piece in value["texts"])


def fresh() -> list[Case]:
    """One of each shape: the same at every call, but with new keys."""
    made = chain()
    leaf = made.leaf
    whole = leaf.pem + made.intermediate.pem + made.root.pem
    other = issue(
        key=rsa_key(1024), dns=["a.example", "*.b.example"], ips=["192.0.2.1", "2001:db8::1"]
    )
    sealed = encrypted_pem(leaf.key, PASSPHRASE, rounds=10)
    return [
        Case("pem", whole, leaf.key_pem),
        Case("pem", "Subject: CN = x\r\n" + (leaf.pem + leaf.key_pem).replace("\n", "\r\n")),
        Case("pem", leaf.pem, sealed, PASSPHRASE),
        Case("pem", other.pem + other.key_pem),
        Case("pem", other.pem, _traditional(other), PASSPHRASE),
        Case("pem", issue(key=ed25519.Ed25519PrivateKey.generate()).pem),
        Case("crt", _base64(leaf.der)),
        Case("cer", "data:application/pkix-cert;base64," + _base64(other.der), other.key_pem),
        *(
            Case("key", key, None, PASSPHRASE if "ENCRYPTED" in key else None)
            for key in _keys(leaf, sealed)
        ),
        *_pkcs7(made.root, leaf),
        *_pkcs12(made.intermediate, leaf),
    ]


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _traditional(issued: Issued) -> str:
    kind, sealing = PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(PASSPHRASE.encode())
    return issued.key.private_bytes(Encoding.PEM, kind, sealing).decode()


def _keys(leaf: Issued, sealed: str) -> list[str]:
    kinds = (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL)
    plain: list[str] = []
    pairs = [
        (leaf.key, kinds),
        (rsa_key(1024), kinds),
        (dsa.generate_private_key(1024), kinds),
        (ec.generate_private_key(ec.BrainpoolP256R1()), kinds),
        (ed25519.Ed25519PrivateKey.generate(), kinds[:1]),
        (ed448.Ed448PrivateKey.generate(), kinds[:1]),
        (x25519.X25519PrivateKey.generate(), kinds[:1]),
    ]
    for key, formats in pairs:
        plain += [
            key.private_bytes(Encoding.PEM, kind, NoEncryption()).decode() for kind in formats
        ]
    der = rsa_key(1024).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return [*plain, sealed, _base64(der)]


def _pkcs7(root: Issued, leaf: Issued) -> list[Case]:
    both = [leaf.certificate, root.certificate]
    text = pkcs7.serialize_certificates(both, Encoding.PEM).decode()
    der = pkcs7.serialize_certificates(both, Encoding.DER)
    signed = (
        pkcs7.PKCS7SignatureBuilder()
        .set_data(b"x")
        .add_signer(leaf.certificate, leaf.key, hashes.SHA256())  # type: ignore[arg-type]
        .sign(Encoding.DER, [])
    )
    return [
        Case("pkcs7", text, leaf.key_pem),
        Case("p7b", _base64(der)),
        Case("p7c", _base64(signed)),
    ]


def _pkcs12(issuer: Issued, leaf: Issued) -> list[Case]:
    cases = [Case("p12", _base64(_bare_pkcs12(leaf, issuer)))]
    modern = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(10).hmac_hash(hashes.SHA256())
    old = modern.key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
    for builder, passphrase in ((modern, PASSPHRASE), (old, PASSPHRASE), (old, "пароль")):
        data = pkcs12.serialize_key_and_certificates(
            b"friendly",
            _key(leaf),
            leaf.certificate,
            [issuer.certificate],
            builder.build(passphrase.encode()),
        )
        cases.append(Case("pfx", _base64(data), None, passphrase))
    return cases


def _key(issued: Issued) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    assert not isinstance(issued.key, ed25519.Ed25519PrivateKey)
    return issued.key


def _bare_pkcs12(leaf: Issued, issuer: Issued) -> bytes:
    """RFC 7292 without a MAC and with nothing encrypted: changes inside are not found out by either."""
    key = leaf.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    name = tlv(0x31, tlv(0x1E, "naïve".encode("utf-16-be")))
    friendly = tlv(0x30, tlv(6, bytes.fromhex("2a864886f70d010914")) + name)
    bags = _bag("01", key, friendly)
    for issued in (leaf, issuer):
        certificate = tlv(0x30, _X509 + tlv(0xA0, tlv(4, issued.der)))
        bags += _bag("03", certificate, friendly)
    bags += _bag("06", tlv(0x30, _bag("03", tlv(0x30, _X509 + tlv(0xA0, tlv(4, issuer.der))))))
    safe = tlv(0x30, tlv(0x30, _DATA + tlv(0xA0, tlv(4, tlv(0x30, bags)))))
    return tlv(0x30, tlv(2, b"\3") + tlv(0x30, _DATA + tlv(0xA0, tlv(4, safe))))


def _bag(kind: str, value: bytes, attributes: bytes = b"") -> bytes:
    described = tlv(0x31, attributes) if attributes else b""
    return tlv(0x30, tlv(6, bytes.fromhex(_BAG + kind)) + tlv(0xA0, value) + described)
