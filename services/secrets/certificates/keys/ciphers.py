"""The ciphers that private keys and PKCS#12 files are protected with, for decryption only.

Nobody should use half of them. They are here because files of the last twenty years do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4, SEED, Camellia, TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES, SM4

from services.secrets.certificates.keys import rc2

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers import BlockCipherAlgorithm

Decrypt = Callable[[bytes, bytes, bytes], bytes]
"""(key, vector, data) to the plaintext without padding. Raises WrongPassphrase, and PartialCiphertext when
the data cannot be the cipher's, whatever the key."""


class WrongPassphrase(Exception):  # noqa: N818 - a refusal
    """What was decrypted is no plaintext. A wrong passphrase may also go unnoticed here."""


class PartialCiphertext(ValueError):  # noqa: N818 - a refusal
    """The ciphertext has a length that the cipher never makes: some of it is missing."""


@dataclass(frozen=True, slots=True)
class CipherKind:
    """A cipher in one mode; sizes in bytes. `vector_size` is 0 where there is none (RC4) or where the file
    decides how long it is (GCM)."""

    name: str
    key_size: int
    vector_size: int
    decrypt: Decrypt
    is_legacy: bool = False
    takes_any_key: bool = False
    """Whether a key of another size does as well (RC2, whose strength its effective bits limit)."""


def _cbc(algorithm: Callable[[bytes], BlockCipherAlgorithm]) -> Decrypt:
    def decrypt(key: bytes, vector: bytes, data: bytes) -> bytes:
        _refuse_partial(data, len(vector))
        decryptor = Cipher(algorithm(key), modes.CBC(vector)).decryptor()
        return _unpadded(decryptor.update(data) + decryptor.finalize(), len(vector))

    return decrypt


def _rc2_cbc(effective_bits: int) -> Decrypt:
    def decrypt(key: bytes, vector: bytes, data: bytes) -> bytes:
        _refuse_partial(data, rc2.BLOCK)
        return _unpadded(rc2.decrypt_cbc(key, effective_bits, vector, data), rc2.BLOCK)

    return decrypt


def _rc4(key: bytes, _: bytes, data: bytes) -> bytes:
    decryptor = Cipher(ARC4(key), None).decryptor()
    return decryptor.update(data) + decryptor.finalize()


def _des(key: bytes) -> TripleDES:
    return TripleDES(key * 3)


def _two_key_triple_des(key: bytes) -> TripleDES:
    return TripleDES(key + key[:8])


def _refuse_partial(data: bytes, block: int) -> None:
    if not data or len(data) % block:
        raise PartialCiphertext("not whole blocks")


def _unpadded(data: bytes, block: int) -> bytes:
    """RFC 8018 section 6.1.1 step 4."""
    count = data[-1]
    if not 1 <= count <= block or data[-count:] != bytes([count]) * count:
        raise WrongPassphrase
    return data[:-count]


def gcm(name: str, key_size: int, tag_size: int) -> CipherKind:
    """AES in GCM (RFC 5084), the tag behind the ciphertext; `tag_size` is 12 to 16 bytes."""

    def decrypt(key: bytes, vector: bytes, data: bytes) -> bytes:
        if len(data) < tag_size:
            raise PartialCiphertext("shorter than its tag")
        mode = modes.GCM(vector, data[-tag_size:], min_tag_length=tag_size)
        decryptor = Cipher(AES(key), mode).decryptor()
        try:
            return decryptor.update(data[:-tag_size]) + decryptor.finalize()
        except InvalidTag:
            raise WrongPassphrase from None

    return CipherKind(name, key_size, 0, decrypt)


def rc2_cbc(key_size: int, effective_bits: int) -> CipherKind:
    """RC2 (RFC 2268); `key_size` in bytes."""
    decrypt = _rc2_cbc(effective_bits)
    return CipherKind("RC2-CBC", key_size, rc2.BLOCK, decrypt, is_legacy=True, takes_any_key=True)


AES_128_CBC: Final = CipherKind("AES-128-CBC", 16, 16, _cbc(AES))
AES_192_CBC: Final = CipherKind("AES-192-CBC", 24, 16, _cbc(AES))
AES_256_CBC: Final = CipherKind("AES-256-CBC", 32, 16, _cbc(AES))
CAMELLIA_128_CBC: Final = CipherKind("CAMELLIA-128-CBC", 16, 16, _cbc(Camellia))
CAMELLIA_192_CBC: Final = CipherKind("CAMELLIA-192-CBC", 24, 16, _cbc(Camellia))
CAMELLIA_256_CBC: Final = CipherKind("CAMELLIA-256-CBC", 32, 16, _cbc(Camellia))
SEED_CBC: Final = CipherKind("SEED-CBC", 16, 16, _cbc(SEED))
SM4_CBC: Final = CipherKind("SM4-CBC", 16, 16, _cbc(SM4))
DES_CBC: Final = CipherKind("DES-CBC", 8, 8, _cbc(_des), is_legacy=True)
DES_EDE_CBC: Final = CipherKind("DES-EDE-CBC", 16, 8, _cbc(_two_key_triple_des), is_legacy=True)
DES_EDE3_CBC: Final = CipherKind("DES-EDE3-CBC", 24, 8, _cbc(TripleDES), is_legacy=True)
RC2_40_CBC: Final = rc2_cbc(5, 40)
RC2_64_CBC: Final = rc2_cbc(8, 64)
RC2_128_CBC: Final = rc2_cbc(16, 128)
RC4_40: Final = CipherKind("RC4-40", 5, 0, _rc4, is_legacy=True)
RC4_128: Final = CipherKind("RC4-128", 16, 0, _rc4, is_legacy=True)
