"""Decrypting what is encrypted in a PKCS#12, with the passphrase that its MAC says is the right one.

Without a passphrase, none at all and an empty one are tried: they make different keys (RFC 7292 appendix
B.1), and writers do both.
"""

import contextlib
from dataclasses import dataclass, field
from typing import Final

from services.secrets.certificates.formats.pkcs12.integrity import Mac
from services.secrets.certificates.formats.pkcs12.structure import Sealed
from services.secrets.certificates.keys.derivation import forms_akin, pkcs12_passphrases
from services.secrets.certificates.keys.encryption import (
    Budget,
    FormsLeft,
    Scheme,
    TooMuchWork,
    WrongPassphrase,
    scheme_of,
)

Candidates = tuple[bytes | None, ...]
"""Passphrases to try in this order, in UTF-8; None is none at all."""

_EMPTY_AND_NONE: Final = (b"", None)
"""The usual one first: openssl and Java write it, and only programs that pass no string the other."""


@dataclass(frozen=True, slots=True)
class Words:
    """What to decrypt with. `mac_form`: the form of the first candidate that made the MAC, if one did."""

    candidates: Candidates = field(repr=False)
    mac_form: bytes | None = field(default=None, repr=False)

    @property
    def is_proven(self) -> bool:
        """Whether the first candidate made the MAC."""
        return self.mac_form is not None


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


def verified(mac: Mac, data: bytes, candidates: Candidates, budget: Budget) -> Words | None:
    """The candidates again with the one first that made the MAC of `data`, and how; None if none did.

    The first trial must be paid for, and so must all others.
    Raises EncryptionRefused (FormsLeft when the budget ended before all were made), ValueError.
    """
    mac.charge(budget)
    for number, (candidate, form) in enumerate(mac.trials(candidates)):
        if number:
            _charge_again(mac, budget)
        if mac.fits(data, form):
            others = (other for other in candidates if other != candidate)
            return Words((candidate, *others), form)
    return None


def _charge_again(mac: Mac, budget: Budget) -> None:
    try:
        mac.charge(budget)
    except TooMuchWork:
        raise FormsLeft from None


def unlock(part: Locked, words: Words) -> bytes:
    """The plaintext under the first candidate that fits, tried first in the form that made the MAC.

    A writer takes a passphrase in the same way throughout, and each trial of another has its price.
    Raises WrongPassphrase, FormsLeft, ValueError when no passphrase could decrypt it.
    """
    scheme, first = part.scheme, words.candidates[0]
    likely = forms_akin(first, words.mac_form) if words.mac_form is not None else ()
    for candidate in words.candidates if scheme.tells_none_from_empty else (first,):
        with contextlib.suppress(WrongPassphrase):
            return scheme.decrypt(part.data, candidate, likely)
    for form in _odd_forms(scheme, words):
        with contextlib.suppress(WrongPassphrase):
            return scheme.decrypt(part.data, form)
    raise WrongPassphrase


def _odd_forms(scheme: Scheme, words: Words) -> tuple[bytes, ...]:
    """NSS before 3.31, and Firefox with it, put PKCS#12's form of the passphrase into PBES2 as well.

    That is tried for a passphrase known to be right only, as every trial has its price.
    """
    if scheme.tells_none_from_empty or not words.is_proven:
        return ()
    return pkcs12_passphrases(words.candidates[0])
