"""The parts of PBES2 (RFC 8018 appendix A.4) and of PBMAC1: key derivation functions and ciphers.

Each is an AlgorithmIdentifier; what is not known by its object identifier is refused with it.
"""

from typing import Final

from cryptography.hazmat.primitives import hashes

from services.secrets.certificates.encodings import der
from services.secrets.certificates.keys import ciphers
from services.secrets.certificates.keys.budget import EncryptionRefused
from services.secrets.certificates.keys.ciphers import CipherKind
from services.secrets.certificates.keys.derivation import Pbkdf2, Prf, ScryptKdf
from services.secrets.certificates.limits import MAX_SCRYPT_BYTES, MAX_SCRYPT_PARALLEL

_PBKDF2: Final = "1.2.840.113549.1.5.12"
_SCRYPT: Final = "1.3.6.1.4.1.11591.4.11"
_RC2_CBC: Final = "1.2.840.113549.3.2"

_SHA1: Final = Prf(hashes.SHA1(), 120)  # noqa: S303 - HMAC with SHA-1 is not broken, and the default
_PRFS: Final = {
    "1.2.840.113549.2.6": Prf(hashes.MD5(), 200),  # noqa: S303
    "1.2.840.113549.2.7": _SHA1,
    "1.2.840.113549.2.8": Prf(hashes.SHA224(), 120),
    "1.2.840.113549.2.9": Prf(hashes.SHA256(), 120),
    "1.2.840.113549.2.10": Prf(hashes.SHA384(), 310),
    "1.2.840.113549.2.11": Prf(hashes.SHA512(), 310),
    "1.2.840.113549.2.12": Prf(hashes.SHA512_224(), 310),
    "1.2.840.113549.2.13": Prf(hashes.SHA512_256(), 310),
    "2.16.840.1.101.3.4.2.13": Prf(hashes.SHA3_224(), 600),
    "2.16.840.1.101.3.4.2.14": Prf(hashes.SHA3_256(), 600),
    "2.16.840.1.101.3.4.2.15": Prf(hashes.SHA3_384(), 600),
    "2.16.840.1.101.3.4.2.16": Prf(hashes.SHA3_512(), 600),
    "1.2.156.10197.1.401.2": Prf(hashes.SM3(), 400),
}
"""By the OID of the HMAC; the price of a round is in nanoseconds (see budget.py)."""

_CIPHERS: Final = {
    "1.3.14.3.2.7": ciphers.DES_CBC,
    "1.2.840.113549.3.7": ciphers.DES_EDE3_CBC,
    "2.16.840.1.101.3.4.1.2": ciphers.AES_128_CBC,
    "2.16.840.1.101.3.4.1.22": ciphers.AES_192_CBC,
    "2.16.840.1.101.3.4.1.42": ciphers.AES_256_CBC,
    "1.2.392.200011.61.1.1.1.2": ciphers.CAMELLIA_128_CBC,
    "1.2.392.200011.61.1.1.1.3": ciphers.CAMELLIA_192_CBC,
    "1.2.392.200011.61.1.1.1.4": ciphers.CAMELLIA_256_CBC,
    "1.2.410.200004.1.4": ciphers.SEED_CBC,
    "1.2.156.10197.1.104.2": ciphers.SM4_CBC,
}
_NAMES_OF_UNSUPPORTED: Final = {
    "1.2.410.200046.1.1.2": "ARIA-128-CBC",
    "1.2.410.200046.1.1.7": "ARIA-192-CBC",
    "1.2.410.200046.1.1.12": "ARIA-256-CBC",
    "1.2.840.113533.7.66.10": "CAST5-CBC",
    "1.3.6.1.4.1.188.7.1.1.2": "IDEA-CBC",
    "1.3.6.1.4.1.3029.1.2": "BF-CBC",
    "1.2.840.113549.3.9": "RC5-CBC",
}
_GCM: Final = {
    "2.16.840.1.101.3.4.1.6": ("AES-128-GCM", 16),
    "2.16.840.1.101.3.4.1.26": ("AES-192-GCM", 24),
    "2.16.840.1.101.3.4.1.46": ("AES-256-GCM", 32),
}
_GCM_TAG_SIZES: Final = range(12, 17)  # RFC 5084 section 3.2, whose default is the first
_RC2_EFFECTIVE_BITS: Final = {160: 40, 120: 64, 58: 128}  # RFC 8018 appendix B.2.3
_RC2_VERSION_IS_BITS: Final = 256
_RC2_OLD_BITS: Final = 32  # "if the version is omitted"
_MAX_KEY: Final = 128  # bytes: RC2 takes the longest


def algorithm_of(element: der.Element) -> tuple[str, der.Element]:
    """AlgorithmIdentifier ::= SEQUENCE { OBJECT IDENTIFIER, parameters ANY OPTIONAL }.

    An empty SEQUENCE stands for parameters that are left out. Raises ValueError.
    """
    if element.tag != der.SEQUENCE:
        raise ValueError("no AlgorithmIdentifier")
    members = element.children()
    if not members:
        raise ValueError("an empty AlgorithmIdentifier")
    nothing = der.Element(der.SEQUENCE, b"")
    return members[0].oid(), members[1] if len(members) > 1 else nothing


