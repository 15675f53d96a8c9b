"""The MAC over a PKCS#12, which tells whether a passphrase is the right one (RFC 7292 section 4, RFC 9579).

It is derived from the passphrase in its own way, and what is encrypted may have another passphrase.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.hmac import HMAC

from services.secrets.certificates.encodings import der
from services.secrets.certificates.keys.budget import Budget, EncryptionRefused
from services.secrets.certificates.keys.derivation import (
    MAC_MATERIAL,
    Pbkdf2,
    ScryptKdf,
    charge_pkcs12,
    passphrase_octets,
    pkcs12_kdf,
    pkcs12_passphrases,
)
from services.secrets.certificates.keys.pbes2 import algorithm_of, derivation_of

_PBMAC1: Final = "1.2.840.113549.1.5.14"
_DIGESTS: Final = {
    "1.2.840.113549.2.5": "md5",
    "1.3.14.3.2.26": "sha1",
    "2.16.840.1.101.3.4.2.4": "sha224",
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
    "2.16.840.1.101.3.4.2.5": "sha512_224",
    "2.16.840.1.101.3.4.2.6": "sha512_256",
    "2.16.840.1.101.3.4.2.7": "sha3_224",
    "2.16.840.1.101.3.4.2.8": "sha3_256",
    "2.16.840.1.101.3.4.2.9": "sha3_384",
    "2.16.840.1.101.3.4.2.10": "sha3_512",
}
"""What the MAC's hash is called in hashlib."""
_HMACS: Final[dict[str, hashes.HashAlgorithm]] = {
    "1.2.840.113549.2.7": hashes.SHA1(),  # noqa: S303 - HMAC with SHA-1 is not broken
    "1.2.840.113549.2.8": hashes.SHA224(),
    "1.2.840.113549.2.9": hashes.SHA256(),
    "1.2.840.113549.2.10": hashes.SHA384(),
    "1.2.840.113549.2.11": hashes.SHA512(),
    "1.2.840.113549.2.12": hashes.SHA512_224(),
    "1.2.840.113549.2.13": hashes.SHA512_256(),
}
_DEFAULT_ITERATIONS: Final = 1
_MIN_PBMAC1_KEY: Final = 20
"""Octets; RFC 9579 section 9 forbids to accept less."""


Passphrases = Sequence[bytes | None]
"""In UTF-8; None is none at all."""


@dataclass(frozen=True, slots=True)
class Pkcs12Mac:
    """HMAC under a key of RFC 7292 appendix B. `digest` as hashlib names it."""

    digest: str
    salt: bytes = field(repr=False)
    iterations: int
    expected: bytes = field(repr=False)

    def trials(self, passphrases: Passphrases) -> list[tuple[bytes | None, bytes]]:
        """Each passphrase with each form in which it may have been taken."""
        return [(word, form) for word in passphrases for form in pkcs12_passphrases(word)]

    def charge(self, budget: Budget) -> None:
        """Pays for one trial. Raises EncryptionRefused, ValueError."""
        charge_pkcs12(budget, self.iterations, self.digest, self._size)

    def fits(self, data: bytes, form: bytes) -> bool:
        """Whether this form of a passphrase made this MAC of `data`."""
        key = pkcs12_kdf(
            form,
            self.salt,
            MAC_MATERIAL,
            iterations=self.iterations,
            digest=self.digest,
            size=self._size,
        )
        return hmac.compare_digest(hmac.new(key, data, self.digest).digest(), self.expected)

    @property
    def _size(self) -> int:
        return hashlib.new(self.digest, usedforsecurity=False).digest_size


@dataclass(frozen=True, slots=True)
class Pbmac1:
    """RFC 9579: the passphrase goes into PBKDF2 in UTF-8, and none at all is as good as an empty one."""

    derivation: Pbkdf2 | ScryptKdf
    algorithm: hashes.HashAlgorithm
    expected: bytes = field(repr=False)

    def trials(self, passphrases: Passphrases) -> list[tuple[bytes | None, bytes]]:
        """The first passphrase in the octets in which it may have been taken."""
        return [(word, octets) for word in passphrases[:1] for octets in passphrase_octets(word)]

    def charge(self, budget: Budget) -> None:
        """Pays for one trial. Raises EncryptionRefused, ValueError."""
        self.derivation.charge(budget)

    def fits(self, data: bytes, form: bytes) -> bool:
        """Whether this passphrase made this MAC of `data`."""
        made = HMAC(self.derivation.derive(form), self.algorithm)
        made.update(data)
        return hmac.compare_digest(made.finalize(), self.expected)


Mac = Pkcs12Mac | Pbmac1


def mac_of(element: der.Element) -> Mac:
    """MacData ::= SEQUENCE { mac DigestInfo, macSalt OCTET STRING, iterations INTEGER DEFAULT 1 }

    Raises EncryptionRefused for a method that is not known, ValueError for a structure that is none.
    """
    info, salt, *rest = element.members()
    algorithm, expected = info.members()
    name, parameters = algorithm_of(algorithm)
    if name == _PBMAC1:
        return _pbmac1(parameters, expected.octets())
    if name not in _DIGESTS:
        raise EncryptionRefused(f"the hash {name} of its MAC is not supported")
    iterations = rest[0].integer() if rest else _DEFAULT_ITERATIONS
    return Pkcs12Mac(_DIGESTS[name], salt.octets(), iterations, expected.octets())


def _pbmac1(parameters: der.Element, expected: bytes) -> Pbmac1:
    """PBMAC1-params ::= SEQUENCE { keyDerivationFunc, messageAuthScheme }"""
    derivation, scheme = parameters.members()
    name, _ = algorithm_of(scheme)
    if name not in _HMACS:
        raise EncryptionRefused(f"the function {name} of its MAC is not supported")
    kdf = derivation_of(derivation, _HMACS[name].digest_size, any_size=True)
    if kdf.size < _MIN_PBMAC1_KEY:
        raise ValueError("a key of the MAC that is too short")
    return Pbmac1(kdf, _HMACS[name], expected)
