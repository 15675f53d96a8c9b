"""The certificates that most cases are about."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives import hashes

from tests.vectors.certificate_corpus import asn1
from tests.vectors.certificate_corpus.authority import (
    NOT_AFTER,
    NOT_BEFORE,
    Issued,
    common,
    ec_pair,
    ed25519_pair,
    issue,
    rsa_pair,
    signature_by,
    utc_time,
)

ROOT: Final = issue("Corpus Root", ca=True)
LEAF: Final = issue("example.com", by=ROOT, dns_names=("example.com", "www.example.com"))
CHAIN: Final = (LEAF, ROOT)
"""What most cases send; short, so that the corpus stays small."""

MIDDLE: Final = issue("Corpus CA", by=ROOT, ca=True)
DEEP: Final = issue("deep.example", by=MIDDLE, dns_names=("deep.example",))
LONG: Final = (DEEP, MIDDLE, ROOT)
"""For whatever is about the order."""

OTHER: Final = issue("other.example", by=ROOT)
RSA_LEAF: Final = issue("rsa.example", by=ROOT, pair=rsa_pair())
ED_LEAF: Final = issue("ed25519.example", by=ROOT, pair=ed25519_pair("leaf"))
LONE: Final = issue("self.example", dns_names=("self.example",))
STRANGER: Final = ec_pair("a key that no certificate has")


def crl(by: Issued = ROOT) -> bytes:
    """An empty revocation list (RFC 5280 section 5)."""
    signs = signature_by(by.pair)
    body = asn1.sequence(
        asn1.integer(1), signs.algorithm, by.name, utc_time(NOT_BEFORE), utc_time(NOT_AFTER)
    )
    return asn1.sequence(body, signs.algorithm, asn1.bits(signs.sign(body)))


def request() -> bytes:
    """A certificate signing request (RFC 2986)."""
    signs = signature_by(LEAF.pair, hashes.SHA256())
    body = asn1.sequence(
        asn1.integer(0), common("example.com"), LEAF.pair.spki, asn1.explicit(0, b"")
    )
    return asn1.sequence(body, signs.algorithm, asn1.bits(signs.sign(body)))
