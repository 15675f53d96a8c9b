"""Whether one certificate was signed with another's key (RFC 5280 section 4.1.1.3).

Not `verify_directly_issued_by`: it refuses certificates of SHA-1 and MD5 without looking at them, and
asks for issuers that the library reads whole and whose names are the same byte for byte.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, mldsa, padding, rsa

from services.secrets.certificates.encodings.ber import to_der
from services.secrets.certificates.facts.algorithms import RSASSA_PSS, signature_name, signature_oid
from services.secrets.certificates.facts.pss import read_pss

if TYPE_CHECKING:
    from services.secrets.certificates.facts.certificate import Certificate

Verdict = Literal["verified", "refuted", "unknown"]

_HASHES: Final[dict[str, hashes.HashAlgorithm]] = {
    "md5WithRSAEncryption": hashes.MD5(),  # noqa: S303 - verified, and warned of
    "md5WithRSA": hashes.MD5(),  # noqa: S303
    "md5WithRSASignature": hashes.MD5(),  # noqa: S303
    "sha1WithRSA": hashes.SHA1(),  # noqa: S303
    "sha1WithRSAEncryption": hashes.SHA1(),  # noqa: S303
    "sha224WithRSAEncryption": hashes.SHA224(),
    "sha256WithRSAEncryption": hashes.SHA256(),
    "sha384WithRSAEncryption": hashes.SHA384(),
    "sha512WithRSAEncryption": hashes.SHA512(),
    "sha512-224WithRSAEncryption": hashes.SHA512_224(),
    "sha512-256WithRSAEncryption": hashes.SHA512_256(),
    "RSA-SHA3-224": hashes.SHA3_224(),
    "RSA-SHA3-256": hashes.SHA3_256(),
    "RSA-SHA3-384": hashes.SHA3_384(),
    "RSA-SHA3-512": hashes.SHA3_512(),
    "ecdsa-with-SHA1": hashes.SHA1(),  # noqa: S303
    "ecdsa-with-SHA224": hashes.SHA224(),
    "ecdsa-with-SHA256": hashes.SHA256(),
    "ecdsa-with-SHA384": hashes.SHA384(),
    "ecdsa-with-SHA512": hashes.SHA512(),
    "ecdsa_with_SHA3-224": hashes.SHA3_224(),
    "ecdsa_with_SHA3-256": hashes.SHA3_256(),
    "ecdsa_with_SHA3-384": hashes.SHA3_384(),
    "ecdsa_with_SHA3-512": hashes.SHA3_512(),
    "dsaWithSHA1": hashes.SHA1(),  # noqa: S303
    "dsaWithSHA1-old": hashes.SHA1(),  # noqa: S303
    "dsaCommonWithSHA1": hashes.SHA1(),  # noqa: S303
    "dsa_with_SHA224": hashes.SHA224(),
    "dsa_with_SHA256": hashes.SHA256(),
    "dsa_with_SHA384": hashes.SHA384(),
    "dsa_with_SHA512": hashes.SHA512(),
}
_WITHOUT_HASH: Final = frozenset({"ED25519", "ED448", "ML-DSA-44", "ML-DSA-65", "ML-DSA-87"})
_SELF_CONTAINED = (
    ed25519.Ed25519PublicKey
    | ed448.Ed448PublicKey
    | mldsa.MLDSA44PublicKey
    | mldsa.MLDSA65PublicKey
    | mldsa.MLDSA87PublicKey
)


def verdict(certificate: Certificate, issuer: Certificate) -> Verdict:
    """`unknown`: neither proven nor disproven, as the algorithm, its parameters or the issuer's key is
    none that is known here. Names are not looked at, nor what the issuer may do. Raises nothing."""
    key = issuer.public_key
    try:
        if key is None or not _is_known(certificate):
            return "unknown"
        parts = certificate.structure
        inner, outer = parts.inner_algorithm, parts.algorithm
        if inner != outer and to_der(inner) != to_der(outer):
            return "refuted"  # RFC 5280 section 4.1.1.2: it is in the signed part too, and the same
        signed, signature = parts.signed, parts.signature
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, signed, *_rsa_scheme(certificate))
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, signed, ec.ECDSA(_hash(certificate, "ecdsa")))
        elif isinstance(key, dsa.DSAPublicKey):
            key.verify(signature, signed, _hash(certificate, "dsa"))
        elif isinstance(key, _SELF_CONTAINED) and signature_name(certificate) in _WITHOUT_HASH:
            key.verify(signature, signed)
        else:  # a key that signs nothing, or not so
            return "refuted"
    except UnsupportedAlgorithm:
        return "unknown"
    except (InvalidSignature, ValueError, TypeError):  # also: key and algorithm do not agree
        return "refuted"
    return "verified"


def _is_known(certificate: Certificate) -> bool:
    name = signature_name(certificate)
    is_pss = signature_oid(certificate) == RSASSA_PSS
    return is_pss or name in _HASHES or name in _WITHOUT_HASH


def _rsa_scheme(
    certificate: Certificate,
) -> tuple[padding.AsymmetricPadding, hashes.HashAlgorithm]:
    if signature_oid(certificate) != RSASSA_PSS:
        return padding.PKCS1v15(), _hash(certificate, "rsa")
    _, parameters = certificate.structure.signature_algorithm()
    return read_pss(parameters).scheme()


def _hash(certificate: Certificate, kind: str) -> hashes.HashAlgorithm:
    """Raises ValueError when the signature is of another kind than the key."""
    name = signature_name(certificate)
    named = name.lower()
    if name not in _HASHES or not (named.startswith(kind) or (kind == "rsa" and "rsa" in named)):
        raise ValueError("the key is of another kind than the signature")
    return _HASHES[name]
