"""What was sent instead of what was declared, so that the refusal can say how to send it.

A guess for people; nothing is accepted because of it, and no phrase holds a piece of what was sent.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from services.secrets.certificates.encodings.armor import PemBlock, PemFault, scan
from services.secrets.certificates.encodings.outline import Shape, shape_of
from services.secrets.certificates.encodings.transfer import Opened, open_file

NOTHING_KNOWN: Final = "nothing Coffer recognises"

Kind = Literal["pem", "crt", "pfx", "pkcs7", "key"]
"""One certificate_type for each kind of file that can be stored."""


@dataclass(frozen=True, slots=True)
class Guess:
    """`phrase` completes "it looks like ..."; `kind` is None for what cannot be stored as it is."""

    phrase: str
    kind: Kind | None = None


_NOTHING: Final = Guess(NOTHING_KNOWN)
_PKCS7: Final = Guess("PKCS#7 (certificate_type 'pkcs7', 'p7b' or 'p7c')", "pkcs7")
_PKCS12: Final = Guess("PKCS#12 (certificate_type 'pfx' or 'p12')", "pfx")
_KEY: Final = Guess(
    "a private key alone (certificate_type 'key'; beside its certificate it goes into 'private_key')",
    "key",
)
_REQUEST: Final = Guess(
    "a certificate signing request (send the certificate that the CA issued for it)"
)
_CRL: Final = Guess("a certificate revocation list (send the certificate)")
_PUBLIC: Final = Guess("a public key (send the certificate that holds it)")
_PGP: Final = Guess("an OpenPGP key or message, which is no X.509 certificate")
_ATTRIBUTES: Final = Guess("an attribute certificate, which certifies no key")
_SSH_PUBLIC: Final = Guess("an OpenSSH public key or certificate, which is no X.509 certificate")

_LABELS: Final = {
    "CERTIFICATE": Guess("a certificate in PEM (certificate_type 'pem')", "pem"),
    "X509 CERTIFICATE": Guess("a certificate in PEM (certificate_type 'pem')", "pem"),
    "TRUSTED CERTIFICATE": Guess("a certificate in PEM (certificate_type 'pem')", "pem"),
    "PKCS7": _PKCS7,
    "CMS": _PKCS7,
    "PKCS #7 SIGNED DATA": _PKCS7,
    "PKCS12": _PKCS12,
    "CERTIFICATE REQUEST": _REQUEST,
    "NEW CERTIFICATE REQUEST": _REQUEST,
    "PUBLIC KEY": _PUBLIC,
    "RSA PUBLIC KEY": _PUBLIC,
    "DSA PUBLIC KEY": _PUBLIC,
    "EC PUBLIC KEY": _PUBLIC,
    "OPENSSH PRIVATE KEY": Guess(
        "an OpenSSH private key (RSA or ECDSA: convert a copy with 'ssh-keygen -p -m PKCS8 -f <copy>', "
        "which leaves Ed25519 as it is)"
    ),
    "X509 CRL": _CRL,
    "ATTRIBUTE CERTIFICATE": _ATTRIBUTES,
    "OpenVPN Static key V1": Guess("an OpenVPN static key, which is no certificate"),
    "AGE ENCRYPTED FILE": Guess("a file encrypted with age (decrypt it first)"),
}
_PGP_PREFIX: Final = "PGP "

_SHAPES: Final[dict[Shape | None, Guess]] = {
    "certificate": Guess("a DER certificate (certificate_type 'crt' or 'cer')", "crt"),
    "certificate path": Guess(
        "several DER certificates in a PkiPath (send them as PEM, or as PKCS#7)"
    ),
    "certificate request": _REQUEST,
    "certificate revocation list": _CRL,
    "attribute certificate": _ATTRIBUTES,
    "pkcs7": _PKCS7,
    "pkcs12": _PKCS12,
    "private key": _KEY,
    "encrypted private key": Guess(
        "an encrypted private key alone (certificate_type 'key'; beside its certificate it goes "
        "into 'private_key')",
        "key",
    ),
    "public key": _PUBLIC,
    "jks": Guess(
        "a Java keystore (JKS; convert it with 'keytool -importkeystore -srckeystore <file> "
        "-destkeystore <new file> -deststoretype PKCS12')"
    ),
    "jceks": Guess(
        "a Java keystore (JCEKS; convert it with 'keytool -importkeystore -srckeystore <file> "
        "-srcstoretype JCEKS -destkeystore <new file> -deststoretype PKCS12')"
    ),
    "bks": Guess(
        "a Bouncy Castle keystore (BKS; convert it with 'keytool -importkeystore' to PKCS12)"
    ),
    "bcfks": Guess(
        "a Bouncy Castle keystore (BCFKS; convert it with 'keytool -importkeystore' to PKCS12)"
    ),
    "sst": Guess("a Windows certificate store (SST; export the certificate as .pfx or .p7b)"),
    "pvk": Guess(
        "a Windows private key (PVK; convert it with 'openssl rsa -inform PVK -in <file>')"
    ),
    "privatekeyblob": Guess(
        "a Windows private key (PRIVATEKEYBLOB; convert it with 'openssl pkey -in <file>')"
    ),
    "netscape certificate sequence": Guess(
        "a Netscape certificate sequence (send the certificates in it: its PEM form is taken apart by "
        "'openssl nseq -in <file>')"
    ),
    "zip": Guess("a ZIP archive (unpack it and send the certificate)"),
    "gzip": Guess("a gzip archive (unpack it and send the certificate)"),
    "pdf": Guess("a PDF document"),
}
_TEXTS: Final = (
    (("<",), Guess("an HTML or XML page (the download was perhaps refused)")),
    (("{", "["), Guess("JSON (send the certificate that is in it)")),
    (("ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"), _SSH_PUBLIC),
    (("---- BEGIN SSH2 PUBLIC",), _SSH_PUBLIC),
    (("---- BEGIN SSH2",), Guess("an SSH private key (convert it with 'ssh-keygen -i -f <file>')")),
    (
        ("PuTTY-User-Key-File",),
        Guess(
            "a PuTTY key file (RSA or ECDSA: convert it with 'puttygen <file> -O private-openssh -o "
            "<new file>')"
        ),
    ),
    (("AGE-SECRET-KEY-",), Guess("a key of age, which is no certificate key")),
    (("eyJ",), Guess("a JSON Web Token")),
    (("apiVersion:", "kind:"), Guess("a Kubernetes manifest (send the certificate that is in it)")),
    (
        ("Certificate:", "Private-Key:", "RSA Private-Key:"),
        Guess("a description that 'openssl -text' printed (send the certificate itself)"),
    ),
    (
        ("SHA256 Fingerprint", "sha256 Fingerprint", "SHA1 Fingerprint", "sha1 Fingerprint"),
        Guess("a certificate's fingerprint (send the certificate itself)"),
    ),
    (
        ("MIME-Version:", "Content-Type:"),
        Guess("an e-mail part (send the certificate file that is attached)"),
    ),
    (
        ("http://", "https://", "ftp://", "file://", "s3://", "gs://", "arn:", "pkcs11:"),
        Guess("an address (send what is there, not where it is)"),
    ),
)
_FILE_NAME: Final = re.compile(
    r"[\w@~.:/\\$%{}() -]{1,1024}\.(?:pem|crt|cer|cert|key|der|p7b|p7c|p7s|pfx|p12|jks|txt)",
    re.IGNORECASE,
)
_HEXADECIMAL: Final = re.compile(r"(?:[0-9A-Fa-f]{2}[:\s]*){16,}")
_BEGIN: Final = re.compile(r"-----BEGIN ([A-Z0-9 #]{1,40})-----")


def looks_like(text: str, blocks: Sequence[PemBlock]) -> str:
    """A phrase that completes "it looks like ..."; never a piece of the text itself.

    `blocks` are those of the text, or the ones among them that the phrase should be about.
    """
    return guess_text(text, blocks).phrase


def guess_bytes(data: bytes) -> Guess:
    """What a binary file is."""
    return _SHAPES.get(shape_of(data), _NOTHING)


def guess_text(text: str, blocks: Sequence[PemBlock]) -> Guess:
    """What a text is: by the first block that has a name, else by how it begins."""
    for block in blocks:
        if (guess := _guess_block(block)) is not _NOTHING:
            return guess
    start = text.lstrip()
    for beginnings, guess in _TEXTS:
        if start.startswith(beginnings):
            return guess
    if _FILE_NAME.fullmatch(start.rstrip()):
        return Guess("the name of a file (send what is in it)")
    if _HEXADECIMAL.fullmatch(start):
        return Guess("hexadecimal digits (send the file itself, or base64 of it)")
    return _NOTHING


def kind_of(data: bytes) -> Kind | None:
    """Which certificate_type the bytes of a file probably are; None for what cannot be stored.

    Text, base64 and binary files alike. A certificate outranks what stands beside it in a PEM file. Never
    raises anything, and promises nothing: the reader of that type may still refuse the file.
    """
    opened = open_file(data)
    if opened.text is None:
        return guess_bytes(opened.data or b"").kind
    try:
        kinds = {_guess_block(block).kind for block in scan(opened.text)}
    except PemFault:  # a file with a damaged block still is what its first line says
        kinds = {
            _LABELS[label].kind if label in _LABELS else "key" if "PRIVATE KEY" in label else None
            for label in _BEGIN.findall(opened.text)
        }
    order: tuple[Kind, ...] = ("pem", "pkcs7", "pfx", "key")
    return next((kind for kind in order if kind in kinds), None)


def guess_opened(opened: Opened, blocks: Sequence[PemBlock] = ()) -> Guess:
    """What came out of the transfer coat; `blocks` are those of a text."""
    if opened.data is not None:
        return guess_bytes(opened.data)
    return guess_text(opened.text or "", blocks)


def _guess_block(block: PemBlock) -> Guess:
    if block.is_private_key:
        return _KEY
    if block.label.startswith(_PGP_PREFIX):
        return _PGP
    guess = _LABELS.get(block.label, _NOTHING)
    if block.is_certificate:
        return _SHAPES.get(_mislabelled(block), guess)
    return guess


def _mislabelled(block: PemBlock) -> Shape | None:
    """What really is in a CERTIFICATE block: Windows writes PKCS#7 under this label."""
    try:
        shape = shape_of(block.decoded())
    except PemFault:
        return None
    return None if shape == "certificate" else shape
