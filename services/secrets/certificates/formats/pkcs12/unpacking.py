"""From a PKCS#12 that was taken apart to its certificates and keys.

Order of work: all that is visible is paid for, the MAC is verified, and only then is anything decrypted;
what comes to light inside is paid for before it is decrypted in turn.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from services.secrets.certificates.contents import Contents
from services.secrets.certificates.facts.certificate import Certificate
from services.secrets.certificates.formats.one_certificate import certificate_of
from services.secrets.certificates.formats.pkcs12 import refusals
from services.secrets.certificates.formats.pkcs12.bags import Bags, bags_of
from services.secrets.certificates.formats.pkcs12.integrity import mac_of
from services.secrets.certificates.formats.pkcs12.structure import Pfx, Sealed
from services.secrets.certificates.formats.pkcs12.unlocking import (
    Locked,
    Words,
    locked,
    passphrases,
    unlock,
    verified,
)
from services.secrets.certificates.keys.encryption import (
    Budget,
    FormsLeft,
    TooMuchWork,
    WrongPassphrase,
)
from services.secrets.certificates.keys.opening import OpenedKey, open_key_der
from services.secrets.certificates.limits import check_count, check_keys
from services.secrets.certificates.refusal import CertificateRefused


@dataclass(frozen=True, slots=True)
class _Safe:
    """SafeContents that lie open; the keys in them may be locked once more, and are paid for."""

    bags: Bags
    keys: list[bytes | Locked] = field(repr=False)


def unpack(pfx: Pfx, passphrase: bytes | None, budget: Budget) -> Contents:
    """All X.509 certificates and private keys of the file, in its order.

    Raises CertificateRefused; EncryptionRefused for a method that is not supported or too dear; ValueError
    and IndexError for a structure that is damaged.
    """
    outside = [_priced(part, budget) for part in pfx.parts]
    words = _proven(pfx, passphrase, outside, budget)
    locks = [part for part in outside if isinstance(part, Locked)]
    unlocking = _Unlocking(words, passphrase, budget)
    safes = [
        part if isinstance(part, _Safe) else _safe(unlocking.certificates(part), budget)
        for part in outside
    ]
    bags = _joined(safes)
    if not bags.certificates:
        raise refusals.without_certificate(bags)
    check_count(len(bags.certificates))
    check_keys(len(bags.keys))
    certificates = [_certificate(at, bags.certificates) for at in range(len(bags.certificates))]
    return Contents(
        tuple(certificate for certificate, _ in certificates),
        _distinct([unlocking.key(key) for safe in safes for key in safe.keys]),
        tuple(dict.fromkeys(part.scheme.encryption for part in locks)),
        is_ber=pfx.is_ber or bags.is_ber or any(is_ber for _, is_ber in certificates),
    )


def _priced(part: bytes | Sealed, budget: Budget) -> _Safe | Locked:
    return locked(part, budget) if isinstance(part, Sealed) else _safe(part, budget)


def _safe(contents: bytes, budget: Budget) -> _Safe:
    bags = bags_of(contents)
    keys = [locked(key, budget) if isinstance(key, Sealed) else key for key in bags.keys]
    return _Safe(bags, keys)


def _joined(safes: Sequence[_Safe]) -> Bags:
    bags = Bags()
    for safe in safes:
        bags.add(safe.bags)
    return bags


def _proven(
    pfx: Pfx, passphrase: bytes | None, outside: Sequence[_Safe | Locked], budget: Budget
) -> Words:
    """The passphrases to decrypt with, the one first that made the MAC.

    Raises CertificateRefused, EncryptionRefused.
    """
    words = Words(passphrases(passphrase))
    if pfx.mac is None:
        return words
    try:
        if proven := verified(mac_of(pfx.mac), pfx.authenticated, words.candidates, budget):
            return proven
    except FormsLeft:
        if passphrase:
            raise
    safes = [part for part in outside if isinstance(part, _Safe)]
    locks = [part for part in outside if isinstance(part, Locked)]
    locks += [key for safe in safes for key in safe.keys if isinstance(key, Locked)]
    if passphrase and locks and _fits(locks[0], words):
        raise refusals.contradictory()
    raise refusals.locked(passphrase, _joined(safes))


def _fits(part: Locked, words: Words) -> bool:
    try:
        unlock(part, words)
    except (WrongPassphrase, TooMuchWork, ValueError):
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Unlocking:
    """Decrypts with the words; `passphrase` is the one that was given."""

    words: Words
    passphrase: bytes | None = field(repr=False)
    budget: Budget
    known: dict[bytes, OpenedKey] = field(default_factory=dict, repr=False)
    """By the octets of the key: a keystore may have one under several names, and checking it has a price."""

    def certificates(self, part: Locked) -> bytes:
        """SafeContents. Raises CertificateRefused, ValueError."""
        return self._plain(part, refusals.CERTIFICATES)

    def key(self, key: bytes | Locked) -> OpenedKey:
        """A private key. Raises CertificateRefused, ValueError."""
        if isinstance(key, bytes):
            return self._opened(key)
        opened = self._opened(self._plain(key, refusals.PRIVATE_KEY))
        return replace(opened, encryption=key.scheme.encryption)

    def _plain(self, part: Locked, what: str) -> bytes:
        try:
            return unlock(part, self.words)
        except FormsLeft:
            if self.passphrase:
                raise
        except WrongPassphrase:
            pass
        if self.words.is_proven:
            raise refusals.locked_inside(what, self.passphrase)
        raise refusals.locked(self.passphrase, Bags())

    def _opened(self, data: bytes) -> OpenedKey:
        if data in self.known:
            return self.known[data]
        try:
            opened = open_key_der(data, self.passphrase, "certificate_content", self.budget)
            return self.known.setdefault(data, opened)
        except CertificateRefused as refusal:
            if refusal.reason != "invalid_private_key":
                raise
        raise refusals.unreadable_key()


def _distinct(keys: Sequence[OpenedKey]) -> tuple[OpenedKey, ...]:
    """Each once: a keystore may have the same key under several names."""
    found: list[OpenedKey] = []
    for key in keys:
        if all(key.public_key != other.public_key for other in found):
            found.append(key)
    return tuple(found)


def _certificate(at: int, all_of_them: Sequence[bytes]) -> tuple[Certificate, bool]:
    try:
        return certificate_of(all_of_them[at])
    except ValueError:
        raise refusals.unreadable_certificate(at + 1, len(all_of_them)) from None
