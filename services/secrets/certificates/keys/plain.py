"""A private key without encryption: whether it can be used, and whether it agrees with itself.

RSA keys are checked for consistency (RFC 8017 section 3.2, and that their factors pass a Fermat
test), but not proven prime: the library's proof holds the interpreter lock for 30 ms to 7 s per
key, which is a denial of service, and a sender who crafts a bad key harms nobody else's.
No operation is ever performed with a stored key.
"""

from dataclasses import replace
from typing import Final

from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

from services.secrets.certificates.encodings import ber, der
from services.secrets.certificates.keys.budget import Budget
from services.secrets.certificates.keys.curves import with_named_curve
from services.secrets.certificates.keys.structure import (
    DSA,
    EC,
    MULTI_PRIME,
    RSA,
    RSASSA_PSS,
    PlainKey,
    UnsupportedKey,
    encode,
)
from services.secrets.certificates.limits import MAX_DSA_SUBGROUP_BITS, MAX_RSA_PRIVATE_BITS

_POST_QUANTUM: Final = {
    "2.16.840.1.101.3.4.3.17": "ML-DSA-44",
    "2.16.840.1.101.3.4.3.18": "ML-DSA-65",
    "2.16.840.1.101.3.4.3.19": "ML-DSA-87",
    "2.16.840.1.101.3.4.4.2": "ML-KEM-768",
    "2.16.840.1.101.3.4.4.3": "ML-KEM-1024",
}
_SUPPORTED: Final = frozenset(
    {
        RSA,
        RSASSA_PSS,
        EC,
        DSA,
        "1.3.101.110",  # X25519
        "1.3.101.111",  # X448
        "1.3.101.112",  # Ed25519
        "1.3.101.113",  # Ed448
        *_POST_QUANTUM,
    }
)
_NAMES: Final = {
    "1.2.840.113549.1.1.7": "RSAES-OAEP",
    "1.2.840.113549.1.3.1": "Diffie-Hellman",
    "1.2.840.10046.2.1": "Diffie-Hellman",
    "1.2.643.2.2.19": "GOST R 34.10-2001",
    "1.2.643.7.1.1.1.1": "GOST R 34.10-2012 (256 bits)",
    "1.2.643.7.1.1.1.2": "GOST R 34.10-2012 (512 bits)",
    "2.16.840.1.101.3.4.4.1": "ML-KEM-512",
}
"""Kinds of key that people have and that are not supported."""
_SEED: Final = der.context(0, constructed=False)
_RSA_NUMBERS: Final = 8  # beside the version
_FERMAT_BASE: Final = 2
_RSA_BITS_PER_NANOSECOND: Final = 1_700
"""What the Fermat test costs grows with the cube of the bits (see budget.py): 0.3 s for 8,192."""
_DSA_BITS_PER_NANOSECOND: Final = 400
"""Computing the public half: the square of the bits, times those of the subgroup."""


def load_plain(key: PlainKey, budget: Budget) -> tuple[PrivateKeyTypes, bytes]:
    """The key and its plain PKCS#8. What checking an RSA or DSA key costs is taken from the budget.

    An EC key is written anew, so that its curve has a name and its public half is there. Of others the
    PKCS#8 has the octets that came, as writing them anew would make RSASSA-PSS keys ones for anything.
    Raises UnsupportedKey, TooMuchWork, ValueError for a key that is damaged or contradicts itself.
    """
    if key.oid not in _SUPPORTED:
        name = _NAMES.get(key.oid)
        raise UnsupportedKey(f"{name} ({key.oid})" if name else key.oid)
    prepared = _prepared(key, budget)
    loaded = _loaded(prepared)
    _check(loaded, prepared, budget)
    if isinstance(loaded, ec.EllipticCurvePrivateKey):
        return loaded, loaded.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return loaded, prepared.pkcs8


def _loaded(key: PlainKey) -> PrivateKeyTypes:
    try:
        loaded: PrivateKeyTypes = load_der_private_key(
            key.pkcs8, None, unsafe_skip_rsa_key_validation=True
        )
    except UnsupportedAlgorithm:
        raise UnsupportedKey(key.oid) from None
    except (TypeError, InternalError):
        # the latter is raised for a number of a length that this kind of key does not have
        raise ValueError("not readable") from None
    return loaded


