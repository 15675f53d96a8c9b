"""What was sent instead of what was declared, so that the refusal can say how to send it.

A guess for people, from the first bytes and the outer structure; nothing is accepted because of it.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Final

from services.secrets.certificates.encodings import der
from services.secrets.certificates.encodings.armor import PemBlock

NOTHING_KNOWN: Final = "nothing Coffer recognises"

_LABELS: Final = {
    "PKCS7": "PKCS#7 in PEM (certificate_type 'pkcs7')",
    "CMS": "PKCS#7 in PEM (certificate_type 'pkcs7')",
    "CERTIFICATE REQUEST": "a certificate signing request (send the certificate that the CA issued)",
    "NEW CERTIFICATE REQUEST": (
        "a certificate signing request (send the certificate that the CA issued)"
    ),
    "PUBLIC KEY": "a public key",
    "RSA PUBLIC KEY": "a public key",
    "OPENSSH PRIVATE KEY": (
        "an OpenSSH private key (convert it with 'ssh-keygen -p -m PEM -f <file>')"
    ),
    "TRUSTED CERTIFICATE": (
        "an OpenSSL TRUSTED CERTIFICATE (convert it with 'openssl x509 -in <file>')"
    ),
    "X509 CRL": "a certificate revocation list",
    "PGP PRIVATE KEY BLOCK": "a PGP key",
    "PGP PUBLIC KEY BLOCK": "a PGP key",
    "CERTIFICATE": "a certificate",
    "X509 CERTIFICATE": "a certificate",
    "PRIVATE KEY": "a private key alone (it belongs in 'private_key')",
}
_TEXT_STARTS: Final = (
    (("<",), "an HTML or XML page"),
    (("{", "["), "JSON"),
    (("ssh-", "ecdsa-sha2-"), "an OpenSSH public key"),
    (("PuTTY-User-Key-File",), "a PuTTY key file"),
)
_MAGIC: Final = (
    (b"\xfe\xed\xfe\xed", "base64 of a Java keystore (JKS)"),
    (b"\xce\xce\xce\xce", "base64 of a Java keystore (JCEKS)"),
    (b"PK\x03\x04", "base64 of a ZIP archive"),
)
_FILE_NAME: Final = re.compile(
    r"[\w@~.:/\\ -]{1,1024}\.(?:pem|crt|cer|key|p7b|p7c|pfx|p12|der|jks)"
)
_PKCS7_OIDS: Final = "1.2.840.113549.1.7."
_PKCS7_PREFIX: Final = bytes.fromhex("2a864886f70d0107")
_BER_SEQUENCE: Final = b"\x30\x80"
_PKCS12_VERSION: Final = 3
_PKCS1_MEMBERS: Final = 9
_TAGGED_VERSION: Final = 0xA0


def looks_like(text: str, blocks: Sequence[PemBlock]) -> str:
    """A phrase that completes "it looks like ..."; never a piece of the text itself."""
    for block in blocks:
        if block.label in _LABELS:
            return _LABELS[block.label]
        if block.is_private_key:
            return _LABELS["PRIVATE KEY"]
    start = text.lstrip("\ufeff \t\r\n")
    for beginnings, phrase in _TEXT_STARTS:
        if start.startswith(beginnings):
            return phrase
    if _FILE_NAME.fullmatch(start.rstrip()):
        return "the name of a file (send what is in it)"
    return _base64_of(start)


def _base64_of(text: str) -> str:
    try:
        data = base64.b64decode("".join(text.split()).encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return NOTHING_KNOWN
    for magic, phrase in _MAGIC:
        if data.startswith(magic):
            return phrase
    if b"-----BEGIN " in data:
        return "base64 of PEM text (send the PEM text itself)"
    return looks_like_der(data)


def looks_like_der(data: bytes) -> str:
    """The same for bytes that may be one DER or BER structure."""
    if data.startswith(_BER_SEQUENCE) and _PKCS7_PREFIX in data[:64]:
        return "base64 of PKCS#7 or PKCS#12"
    try:
        return _structure(der.sequence(data))
    except (ValueError, IndexError):
        return NOTHING_KNOWN


def _structure(members: list[der.Element]) -> str:
    first, rest = members[0], members[1:]
    if first.tag == der.OBJECT_IDENTIFIER:
        return "base64 of PKCS#7" if first.oid().startswith(_PKCS7_OIDS) else NOTHING_KNOWN
    if first.tag == der.INTEGER:
        return _numbered(first.integer(), rest)
    tags = [element.tag for element in members]
    if tags == [der.SEQUENCE, der.SEQUENCE, der.BIT_STRING]:
        return _signed(first.children())
    if tags == [der.SEQUENCE, der.OCTET_STRING]:
        return "base64 of an encrypted DER private key"
    if tags == [der.SEQUENCE, der.BIT_STRING]:
        return "base64 of a DER public key"
    return NOTHING_KNOWN


def _numbered(version: int, rest: list[der.Element]) -> str:
    if version == _PKCS12_VERSION and rest[0].tag == der.SEQUENCE:
        return "base64 of PKCS#12 (certificate_type 'pfx' or 'p12')"
    is_key = rest[0].tag in (der.SEQUENCE, der.OCTET_STRING) or len(rest) >= _PKCS1_MEMBERS - 1
    return "base64 of a DER private key" if is_key else NOTHING_KNOWN


def _signed(body: list[der.Element]) -> str:
    """A certificate, its request and its revocation list have the same outside (X.509 SIGNED)."""
    if body[0].tag == der.INTEGER and len(body) > 1 and body[-1].tag == _TAGGED_VERSION:
        return "base64 of a DER certificate signing request"
    if body[0].tag in (_TAGGED_VERSION, der.INTEGER):
        return "base64 of a DER certificate (certificate_type 'crt' or 'cer')"
    return NOTHING_KNOWN
