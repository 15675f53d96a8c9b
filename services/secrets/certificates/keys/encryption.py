"""Password-based encryption: how it is read, what it costs, and how it is undone.

For PKCS#8 (RFC 5958) and PKCS#12 (RFC 7292) alike: PBES2 and PBES1 (RFC 8018), and PKCS#12's own.
Nothing is decrypted before its price has been taken from the file's budget.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from services.secrets.certificates.encodings import der
from services.secrets.certificates.keys import ciphers
from services.secrets.certificates.keys.budget import (
    Budget,
    EncryptionRefused,
    FormsLeft,
    TooMuchWork,
)
from services.secrets.certificates.keys.ciphers import (
    CipherKind,
    PartialCiphertext,
    WrongPassphrase,
)
from services.secrets.certificates.keys.derivation import (
    Pbkdf1,
    Pbkdf2,
    Pkcs12Kdf,
    ScryptKdf,
    passphrase_octets,
    pkcs12_kdf,
    pkcs12_passphrases,
)
from services.secrets.certificates.keys.pbes2 import algorithm_of, cipher_of, derivation_of

__all__ = [
    "Budget",
    "EncryptionRefused",
    "FormsLeft",
    "KeyEncryption",
    "PartialCiphertext",
    "Scheme",
    "TooMuchWork",
    "WrongPassphrase",
    "may_be_a_structure",
    "pkcs12_kdf",
    "scheme_of",
]

_PBES2: Final = "1.2.840.113549.1.5.13"
_PBES1: Final = {
    "1.2.840.113549.1.5.3": ("pbeWithMD5AndDES-CBC", "md5", ciphers.DES_CBC),
    "1.2.840.113549.1.5.6": ("pbeWithMD5AndRC2-CBC", "md5", ciphers.RC2_64_CBC),
    "1.2.840.113549.1.5.10": ("pbeWithSHA1AndDES-CBC", "sha1", ciphers.DES_CBC),
    "1.2.840.113549.1.5.11": ("pbeWithSHA1AndRC2-CBC", "sha1", ciphers.RC2_64_CBC),
}
_PKCS12: Final = {
    "1.2.840.113549.1.12.1.1": ("pbeWithSHA1And128BitRC4", ciphers.RC4_128),
    "1.2.840.113549.1.12.1.2": ("pbeWithSHA1And40BitRC4", ciphers.RC4_40),
    "1.2.840.113549.1.12.1.3": ("pbeWithSHA1And3-KeyTripleDES-CBC", ciphers.DES_EDE3_CBC),
    "1.2.840.113549.1.12.1.4": ("pbeWithSHA1And2-KeyTripleDES-CBC", ciphers.DES_EDE_CBC),
    "1.2.840.113549.1.12.1.5": ("pbeWithSHA1And128BitRC2-CBC", ciphers.RC2_128_CBC),
    "1.2.840.113549.1.12.1.6": ("pbeWithSHA1And40BitRC2-CBC", ciphers.RC2_40_CBC),
}
_INDEFINITE: Final = 0x80
_NAMES_OF_UNSUPPORTED: Final = {
    "1.2.840.113549.1.5.1": "pbeWithMD2AndDES-CBC",
    "1.2.840.113549.1.5.4": "pbeWithMD2AndRC2-CBC",
}


@dataclass(frozen=True, slots=True)
class KeyEncryption:
    """Name of the method, and whether it is one that no new key should be protected with."""

    name: str
    is_legacy: bool


@dataclass(frozen=True, slots=True)
class _Derivation:
    """A key derivation, and what comes out of it that is not key (PBES1 and PKCS#12: the vector)."""

    kdf: Pbkdf1 | Pbkdf2 | Pkcs12Kdf | ScryptKdf
    vector: bytes | None

    def forms(self, passphrase: bytes | None, likely: Sequence[bytes]) -> list[bytes]:
        """The forms of the passphrase that are to be tried, those that are in `likely` first."""
        takes_text = isinstance(self.kdf, Pkcs12Kdf)
        forms = pkcs12_passphrases(passphrase) if takes_text else passphrase_octets(passphrase)
        return [form for form in likely if form in forms] + [
            form for form in forms if form not in likely
        ]


class Scheme:
    """One encryption whose first derivation has been paid for; each further one pays again.

    Nothing of it is secret. Not for several threads.
    """

    __slots__ = ("_budget", "_cipher", "_derivation", "_is_paid", "encryption")

    def __init__(
        self,
        encryption: KeyEncryption,
        cipher: CipherKind,
        derivation: _Derivation,
        budget: Budget,
    ) -> None:
        derivation.kdf.charge(budget)
        self.encryption = encryption
        self._cipher = cipher
        self._derivation = derivation
        self._budget = budget
        self._is_paid = True

    @property
    def tells_none_from_empty(self) -> bool:
        """Whether no passphrase and an empty one give different keys."""
        return isinstance(self._derivation.kdf, Pkcs12Kdf)

    def decrypt(self, data: bytes, passphrase: bytes | None, likely: Sequence[bytes] = ()) -> bytes:
        """The plaintext, which begins like the ASN.1 structure that it has to be.

        `passphrase` is in UTF-8; None is none at all, which PKCS#12's own methods tell from an empty
        one. Where a passphrase may have been taken in several forms, all are tried, those of them that are in
        `likely` (see `forms_akin`) first.
        Not promised: that the plaintext is what was encrypted, as a wrong passphrase makes something that
        looks right once in many thousand times.
        Raises WrongPassphrase when all were tried, FormsLeft when the budget ended before; PartialCiphertext
        when no passphrase could decrypt `data`.
        """
        for form in self._derivation.forms(passphrase, likely):
            plain = self._attempt(data, form)
            if plain is not None and may_be_a_structure(plain):
                return plain
        raise WrongPassphrase

    def _attempt(self, data: bytes, passphrase: bytes) -> bytes | None:
        self._pay()
        try:
            derived = self._derivation.kdf.derive(passphrase)
            size, vector = self._cipher.key_size, self._derivation.vector
            if vector is None:
                derived, vector = derived[:size], derived[size:]
            return self._cipher.decrypt(derived, vector, data)
        except WrongPassphrase:
            return None

    def _pay(self) -> None:
        try:
            if not self._is_paid:
                self._derivation.kdf.charge(self._budget)
        except TooMuchWork:
            raise FormsLeft from None
        self._is_paid = False


def scheme_of(algorithm: der.Element, budget: Budget) -> Scheme:
    """The scheme that an AlgorithmIdentifier names, paid for once.

    Raises EncryptionRefused (a method nobody here knows, or one beyond the budget or the limits of
    limits.py), ValueError for a structure that is none.
    """
    name, parameters = algorithm_of(algorithm)
    try:
        if name == _PBES2:
            return _pbes2(parameters.children(), budget)
        if name in _PBES1:
            return _pbes1(*_PBES1[name], parameters.children(), budget)
        if name in _PKCS12:
            return _pkcs12(*_PKCS12[name], parameters.children(), budget)
    except IndexError:
        raise ValueError("parameters are missing") from None
    shown = _NAMES_OF_UNSUPPORTED.get(name, name)
    raise EncryptionRefused(f"its encryption method {shown} is not supported")


def _pbes2(members: list[der.Element], budget: Budget) -> Scheme:
    cipher, vector = cipher_of(members[1])
    kdf = derivation_of(members[0], cipher.key_size, any_size=cipher.takes_any_key)
    encryption = KeyEncryption(cipher.name, cipher.is_legacy)
    return Scheme(encryption, cipher, _Derivation(kdf, vector), budget)


def _pbes1(
    name: str, digest: str, cipher: CipherKind, members: list[der.Element], budget: Budget
) -> Scheme:
    """PBEParameter ::= SEQUENCE { salt, iterationCount }, as is PKCS#12's own."""
    kdf = Pbkdf1(members[0].octets(), members[1].integer(), digest)
    return Scheme(KeyEncryption(name, is_legacy=True), cipher, _Derivation(kdf, None), budget)


def _pkcs12(name: str, cipher: CipherKind, members: list[der.Element], budget: Budget) -> Scheme:
    salt, iterations = members[0].octets(), members[1].integer()
    kdf = Pkcs12Kdf(salt, iterations, "sha1", cipher.key_size, cipher.vector_size)
    return Scheme(KeyEncryption(name, is_legacy=True), cipher, _Derivation(kdf, None), budget)


def may_be_a_structure(plain: bytes) -> bool:
    """Whether it is one SEQUENCE by its length, or begins an indefinite one (BER).

    All that is ever encrypted in keys and containers is; a stream cipher has no padding that tells.
    """
    tag, length, rest = plain[:1], plain[1:2], plain[2:]
    if tag != bytes([der.SEQUENCE]) or not length:
        return False
    if length[0] == _INDEFINITE:
        return True
    size, octets_of_length = length[0], length[0] & 0x7F
    if size & _INDEFINITE:
        size = octets_of_length + int.from_bytes(rest[:octets_of_length], "big")
    return size <= len(rest) and not rest[size:].strip(der.PADDING)
