"""Decrypting what is encrypted in a PKCS#12, with the passphrase that its MAC says is the right one.

Without a passphrase, none at all and an empty one are tried: they make different keys (RFC 7292 appendix
B.1), and writers do both.
"""

from dataclasses import dataclass, field
from typing import Final

from services.secrets.certificates.formats.pkcs12.integrity import Mac
from services.secrets.certificates.formats.pkcs12.structure import Sealed
from services.secrets.certificates.keys.derivation import pkcs12_passphrases
from services.secrets.certificates.keys.encryption import (
    Budget,
    EncryptionRefused,
    Scheme,
    WrongPassphrase,
    scheme_of,
)

Candidates = tuple[bytes | None, ...]
"""Passphrases to try in this order, in UTF-8; None is none at all."""

_EMPTY_AND_NONE: Final = (b"", None)
"""The usual one first: openssl and Java write it, and only programs that pass no string the other."""


@dataclass(frozen=True, slots=True)
class Locked:
    """Something encrypted, of which one trial has been paid for."""

    scheme: Scheme
    data: bytes = field(repr=False)


def locked(sealed: Sealed, budget: Budget) -> Locked:
    """Reads the method and pays for one trial. Raises EncryptionRefused, ValueError."""
    return Locked(scheme_of(sealed.algorithm, budget), sealed.data)


def passphrases(given: bytes | None) -> Candidates:
    """Those to try when this one was given."""
    return (given,) if given else _EMPTY_AND_NONE


def verified(mac: Mac, data: bytes, candidates: Candidates, budget: Budget) -> Candidates:
    """The candidates again with the one first that made the MAC of `data`, or nothing if none did.

    The first trial must be paid for; further ones are made as far as the budget goes.
    Raises EncryptionRefused, ValueError.
    """
    mac.charge(budget)
    for number, (candidate, form) in enumerate(mac.trials(candidates)):
        try:
            if number:
                mac.charge(budget)
        except EncryptionRefused:
            break
        if mac.fits(data, form):
            return (candidate, *(other for other in candidates if other != candidate))
    return ()


def unlock(part: Locked, candidates: Candidates, *, is_proven: bool) -> bytes:
    """The plaintext under the first candidate that fits. `is_proven`: one of them made the MAC.

    Raises WrongPassphrase, ValueError when no passphrase could decrypt it.
    """
    trials = candidates if part.scheme.tells_none_from_empty else candidates[:1]
    for candidate in trials:
        for form in _forms(part.scheme, candidate, is_proven=is_proven):
            try:
                return part.scheme.decrypt(part.data, form)
            except WrongPassphrase:
                continue
    raise WrongPassphrase


def _forms(scheme: Scheme, passphrase: bytes | None, *, is_proven: bool) -> Candidates:
    """NSS before 3.31, and Firefox with it, put PKCS#12's form of the passphrase into PBES2 as well.

    That is tried for a passphrase known to be right only, as every trial has its price.
    """
    if scheme.tells_none_from_empty or not is_proven:
        return (passphrase,)
    return (passphrase, *pkcs12_passphrases(passphrase))
