"""The declared type rules: each kind of content under each of the nine types."""

from __future__ import annotations

from typing import Final

from tests.vectors.certificate_corpus import asn1, cms, pbe, pfx
from tests.vectors.certificate_corpus.case import (
    CONTENT,
    Case,
    Sent,
    accepted,
    key_alone,
    refused,
)
from tests.vectors.certificate_corpus.people import CHAIN, LEAF, crl, request
from tests.vectors.certificate_corpus.texts import b64, block, key_pem, pem

_WORDS = "open the coffer"
TYPES: Final = ("pem", "crt", "cer", "pfx", "p12", "pkcs7", "p7b", "p7c", "key")
_PKCS12, _PKCS7, _CRT = ("pfx", "p12"), ("pkcs7", "p7b", "p7c"), ("crt", "cer")


def cases() -> list[Case]:
    """All of them."""
    return [*_kinds(), *_others(), *_unknown_types()]


def _kinds() -> list[Case]:
    ders = [one.der for one in CHAIN]
    scheme = pbe.pbes2(_WORDS)
    store = b64(pfx.usual(ders, LEAF.pair.pkcs8, _WORDS, scheme, scheme, pfx.Mac()))
    bundle = cms.certs_only(*ders)
    sealed = scheme.encrypted_key(LEAF.pair.pkcs8)
    # text, the types that read it, and the type that the refusal has to advise
    kinds: dict[str, tuple[str, tuple[str, ...], str]] = {
        "pem-certificates": (pem(*CHAIN), ("pem", *_CRT), "'pem'"),
        "der-certificate": (b64(LEAF.der), _CRT, "'crt'"),
        "pkcs7-pem": (block("PKCS7", bundle), _PKCS7, "'pkcs7'"),
        "pkcs7-der": (b64(bundle), _PKCS7, "'pkcs7'"),
        "pkcs12": (store, _PKCS12, "'pfx'"),
        "key-pem": (key_pem(LEAF.pair), ("key",), "'key'"),
        "key-der": (b64(LEAF.pair.pkcs8), ("key",), "'key'"),
        "sec1-der": (b64(LEAF.pair.traditional), ("key",), "'key'"),
        "encrypted-key-pem": (block("ENCRYPTED PRIVATE KEY", sealed), ("key",), "'key'"),
        "encrypted-key-der": (b64(sealed), ("key",), "'key'"),
    }
    return [
        _reads(f"{kind}-as-{declared}", kind, Sent(declared, text, None, _WORDS))
        if declared in readers
        else refused(
            f"{kind}-as-{declared}",
            f"{declared} declared not-this-format",
            Sent(declared, text, None, _WORDS),
            CONTENT,
            "not_this_format",
            advised,
        )
        for kind, (text, readers, advised) in kinds.items()
        for declared in TYPES
    ]


def _reads(name: str, kind: str, sent: Sent) -> Case:
    covers = f"{sent.certificate_type} declared"
    if sent.certificate_type == "key":
        return key_alone(name, covers, sent, LEAF.pair)
    if kind == "der-certificate":
        return accepted(name, covers, sent, LEAF, warnings=["incomplete_chain"])
    return accepted(name, covers, sent, *CHAIN, key=LEAF.pair if kind == "pkcs12" else None)


def _others() -> list[Case]:
    """What people send by mistake; each is named so that they see what it was."""
    spki = LEAF.pair.spki
    pgp = block("PGP PUBLIC KEY BLOCK", bytes(60))
    kinds = {
        "request-pem": (block("CERTIFICATE REQUEST", request()), "signing request"),
        "request-der": (b64(request()), "signing request"),
        "crl-pem": (block("X509 CRL", crl()), "revocation list"),
        "crl-der": (b64(crl()), "revocation list"),
        "public-key-pem": (block("PUBLIC KEY", spki), "public key"),
        "public-key-der": (b64(spki), "public key"),
        "openssh-key": (block("OPENSSH PRIVATE KEY", b"openssh-key-v1\0" + bytes(99)), "OpenSSH"),
        "openssh-public-key": ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 me@here", "OpenSSH"),
        "java-keystore": (b64(b"\xfe\xed\xfe\xed\0\0\0\2" + bytes(40)), "Java keystore"),
        "jceks-keystore": (b64(b"\xce\xce\xce\xce\0\0\0\2" + bytes(40)), "Java keystore"),
        "private-key-blob": (b64(b"\x07\x02\0\0\0\xa4\0\0RSA2" + bytes(40)), "PRIVATEKEYBLOB"),
        "netscape-sequence": (b64(_netscape_sequence()), "Netscape certificate sequence"),
        "netscape-sequence-pem": (
            block("CERTIFICATE", _netscape_sequence()),
            "Netscape certificate sequence",
        ),
        "zip": (b64(b"PK\x03\x04" + bytes(40)), "ZIP"),
        "html": ("<!DOCTYPE html><html><body>Not found</body></html>", "HTML"),
        "json": ('{"certificate": "see attachment"}', "JSON"),
        "putty-key": ("PuTTY-User-Key-File-3: ssh-rsa\nEncryption: none", "PuTTY"),
        "pgp-key": (pgp, "PGP"),
        "file-name": ("/etc/ssl/certs/example.pem", "name of a file"),
        "prose": ("Please find it attached. Regards, Alice", "nothing Coffer recognises"),
    }  # fmt: skip
    chosen = {
        "request-pem": ("pem", "pkcs7", "key"),
        "openssh-key": ("pem", "key"),
        "public-key-pem": ("pem", "key"),
        "java-keystore": ("pem", "p12", "crt"),
        "html": ("pem", "pfx"),
        "private-key-blob": ("pem", "key"),
        "netscape-sequence": ("crt", "p7b"),
        "netscape-sequence-pem": ("pem", "cer", "pkcs7"),
    }
    return [
        refused(
            f"{kind}-as-{declared}",
            f"{declared} declared not-this-format",
            Sent(declared, text),
            CONTENT,
            "not_this_format",
            said,
        )
        for number, (kind, (text, said)) in enumerate(kinds.items())
        for declared in chosen.get(kind, (TYPES[number % len(TYPES)],))
    ]


def _netscape_sequence() -> bytes:
    """What `openssl nseq -toseq` writes."""
    ders = (one.der for one in CHAIN)
    return cms.content_info("2.16.840.1.113730.2.5", asn1.sequence(*ders))


def _unknown_types() -> list[Case]:
    return [
        refused(
            f"type-{number}",
            "declared unknown-type",
            Sent(kind, pem(*CHAIN)),
            "certificate_type",
            None,
        )
        for number, kind in enumerate(("", "PEM", "der", "jks", "pkcs12", "pem "))
    ]
