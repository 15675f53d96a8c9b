"""What the algorithms in certificates are called, and which are too weak to keep quiet about."""

from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa, x448, x25519
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.x509.oid import SignatureAlgorithmOID

from services.secrets.certificates.limits import MIN_RSA_BITS

_SIGNATURE_NAMES: Final[dict[str, str]] = {
    "1.2.840.113549.1.1.2": "md2WithRSAEncryption",
    "1.3.14.3.2.29": "sha1WithRSA",
    SignatureAlgorithmOID.RSA_WITH_MD5.dotted_string: "md5WithRSAEncryption",
    SignatureAlgorithmOID.RSA_WITH_SHA1.dotted_string: "sha1WithRSAEncryption",
    SignatureAlgorithmOID.RSA_WITH_SHA224.dotted_string: "sha224WithRSAEncryption",
    SignatureAlgorithmOID.RSA_WITH_SHA256.dotted_string: "sha256WithRSAEncryption",
    SignatureAlgorithmOID.RSA_WITH_SHA384.dotted_string: "sha384WithRSAEncryption",
    SignatureAlgorithmOID.RSA_WITH_SHA512.dotted_string: "sha512WithRSAEncryption",
    SignatureAlgorithmOID.RSA_WITH_SHA3_224.dotted_string: "RSA-SHA3-224",
    SignatureAlgorithmOID.RSA_WITH_SHA3_256.dotted_string: "RSA-SHA3-256",
    SignatureAlgorithmOID.RSA_WITH_SHA3_384.dotted_string: "RSA-SHA3-384",
    SignatureAlgorithmOID.RSA_WITH_SHA3_512.dotted_string: "RSA-SHA3-512",
    SignatureAlgorithmOID.RSASSA_PSS.dotted_string: "rsassaPss",
    SignatureAlgorithmOID.ECDSA_WITH_SHA1.dotted_string: "ecdsa-with-SHA1",
    SignatureAlgorithmOID.ECDSA_WITH_SHA224.dotted_string: "ecdsa-with-SHA224",
    SignatureAlgorithmOID.ECDSA_WITH_SHA256.dotted_string: "ecdsa-with-SHA256",
    SignatureAlgorithmOID.ECDSA_WITH_SHA384.dotted_string: "ecdsa-with-SHA384",
    SignatureAlgorithmOID.ECDSA_WITH_SHA512.dotted_string: "ecdsa-with-SHA512",
    SignatureAlgorithmOID.ECDSA_WITH_SHA3_224.dotted_string: "ecdsa_with_SHA3-224",
    SignatureAlgorithmOID.ECDSA_WITH_SHA3_256.dotted_string: "ecdsa_with_SHA3-256",
    SignatureAlgorithmOID.ECDSA_WITH_SHA3_384.dotted_string: "ecdsa_with_SHA3-384",
    SignatureAlgorithmOID.ECDSA_WITH_SHA3_512.dotted_string: "ecdsa_with_SHA3-512",
    SignatureAlgorithmOID.DSA_WITH_SHA1.dotted_string: "dsaWithSHA1",
    SignatureAlgorithmOID.DSA_WITH_SHA224.dotted_string: "dsa_with_SHA224",
    SignatureAlgorithmOID.DSA_WITH_SHA256.dotted_string: "dsa_with_SHA256",
    SignatureAlgorithmOID.DSA_WITH_SHA384.dotted_string: "dsa_with_SHA384",
    SignatureAlgorithmOID.DSA_WITH_SHA512.dotted_string: "dsa_with_SHA512",
    SignatureAlgorithmOID.ED25519.dotted_string: "ED25519",
    SignatureAlgorithmOID.ED448.dotted_string: "ED448",
    SignatureAlgorithmOID.ML_DSA_44.dotted_string: "ML-DSA-44",
    SignatureAlgorithmOID.ML_DSA_65.dotted_string: "ML-DSA-65",
    SignatureAlgorithmOID.ML_DSA_87.dotted_string: "ML-DSA-87",
}
"""OpenSSL's long names, which operators search for."""

_WEAK_SIGNATURES: Final = frozenset(
    {
        "md2WithRSAEncryption",
        "md5WithRSAEncryption",
        "sha1WithRSA",
        "sha1WithRSAEncryption",
        "ecdsa-with-SHA1",
        "dsaWithSHA1",
    }
)

_FIXED_SIZE_KEYS: Final[tuple[tuple[type[PublicKeyTypes], str, int], ...]] = (
    (ed25519.Ed25519PublicKey, "Ed25519", 256),
    (ed448.Ed448PublicKey, "Ed448", 456),
    (x25519.X25519PublicKey, "X25519", 256),
    (x448.X448PublicKey, "X448", 448),
)


def signature_name(certificate: x509.Certificate) -> str:
    """OpenSSL's name of the signature algorithm, or its dotted number when it has none here."""
    dotted = certificate.signature_algorithm_oid.dotted_string
    return _SIGNATURE_NAMES.get(dotted, dotted)


def has_weak_signature(certificate: x509.Certificate) -> bool:
    """Whether the signature rests on MD2, MD5 or SHA-1. May raise what the parser raises."""
    name = signature_name(certificate)
    if name == "rsassaPss":  # the hash is a parameter (RFC 4055)
        return isinstance(certificate.signature_hash_algorithm, hashes.MD5 | hashes.SHA1)
    return name in _WEAK_SIGNATURES


def describe_key(key: PublicKeyTypes) -> tuple[str, int] | None:
    """Algorithm and size in bits as people quote them, or None for a kind not listed here."""
    if isinstance(key, rsa.RSAPublicKey):
        return "RSA", key.key_size
    if isinstance(key, ec.EllipticCurvePublicKey):
        return "EC", key.key_size
    if isinstance(key, dsa.DSAPublicKey):
        return "DSA", key.key_size
    return next(
        ((name, bits) for kind, name, bits in _FIXED_SIZE_KEYS if isinstance(key, kind)), None
    )


def is_weak_key(key: PublicKeyTypes) -> bool:
    """Whether it is an RSA or DSA key below 2,048 bits."""
    return isinstance(key, rsa.RSAPublicKey | dsa.DSAPublicKey) and key.key_size < MIN_RSA_BITS
