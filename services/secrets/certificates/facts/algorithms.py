"""Keys and signatures of certificates in words, and which are too weak to keep quiet about."""

from typing import Final

from cryptography.hazmat.primitives.asymmetric import (
    dsa,
    ec,
    ed448,
    ed25519,
    mldsa,
    mlkem,
    rsa,
    x448,
    x25519,
)
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from services.secrets.certificates.encodings import der
from services.secrets.certificates.facts.algorithm_names import (
    CURVE_BITS,
    OTHER_KEYS,
    SIGNATURES,
    SIZED_KEYS,
)
from services.secrets.certificates.facts.certificate import Certificate
from services.secrets.certificates.facts.pss import read_pss
from services.secrets.certificates.limits import MIN_EC_BITS, MIN_RSA_BITS

RSASSA_PSS: Final = "1.2.840.113549.1.1.10"

_WEAK_SIGNATURES: Final = frozenset(
    {
        "md2WithRSAEncryption",
        "md2WithRSA",
        "md2WithRSASignature",
        "md4WithRSAEncryption",
        "md4WithRSA",
        "md5WithRSAEncryption",
        "md5WithRSA",
        "md5WithRSASignature",
        "shaWithRSAEncryption",
        "sha1WithRSA",
        "sha1WithRSAEncryption",
        "ecdsa-with-SHA1",
        "dsaWithSHA",
        "dsaWithSHA1",
        "dsaWithSHA1-old",
        "dsaCommonWithSHA",
        "dsaCommonWithSHA1",
    }
)

_LEAST_BITS: Final = {"RSA": MIN_RSA_BITS, "DSA": MIN_RSA_BITS, "EC": MIN_EC_BITS}

_FIXED_SIZE_KEYS: Final[tuple[tuple[type[PublicKeyTypes], str, int], ...]] = (
    (ed25519.Ed25519PublicKey, "Ed25519", 256),
    (ed448.Ed448PublicKey, "Ed448", 456),
    (x25519.X25519PublicKey, "X25519", 256),
    (x448.X448PublicKey, "X448", 448),
    (mldsa.MLDSA44PublicKey, "ML-DSA-44", 8 * 1312),
    (mldsa.MLDSA65PublicKey, "ML-DSA-65", 8 * 1952),
    (mldsa.MLDSA87PublicKey, "ML-DSA-87", 8 * 2592),
    (mlkem.MLKEM768PublicKey, "ML-KEM-768", 8 * 1184),
    (mlkem.MLKEM1024PublicKey, "ML-KEM-1024", 8 * 1568),
)


class UnknownAlgorithm(ValueError):  # noqa: N818 - a finding
    """A number without a name here; the message is that number."""


def signature_oid(certificate: Certificate) -> str:
    """The dotted number of the signature's algorithm. Raises ValueError."""
    if certificate.parsed is not None:
        return certificate.parsed.signature_algorithm_oid.dotted_string
    return certificate.structure.signature_algorithm()[0]


def signature_name(certificate: Certificate) -> str:
    """OpenSSL's name of the signature algorithm, or its dotted number when it has none here."""
    dotted = signature_oid(certificate)
    return SIGNATURES.get(dotted, dotted)


def has_weak_signature(certificate: Certificate) -> bool:
    """Whether the signature rests on MD2, MD4, MD5, SHA (the first one) or SHA-1.

    May raise what the parser raises."""
    if signature_oid(certificate) != RSASSA_PSS:
        return signature_name(certificate) in _WEAK_SIGNATURES
    return read_pss(certificate.structure.signature_algorithm()[1]).is_weak


def describe_public_key(certificate: Certificate) -> tuple[str, int | None]:
    """Algorithm and size in bits of the public key, None for a size that cannot be told.

    Raises UnknownAlgorithm, and ValueError for a key without an algorithm.
    """
    key = certificate.public_key
    described = None if key is None else describe_key(key)
    return described or _describe_encoded(certificate)


def _describe_encoded(certificate: Certificate) -> tuple[str, int | None]:
    """What the number of the algorithm tells of a key that the library does not know."""
    dotted, parameters = certificate.structure.key_algorithm()
    if dotted in SIZED_KEYS:
        bits = [
            part for part in der.sequence(certificate.structure.key) if part.tag == der.BIT_STRING
        ]
        return SIZED_KEYS[dotted], 8 * (len(bits[0].body) - 1) if bits else None
    if dotted not in OTHER_KEYS:
        raise UnknownAlgorithm(dotted)
    curve = parameters[0].oid() if OTHER_KEYS[dotted] == "EC" and _is_named(parameters) else ""
    return OTHER_KEYS[dotted], CURVE_BITS.get(curve)


def _is_named(parameters: list[der.Element]) -> bool:
    return bool(parameters) and parameters[0].tag == der.OBJECT_IDENTIFIER


def describe_key(key: PublicKeyTypes) -> tuple[str, int] | None:
    """Algorithm and size in bits as people quote them, or None for a kind not listed here.

    The size of a post-quantum key is that of its encoding, as OpenSSL has it: 10,496 for ML-DSA-44.
    """
    if isinstance(key, rsa.RSAPublicKey):
        return "RSA", key.key_size
    if isinstance(key, ec.EllipticCurvePublicKey):
        return "EC", key.key_size
    if isinstance(key, dsa.DSAPublicKey):
        return "DSA", key.key_size
    return next(
        ((name, bits) for kind, name, bits in _FIXED_SIZE_KEYS if isinstance(key, kind)), None
    )


def has_weak_key(certificate: Certificate) -> bool:
    """Whether its key is one below 2,048 bits (RSA, DSA) or 224 (elliptic curves), on curves that the
    library does not know too. Raises ValueError for a key that cannot be described."""
    algorithm, size = describe_public_key(certificate)
    return size is not None and size < _LEAST_BITS.get(algorithm, 0)


def is_weak_key(key: PublicKeyTypes) -> bool:
    """Whether it is an RSA or DSA key below 2,048 bits, or one on a curve below 224."""
    algorithm, size = describe_key(key) or ("", 0)
    return size < _LEAST_BITS.get(algorithm, 0)
