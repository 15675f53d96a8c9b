"""The numbers of algorithms in certificates, and OpenSSL's names for them."""

from typing import Final

from cryptography.x509.oid import SignatureAlgorithmOID

_SIGNED_WITH: Final[dict[str, str]] = {
    "1.2.840.113549.1.1.2": "md2WithRSAEncryption",
    "1.2.840.113549.1.1.3": "md4WithRSAEncryption",
    "1.3.14.3.2.2": "md4WithRSA",
    "1.3.14.3.2.3": "md5WithRSA",
    "1.3.14.3.2.4": "md4WithRSAEncryption",
    "1.3.14.3.2.13": "dsaWithSHA",
    "1.3.14.3.2.15": "shaWithRSAEncryption",
    "1.3.14.3.2.21": "dsaCommonWithSHA",
    "1.3.14.3.2.24": "md2WithRSASignature",
    "1.3.14.3.2.25": "md5WithRSASignature",
    "1.3.14.3.2.27": "dsaWithSHA1-old",
    "1.3.14.3.2.28": "dsaCommonWithSHA1",
    "1.3.14.3.2.29": "sha1WithRSA",
    "1.3.14.7.2.3.1": "md2WithRSA",
    SignatureAlgorithmOID.RSA_WITH_MD5.dotted_string: "md5WithRSAEncryption",
    SignatureAlgorithmOID.RSA_WITH_SHA1.dotted_string: "sha1WithRSAEncryption",
    SignatureAlgorithmOID.RSA_WITH_SHA224.dotted_string: "sha224WithRSAEncryption",
    SignatureAlgorithmOID.RSA_WITH_SHA256.dotted_string: "sha256WithRSAEncryption",
    SignatureAlgorithmOID.RSA_WITH_SHA384.dotted_string: "sha384WithRSAEncryption",
    SignatureAlgorithmOID.RSA_WITH_SHA512.dotted_string: "sha512WithRSAEncryption",
    "1.2.840.113549.1.1.15": "sha512-224WithRSAEncryption",
    "1.2.840.113549.1.1.16": "sha512-256WithRSAEncryption",
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
    "1.2.156.10197.1.501": "SM2-with-SM3",
    "1.2.643.2.2.3": "GOST R 34.11-94 with GOST R 34.10-2001",
    "1.2.643.7.1.1.3.2": "GOST R 34.10-2012 with GOST R 34.11-2012 (256 bit)",
    "1.2.643.7.1.1.3.3": "GOST R 34.10-2012 with GOST R 34.11-2012 (512 bit)",
}

_NIST_SIGNATURES: Final = (
    "ML-DSA-44",
    "ML-DSA-65",
    "ML-DSA-87",
    "SLH-DSA-SHA2-128s",
    "SLH-DSA-SHA2-128f",
    "SLH-DSA-SHA2-192s",
    "SLH-DSA-SHA2-192f",
    "SLH-DSA-SHA2-256s",
    "SLH-DSA-SHA2-256f",
    "SLH-DSA-SHAKE-128s",
    "SLH-DSA-SHAKE-128f",
    "SLH-DSA-SHAKE-192s",
    "SLH-DSA-SHAKE-192f",
    "SLH-DSA-SHAKE-256s",
    "SLH-DSA-SHAKE-256f",
    "HASH-ML-DSA-44-WITH-SHA512",
    "HASH-ML-DSA-65-WITH-SHA512",
    "HASH-ML-DSA-87-WITH-SHA512",
)
"""From 2.16.840.1.101.3.4.3.17 onwards (NIST's register of objects; FIPS 204 and 205)."""
_FIRST_NIST_SIGNATURE: Final = 17

_POST_QUANTUM: Final[dict[str, str]] = {
    **{
        f"2.16.840.1.101.3.4.3.{number}": named
        for number, named in enumerate(_NIST_SIGNATURES, _FIRST_NIST_SIGNATURE)
    },
    "1.3.9999.3.6": "falcon512",
    "1.3.9999.3.9": "falcon1024",
    "1.3.9999.3.11": "falcon512",
    "1.3.9999.3.14": "falcon1024",
    "1.3.6.1.4.1.2.267.7.4.4": "dilithium2",
    "1.3.6.1.4.1.2.267.7.6.5": "dilithium3",
    "1.3.6.1.4.1.2.267.7.8.7": "dilithium5",
    "1.2.840.113549.1.9.16.3.17": "HSS/LMS",
    "1.3.6.1.5.5.7.6.34": "XMSS",
    "1.3.6.1.5.5.7.6.35": "XMSSMT",
}
"""Key and signature have one number. Those of Falcon and Dilithium are the Open Quantum Safe provider's,
HSS/LMS is RFC 9802's, as are XMSS and XMSSMT."""

SIGNATURES: Final[dict[str, str]] = {**_SIGNED_WITH, **_POST_QUANTUM}
"""OpenSSL's long names, which operators search for. Those that it has none for are named as the OIW
agreements (1.3.14, of about 1994) do."""

SIZED_KEYS: Final[dict[str, str]] = {
    **_POST_QUANTUM,
    "2.16.840.1.101.3.4.4.1": "ML-KEM-512",
    "2.16.840.1.101.3.4.4.2": "ML-KEM-768",
    "2.16.840.1.101.3.4.4.3": "ML-KEM-1024",
    "1.3.101.110": "X25519",
    "1.3.101.111": "X448",
    "1.3.101.112": "Ed25519",
    "1.3.101.113": "Ed448",
}
"""Keys that are one string of octets; its length in bits is their size, as OpenSSL has it too."""

OTHER_KEYS: Final[dict[str, str]] = {
    "1.2.840.113549.1.1.1": "RSA",
    "1.2.840.113549.1.1.10": "RSA",
    "1.2.840.113549.1.1.7": "RSA",
    "2.5.8.1.1": "RSA",
    "1.2.840.10045.2.1": "EC",
    "1.3.132.1.12": "EC",
    "1.2.840.10040.4.1": "DSA",
    "1.3.14.3.2.12": "DSA",
    "1.2.840.113549.1.3.1": "DH",
    "1.2.840.10046.2.1": "DH",
    "1.2.643.2.2.19": "GOST R 34.10-2001",
    "1.2.643.7.1.1.1.1": "GOST R 34.10-2012 (256 bit)",
    "1.2.643.7.1.1.1.2": "GOST R 34.10-2012 (512 bit)",
}

CURVE_BITS: Final[dict[str, int]] = {
    "1.2.156.10197.1.301": 256,  # SM2
    "1.2.840.10045.3.1.1": 192,
    "1.3.132.0.32": 224,  # secp224k1
    "1.3.132.0.31": 192,  # secp192k1
    "1.3.132.0.9": 160,  # secp160k1
    "1.3.132.0.8": 160,
    "1.3.132.0.30": 160,
    "1.3.132.0.6": 112,
    "1.3.132.0.7": 112,
    "1.3.132.0.28": 128,
    "1.3.132.0.29": 128,
    "1.3.36.3.3.2.8.1.1.1": 160,  # brainpoolP160r1
    "1.3.36.3.3.2.8.1.1.3": 192,
    "1.3.36.3.3.2.8.1.1.5": 224,
    "1.3.36.3.3.2.8.1.1.9": 320,
    "1.3.36.3.3.2.8.1.1.12": 384,  # brainpoolP384t1
    "1.3.36.3.3.2.8.1.1.8": 256,
    "1.3.36.3.3.2.8.1.1.14": 512,
    "1.2.250.1.223.101.256.1": 256,  # FRP256v1
}
"""Named curves beyond those of the library (SEC 2, RFC 5639); on binary curves nothing is left."""
