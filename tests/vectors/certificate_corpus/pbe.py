"""Password-based encryption as the programs of the last decades do it, written from the standards.

PBES1 and PBES2: RFC 8018. scrypt: RFC 7914. The schemes of PKCS#12: RFC 7292 appendices B and C.
Salts and vectors are fixed, rounds few: nothing here protects anything.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4, RC2, Camellia, TripleDES
from cryptography.hazmat.primitives.ciphers import BlockCipherAlgorithm, Cipher, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES

from tests.vectors.certificate_corpus import asn1, openssl
from tests.vectors.certificate_corpus.authority import seed

SALT: Final = seed("salt", 8)
ROUNDS: Final = 512

PRFS: Final = {
    "hmacWithSHA1": ("1.2.840.113549.2.7", "sha1"),
    "hmacWithSHA224": ("1.2.840.113549.2.8", "sha224"),
    "hmacWithSHA256": ("1.2.840.113549.2.9", "sha256"),
    "hmacWithSHA384": ("1.2.840.113549.2.10", "sha384"),
    "hmacWithSHA512": ("1.2.840.113549.2.11", "sha512"),
    "hmacWithSHA512-224": ("1.2.840.113549.2.12", "sha512_224"),
    "hmacWithSHA512-256": ("1.2.840.113549.2.13", "sha512_256"),
}
CIPHERS: Final = {
    "AES-128-CBC": ("2.16.840.1.101.3.4.1.2", 16, 16),
    "AES-192-CBC": ("2.16.840.1.101.3.4.1.22", 24, 16),
    "AES-256-CBC": ("2.16.840.1.101.3.4.1.42", 32, 16),
    "DES-EDE3-CBC": ("1.2.840.113549.3.7", 24, 8),
    "DES-CBC": ("1.3.14.3.2.7", 8, 8),
    "RC2-40-CBC": ("1.2.840.113549.3.2", 5, 8),
    "RC2-64-CBC": ("1.2.840.113549.3.2", 8, 8),
    "RC2-128-CBC": ("1.2.840.113549.3.2", 16, 8),
    "AES-256-GCM": ("2.16.840.1.101.3.4.1.46", 32, 12),
    "CAMELLIA-256-CBC": ("1.2.392.200011.61.1.1.1.4", 32, 16),
}
ARIA: Final = asn1.algorithm("1.2.410.200046.1.1.12", asn1.octets(bytes(16)))
"""ARIA-256-CBC, which nothing here reads."""
_GCM_TAG: Final = 16
_RC2_VERSIONS: Final = {5: 160, 8: 120, 16: 58}
"""RFC 8018 appendix B.2.3: how the effective key bits are written."""

PKCS12_SCHEMES: Final = {
    "pbeWithSHA1And128BitRC4": ("1.2.840.113549.1.12.1.1", "RC4", 16, 0),
    "pbeWithSHA1And40BitRC4": ("1.2.840.113549.1.12.1.2", "RC4", 5, 0),
    "pbeWithSHA1And3-KeyTripleDES-CBC": ("1.2.840.113549.1.12.1.3", "DES-EDE3-CBC", 24, 8),
    "pbeWithSHA1And2-KeyTripleDES-CBC": ("1.2.840.113549.1.12.1.4", "DES-EDE3-CBC", 16, 8),
    "pbeWithSHA1And128BitRC2-CBC": ("1.2.840.113549.1.12.1.5", "RC2-128-CBC", 16, 8),
    "pbeWithSHA1And40BitRC2-CBC": ("1.2.840.113549.1.12.1.6", "RC2-40-CBC", 5, 8),
}
PBES1_SCHEMES: Final = {
    "pbeWithMD5AndDES-CBC": ("1.2.840.113549.1.5.3", "md5", "DES-CBC"),
    "pbeWithMD5AndRC2-CBC": ("1.2.840.113549.1.5.6", "md5", "RC2-64-CBC"),
    "pbeWithSHA1AndDES-CBC": ("1.2.840.113549.1.5.10", "sha1", "DES-CBC"),
    "pbeWithSHA1AndRC2-CBC": ("1.2.840.113549.1.5.11", "sha1", "RC2-64-CBC"),
}


@dataclass(frozen=True)
class Scheme:
    """An AlgorithmIdentifier and the key and vector that it gives with one passphrase."""

    algorithm: bytes
    cipher: str
    key: bytes
    vector: bytes

    def seal(self, plain: bytes) -> bytes:
        """The ciphertext."""
        return encrypt(self.cipher, self.key, self.vector, plain)

    def encrypted_key(self, pkcs8: bytes) -> bytes:
        """EncryptedPrivateKeyInfo (RFC 5958)."""
        return asn1.sequence(self.algorithm, asn1.octets(self.seal(pkcs8)))


def pbes2(
    passphrase: str,
    cipher: str = "AES-256-CBC",
    prf: str = "hmacWithSHA256",
    *,
    rounds: int = ROUNDS,
    claimed: int | None = None,
    key_length: bool = False,
    encoding: str = "utf-8",
) -> Scheme:
    """PBKDF2 and a cipher; `claimed` is the round count that is written instead of the true one, and
    `encoding` that of the terminal."""
    oid, size, _ = CIPHERS[cipher]
    prf_oid, digest = PRFS[prf]
    key = _pbkdf2(digest, passphrase.encode(encoding), rounds, size)
    parameters = [asn1.octets(SALT), asn1.integer(claimed or rounds)]
    parameters += [asn1.integer(size)] if key_length or cipher.startswith("RC2") else []
    if prf != "hmacWithSHA1":  # the default is not written
        parameters.append(asn1.algorithm(prf_oid, asn1.NULL))
    kdf = asn1.algorithm("1.2.840.113549.1.5.12", asn1.sequence(*parameters))
    return _pbes2(kdf, cipher, oid, key)


def scrypt(
    passphrase: str, cipher: str = "AES-256-CBC", *, n: int = 1024, r: int = 8, p: int = 1
) -> Scheme:
    """PBES2 with scrypt."""
    oid, size, _ = CIPHERS[cipher]
    key = hashlib.scrypt(passphrase.encode(), salt=SALT, n=n, r=r, p=p, dklen=size)
    return _pbes2(scrypt_algorithm(n, r, p), cipher, oid, key)


def scrypt_algorithm(n: int, r: int, p: int) -> bytes:
    """The AlgorithmIdentifier alone, for costs that nobody should pay."""
    parameters = asn1.sequence(asn1.octets(SALT), *map(asn1.integer, (n, r, p)))
    return asn1.algorithm("1.3.6.1.4.1.11591.4.11", parameters)


def _pbes2(kdf: bytes, cipher: str, oid: str, key: bytes) -> Scheme:
    vector = seed("vector", CIPHERS[cipher][2])
    parameters = asn1.octets(vector)
    if cipher.startswith("RC2"):
        parameters = asn1.sequence(asn1.integer(_RC2_VERSIONS[len(key)]), parameters)
    if cipher.endswith("GCM"):
        parameters = asn1.sequence(parameters, asn1.integer(_GCM_TAG))
    both = asn1.sequence(kdf, asn1.algorithm(oid, parameters))
    return Scheme(asn1.algorithm("1.2.840.113549.1.5.13", both), cipher, key, vector)


def pbkdf2_algorithm(rounds: int = ROUNDS, prf: bytes = b"") -> bytes:
    """The AlgorithmIdentifier of PBKDF2 alone."""
    return asn1.algorithm(
        "1.2.840.113549.1.5.12", asn1.sequence(asn1.octets(SALT), asn1.integer(rounds), prf)
    )


def pbes2_of(kdf: bytes, cipher: bytes) -> bytes:
    """The AlgorithmIdentifier of PBES2 with any two parts."""
    return asn1.algorithm("1.2.840.113549.1.5.13", asn1.sequence(kdf, cipher))


def pbes1(passphrase: str, name: str, *, rounds: int = ROUNDS, encoding: str = "utf-8") -> Scheme:
    """RFC 8018 section 6.1: eight octets of key and eight of vector out of PBKDF1."""
    oid, digest, cipher = PBES1_SCHEMES[name]
    derived = passphrase.encode(encoding) + SALT
    for _ in range(rounds):
        derived = hashlib.new(digest, derived).digest()
    return Scheme(_with_salt(oid, rounds), cipher, derived[:8], derived[8:16])


def pkcs12_pbe(
    passphrase: str | None, name: str, *, rounds: int = ROUNDS, claimed: int | None = None
) -> Scheme:
    """RFC 7292 appendix C; None is the absent passphrase, which is not the empty one."""
    oid, cipher, size, block = PKCS12_SCHEMES[name]
    password = bmp_password(passphrase)
    key = pkcs12_kdf("sha1", password, SALT, rounds, 1, size)
    vector = pkcs12_kdf("sha1", password, SALT, rounds, 2, block) if block else b""
    return Scheme(_with_salt(oid, claimed or rounds), cipher, key, vector)


def _with_salt(oid: str, rounds: int) -> bytes:
    return asn1.algorithm(oid, asn1.sequence(asn1.octets(SALT), asn1.integer(rounds)))


def bmp_password(passphrase: str | None) -> bytes:
    """UTF-16 with two zero octets behind it; nothing at all for the absent one."""
    return b"" if passphrase is None else passphrase.encode("utf-16-be") + b"\0\0"


def pkcs12_kdf(
    digest: str, password: bytes, salt: bytes, rounds: int, purpose: int, size: int
) -> bytes:
    """RFC 7292 appendix B.2; `purpose` is 1 for a key, 2 for a vector, 3 for a MAC."""
    hashed = hashlib.new(digest)
    block, width = hashed.block_size, hashed.digest_size
    diversifier = bytes([purpose]) * block
    mixed = _filled(salt, block) + _filled(password, block)
    derived = b""
    while len(derived) < size:
        round_ = hashlib.new(digest, diversifier + mixed).digest()
        for _ in range(rounds - 1):
            round_ = hashlib.new(digest, round_).digest()
        derived += round_
        addend = int.from_bytes(_filled(round_[:width], block)[:block]) + 1
        pieces = (mixed[at : at + block] for at in range(0, len(mixed), block))
        mixed = b"".join(
            ((int.from_bytes(piece) + addend) % 2 ** (8 * block)).to_bytes(block)
            for piece in pieces
        )
    return derived[:size]


def _filled(text: bytes, block: int) -> bytes:
    whole = -(-len(text) // block) * block
    return (text * (whole // len(text) + 1))[:whole] if text else b""


def _pbkdf2(digest: str, passphrase: bytes, rounds: int, size: int) -> bytes:
    if digest in {"sha512_224", "sha512_256"}:  # hashlib's own PBKDF2 refuses these here and there
        return _pbkdf2_by_hand(digest, passphrase, rounds, size)
    return hashlib.pbkdf2_hmac(digest, passphrase, SALT, rounds, size)


def _pbkdf2_by_hand(digest: str, passphrase: bytes, rounds: int, size: int) -> bytes:
    derived, block = b"", 0
    while len(derived) < size:
        block += 1
        last = hmac.digest(passphrase, SALT + block.to_bytes(4), digest)
        mixed = int.from_bytes(last)
        for _ in range(rounds - 1):
            last = hmac.digest(passphrase, last, digest)
            mixed ^= int.from_bytes(last)
        derived += mixed.to_bytes(len(last))
    return derived[:size]


def encrypt(cipher: str, key: bytes, vector: bytes, plain: bytes) -> bytes:
    """CBC with the padding of RFC 8018 section 6.1.1, or RC4."""
    if cipher == "RC4":
        stream = Cipher(ARC4(key), None).encryptor()
        return stream.update(plain) + stream.finalize()
    if cipher.startswith("RC2") and len(key) != 16:  # the library knows 128 effective bits only
        return openssl.encipher(f"rc2-{8 * len(key)}-cbc", key, vector, plain)
    if cipher.endswith("GCM"):
        return AESGCM(key).encrypt(vector, plain, None)
    algorithm = _block_cipher(cipher, key)
    block = algorithm.block_size // 8
    padding = block - len(plain) % block
    sealing = Cipher(algorithm, modes.CBC(vector)).encryptor()
    return sealing.update(plain + bytes([padding]) * padding) + sealing.finalize()


def _block_cipher(cipher: str, key: bytes) -> BlockCipherAlgorithm:
    if cipher.startswith("AES"):
        return AES(key)
    if cipher.startswith("CAMELLIA"):
        return Camellia(key)
    if cipher.startswith("RC2"):
        return RC2(key)
    return TripleDES({8: key * 3, 16: key + key[:8], 24: key}[len(key)])