def derivation_of(element: der.Element, size: int, *, any_size: bool = False) -> Pbkdf2 | ScryptKdf:
    """The key derivation function of an AlgorithmIdentifier, not paid for yet.

    It makes `size` bytes; where `any_size` is true the parameters may name another number, up to 128.
    Raises EncryptionRefused, ValueError.
    """
    name, parameters = algorithm_of(element)
    if name not in (_PBKDF2, _SCRYPT):
        raise EncryptionRefused(f"its key derivation {name} is not supported")
    try:
        members = parameters.children()
        kdf = _pbkdf2(members, size) if name == _PBKDF2 else _scrypt(members, size)
    except IndexError:
        raise ValueError("parameters are missing") from None
    if kdf.size != size and not (any_size and 1 <= kdf.size <= _MAX_KEY):
        raise ValueError("a key length that is not the cipher's")
    return kdf


def _pbkdf2(members: list[der.Element], size: int) -> Pbkdf2:
    """{ salt CHOICE, iterationCount, keyLength OPTIONAL, prf DEFAULT hmacWithSHA1 }"""
    salt, iterations, rest = members[0], members[1].integer(), members[2:]
    if salt.tag == der.SEQUENCE:
        raise EncryptionRefused("the salt of its key derivation is not in the file")
    named = rest.pop(0).integer() if rest and rest[0].tag == der.INTEGER else None
    prf = _prf(rest[0]) if rest else _SHA1
    return Pbkdf2(salt.octets(), iterations, size if named is None else named, prf)


def _prf(element: der.Element) -> Prf:
    name, _ = algorithm_of(element)
    if name not in _PRFS:
        raise EncryptionRefused(f"the pseudo-random function {name} is not supported")
    return _PRFS[name]


def _scrypt(members: list[der.Element], size: int) -> ScryptKdf:
    """{ salt, N, r, p, keyLength OPTIONAL }"""
    salt, (n, r, p, *rest) = members[0].octets(), [member.integer() for member in members[1:]]
    if n < 2 or n & (n - 1) or r < 1 or p < 1 or n.bit_length() > 16 * r:  # noqa: PLR2004 - RFC 7914, 2
        raise ValueError("parameters that scrypt does not have")
    if 128 * n * r > MAX_SCRYPT_BYTES or p > MAX_SCRYPT_PARALLEL:
        raise EncryptionRefused(
            f"its scrypt parameters ask for more than {MAX_SCRYPT_BYTES // 2**20} MiB of memory "
            f"or more than {MAX_SCRYPT_PARALLEL} passes"
        )
    return ScryptKdf(salt, n, r, p, rest[0] if rest else size)


def cipher_of(element: der.Element) -> tuple[CipherKind, bytes]:
    """The cipher of an AlgorithmIdentifier and its vector. Raises EncryptionRefused, ValueError."""
    name, parameters = algorithm_of(element)
    if name == _RC2_CBC:
        return _rc2(parameters)
    if name in _GCM:
        try:
            return _gcm(*_GCM[name], parameters.children())
        except IndexError:
            raise ValueError("parameters are missing") from None
    if name not in _CIPHERS:
        shown = _NAMES_OF_UNSUPPORTED.get(name, name)
        raise EncryptionRefused(f"the cipher {shown} is not supported")
    cipher, vector = _CIPHERS[name], parameters.octets()
    if len(vector) != cipher.vector_size:
        raise ValueError("an initial vector that is not one block")
    return cipher, vector


def _rc2(parameters: der.Element) -> tuple[CipherKind, bytes]:
    """RC2-CBC-Parameter ::= SEQUENCE { version OPTIONAL, iv }, or the iv alone"""
    alone = parameters.tag == der.OCTET_STRING
    *version, vector = [parameters] if alone else parameters.children()
    bits = _rc2_bits(version[0].integer()) if version else _RC2_OLD_BITS
    if len(vector.octets()) != ciphers.RC2_40_CBC.vector_size:
        raise ValueError("an initial vector that is not one block")
    return ciphers.rc2_cbc(-(-bits // 8), bits), vector.body


def _rc2_bits(version: int) -> int:
    bits = version if version >= _RC2_VERSION_IS_BITS else _RC2_EFFECTIVE_BITS.get(version, 0)
    if not 1 <= bits <= 8 * _MAX_KEY:
        raise ValueError("effective key bits that RC2 does not have")
    return bits


def _gcm(name: str, key_size: int, members: list[der.Element]) -> tuple[CipherKind, bytes]:
    """GCMParameters ::= SEQUENCE { nonce, ICVlen DEFAULT 12 }"""
    nonce, tag = members[0].octets(), members[1].integer() if len(members) > 1 else 12
    if tag not in _GCM_TAG_SIZES or not 8 <= len(nonce) <= 128:  # noqa: PLR2004 - the library's
        raise ValueError("a nonce or tag of a size that is not allowed")
    return ciphers.gcm(name, key_size, tag), nonce