def _prepared(key: PlainKey, budget: Budget) -> PlainKey:
    """The same key as the library wants it. Raises UnsupportedKey, TooMuchWork, ValueError."""
    key = replace(key, key=ber.to_der(key.key))
    if key.oid in _POST_QUANTUM:
        return replace(key, key=_seed(key))
    if key.oid == EC:
        return with_named_curve(key)
    if key.oid == DSA:
        _pay_for_dsa(key, budget)
    elif key.oid in (RSA, RSASSA_PSS):
        _refuse_multi_prime(key)
    return key


def _seed(key: PlainKey) -> bytes:
    """RFC 9881 section 6: CHOICE { seed [0], expandedKey OCTET STRING, both SEQUENCE }"""
    value = der.element(key.key)
    if value.tag == der.OCTET_STRING:
        raise UnsupportedKey(f"{_POST_QUANTUM[key.oid]} without its seed, in expanded form only,")
    return encode(_SEED, value.members()[0].octets()) if value.tag == der.SEQUENCE else key.key


def _pay_for_dsa(key: PlainKey, budget: Budget) -> None:
    """Before the library computes with it. FIPS 186-4 ends at 3,072 and 256 bits."""
    p, q, *_ = key.parameters.members()
    bits, of_subgroup = p.integer().bit_length(), q.integer().bit_length()
    if bits > MAX_RSA_PRIVATE_BITS or of_subgroup > MAX_DSA_SUBGROUP_BITS:
        raise UnsupportedKey(f"DSA with {bits} bits")
    budget.spend(bits * bits * of_subgroup // _DSA_BITS_PER_NANOSECOND)


def _refuse_multi_prime(key: PlainKey) -> None:
    """RFC 8017 appendix A.1.2: version 1, and a tenth member."""
    version, *others = der.sequence(key.key)
    if version.integer() == 1 and len(others) > _RSA_NUMBERS:
        raise UnsupportedKey(MULTI_PRIME)


def _check(loaded: PrivateKeyTypes, key: PlainKey, budget: Budget) -> None:
    if isinstance(loaded, rsa.RSAPrivateKey):
        if loaded.key_size > MAX_RSA_PRIVATE_BITS:
            raise UnsupportedKey(
                f"RSA with {loaded.key_size} bits (at most {MAX_RSA_PRIVATE_BITS} are supported)"
            )
        budget.spend(loaded.key_size**3 // _RSA_BITS_PER_NANOSECOND)
        if not _is_consistent(loaded.private_numbers()):
            raise ValueError("numbers that contradict each other")
    if isinstance(loaded, dsa.DSAPrivateKey):
        numbers = loaded.private_numbers()
        if not 0 < numbers.x < numbers.public_numbers.parameter_numbers.q:
            raise ValueError("a private number out of range")
    if key.public is not None and not _is_public_half(key.public, loaded.public_key()):
        raise ValueError("a public half that is another key's")


def _is_consistent(numbers: rsa.RSAPrivateNumbers) -> bool:
    """RFC 8017 section 3.2 for two factors; every line is an equation that the section states."""
    p, q, public = numbers.p, numbers.q, numbers.public_numbers
    return (
        min(p, q) > _FERMAT_BASE
        and p * q == public.n
        and public.e * numbers.d % (p - 1) == 1
        and public.e * numbers.d % (q - 1) == 1
        and numbers.dmp1 == numbers.d % (p - 1)
        and numbers.dmq1 == numbers.d % (q - 1)
        and numbers.iqmp * q % p == 1
        and all(pow(_FERMAT_BASE, factor - 1, factor) == 1 for factor in (p, q))
    )


def _is_public_half(bits: bytes, public: PublicKeyTypes) -> bool:
    if isinstance(public, ec.EllipticCurvePublicKey):
        return ec.EllipticCurvePublicKey.from_encoded_point(public.curve, bits) == public
    if isinstance(public, dsa.DSAPublicKey):
        y = public.public_numbers().y
        return int.from_bytes(bits, "big") == y or bits == encode(2, _unsigned(y))
    info = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return der.sequence(info)[1].body == b"\0" + bits


def _unsigned(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "big")
