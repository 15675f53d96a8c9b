"""Public keys that few libraries read; part of the family `metadata`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tests.vectors.certificate_corpus import asn1
from tests.vectors.certificate_corpus import authority as a
from tests.vectors.certificate_corpus.authority import Issued, issue, seed
from tests.vectors.certificate_corpus.case import CONTENT, Sent, refused
from tests.vectors.certificate_corpus.people import ROOT, STRANGER
from tests.vectors.certificate_corpus.texts import key_pem, pem

if TYPE_CHECKING:
    from tests.vectors.certificate_corpus.case import Case

_UNREADABLE = "unreadable_field"
_EC = "1.2.840.10045.2.1"
_NIST = "2.16.840.1.101.3.4."


class Shown(Protocol):
    """See metadata.shown."""

    def __call__(
        self, name: str, covers: str, leaf: Issued, *warnings: str, says: tuple[str, ...] = ()
    ) -> Case: ...


def _spki(algorithm: bytes, key: bytes) -> bytes:
    return asn1.sequence(algorithm, asn1.bits(key))


def _leaf(name: str, spki: bytes, algorithm: str | None, size: int | None) -> Issued:
    return issue(f"{name}.example", by=ROOT, spki=spki, key_algorithm=algorithm, key_size=size)


def _point(octets: int) -> bytes:
    return b"\4" + seed("point", 2 * octets)


def cases(shown: Shown) -> list[Case]:
    """All of them."""
    quantum = {
        "slh-dsa-128s": (f"{_NIST}3.20", 32, "SLH-DSA-SHA2-128s"),
        "slh-dsa-shake-256f": (f"{_NIST}3.31", 64, "SLH-DSA-SHAKE-256f"),
        "ml-kem-512": (f"{_NIST}4.1", 800, "ML-KEM-512"),
        "ml-kem-768": (f"{_NIST}4.2", 1184, "ML-KEM-768"),
        "ml-kem-1024": (f"{_NIST}4.3", 1568, "ML-KEM-1024"),
    }
    found = [
        shown(
            f"key-{name}",
            "post-quantum",
            _leaf(name, _spki(asn1.algorithm(oid), seed(name, octets)), algorithm, 8 * octets),
        )
        for name, (oid, octets, algorithm) in quantum.items()
    ]
    for strength in (44, 65, 87):
        pair = a.ml_dsa_pair(strength)
        leaf = issue(f"key-ml-dsa-{strength}.example", by=ROOT, pair=pair)
        found.append(shown(f"key-ml-dsa-{strength}", "post-quantum ml-dsa", leaf))
    curves = {
        "secp160r1": ("1.3.132.0.8", 20, 160),
        "brainpoolP160r1": ("1.3.36.3.3.2.8.1.1.1", 20, 160),
        "brainpoolP320r1": ("1.3.36.3.3.2.8.1.1.9", 40, 320),
        "sm2": ("1.2.156.10197.1.301", 32, 256),
    }
    for name, (oid, octets, size) in curves.items():
        spki = _spki(asn1.algorithm(_EC, asn1.oid(oid)), _point(octets))
        weak = ["weak_key"] if size < 224 else []
        found.append(shown(f"key-{name}", "odd-curves", _leaf(name, spki, "EC", size), *weak))
    unknown_curve = asn1.algorithm(_EC, asn1.oid("1.2.3.4"))
    both = ("key_algorithm", "key_size")
    found += [
        shown(
            "key-unknown",
            "unknown-algorithms",
            _leaf("unknown", _spki(asn1.algorithm("1.2.3.4"), seed("key")), None, None),
            _UNREADABLE,
            says=both,
        ),
        shown(
            "key-unknown-curve",
            "unknown-algorithms odd-curves",
            _leaf("unknown-curve", _spki(unknown_curve, _point(32)), "EC", None),
            _UNREADABLE,
            says=("key_size",),
        ),
        shown(
            "key-gost",
            "unknown-algorithms",
            _leaf(
                "gost",
                _spki(asn1.algorithm("1.2.643.7.1.1.1.1"), _point(32)),
                "GOST R 34.10-2012 (256 bit)",
                None,
            ),
            _UNREADABLE,
            says=("key_size",),
        ),
        shown(
            "key-point-off-the-curve",
            "odd-curves",
            _leaf(
                "off",
                _spki(asn1.algorithm(_EC, asn1.oid("1.2.840.10045.3.1.7")), _point(32)),
                "EC",
                None,
            ),
            _UNREADABLE,
            says=("key_size",),
        ),
        refused(
            "key-unknown-with-private-key",
            "metadata unknown-algorithms unsupported-algorithm",
            Sent(
                "pem",
                pem(_leaf("unknown", _spki(asn1.algorithm("1.2.3.4"), seed("key")), None, None)),
                key_pem(STRANGER),
            ),
            CONTENT,
            "unsupported_algorithm",
        ),
    ]
    return [*found, *_rsa(shown)]


def _rsa(shown: Shown) -> list[Case]:
    def spki(bits: int, exponent: int) -> bytes:
        modulus = int.from_bytes(seed(f"modulus {bits}", bits // 8)) | 1 << bits - 1 | 1
        key = asn1.sequence(asn1.integer(modulus), asn1.integer(exponent))
        return _spki(asn1.algorithm(a.RSA_ENCRYPTION, asn1.NULL), key)

    sizes = {
        "rsa-512": (512, 65537, ["weak_key"]),
        "rsa-2047": (2048, 3, []),
        "rsa-3072": (3072, 65537, []),
        "rsa-8192": (8192, 65537, []),
        "rsa-16384": (16384, 65537, []),
        "rsa-exponent-of-2000-bits": (2048, (1 << 2000) + 1, []),
    }
    return [
        shown(f"key-{name}", "odd-rsa", _leaf(name, spki(bits, exponent), "RSA", bits), *warnings)
        for name, (bits, exponent, warnings) in sizes.items()
    ]
