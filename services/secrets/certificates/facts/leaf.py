"""Which certificate of a file is the one that everything is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from services.secrets.certificates.facts.certificate import UNREADABLE
from services.secrets.certificates.facts.fields import (
    expires_at,
    is_surely_ca,
    is_surely_end_entity,
    not_before,
)
from services.secrets.certificates.facts.path import Path, path_from
from services.secrets.certificates.refusal import CertificateRefused

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from services.secrets.certificates.facts.certificate import Certificate
    from services.secrets.certificates.facts.links import Links
    from services.secrets.certificates.keys.opening import OpenedKey
    from services.secrets.certificates.refusal import Field

_MAX_CANDIDATES: Final = 16
"""End-entity certificates that are tried when a CA comes first."""


class Leaves:
    """Answers for the certificates of one file. `unordered_at`: the moment of the question if the file's
    format keeps no order, so that of equals not the first but the one that is valid is meant."""

    def __init__(
        self, certificates: Sequence[Certificate], links: Links, unordered_at: datetime | None
    ) -> None:
        self._certificates = certificates
        self._links = links
        self._unordered_at = unordered_at

    def of_file(self) -> Path:
        """The path from the leaf of a file without keys (see `bundle.assemble`)."""
        is_unordered = self._unordered_at is not None
        if len(self._certificates) == 1 or not (is_unordered or self._is_issuer(0)):
            return self._path_from(0)
        everyone = self._best_first(range(len(self._certificates)))
        candidates = [at for at in everyone if not self._is_issuer(at)]
        # a self-signed one that is no CA by its extensions may be a root of version 1
        candidates.sort(key=self._links.is_self_issued)
        if is_unordered:
            lowest = (at for at in everyone if not self._links.is_named_as_issuer(at))
            return self._path_from(candidates[0] if candidates else next(lowest, 0))
        paths = [self._path_from(at) for at in candidates[:_MAX_CANDIDATES]]
        above = next((path for path in paths if 0 in path.positions), None)
        if above is None and paths and not self._links.is_self_issued(candidates[0]):
            above = paths[0]
        return above or self._path_from(0)

    def of_keys(self, keys: Sequence[OpenedKey], keys_from: Field) -> tuple[int, OpenedKey]:
        """The leaf and its key. Raises CertificateRefused when none of the keys is that of a leaf."""
        owned = {
            at: key
            for at, certificate in enumerate(self._certificates)
            if (key := _owner(certificate, keys)) is not None
        }
        ranked = self._best_first(owned)
        leaves = (at for at in ranked if not self._is_issuer(at))
        others = (at for at in ranked if self._may_be_leaf(at))
        found = next(leaves, None)
        found = next(others, None) if found is None else found
        if found is None:
            raise self._mismatch(ranked, keys_from)
        return found, owned[found]

    def _path_from(self, at: int) -> Path:
        return path_from(at, self._certificates, self._links)

    def _is_issuer(self, at: int) -> bool:
        """A CA by its extensions, or, as CAs of X.509 version 1 have none, by the signature of another."""
        certificate = self._certificates[at]
        if is_surely_ca(certificate):
            return True
        return not is_surely_end_entity(certificate) and self._links.is_named_as_issuer(at)

    def _may_be_leaf(self, at: int) -> bool:
        """Many servers have a self-signed certificate that calls itself a CA, as `openssl req -x509` makes
        it; one that issued another of the file is there as that one's issuer."""
        return (at == 0 and self._unordered_at is None) or not self._links.has_issued_another(at)

    def _best_first(self, positions: Iterable[int]) -> list[int]:
        """In file order; where that means nothing, the valid ones first, and of equals the last to expire."""
        moment = self._unordered_at
        if moment is None:
            return list(positions)
        return sorted(positions, key=lambda at: _staleness(self._certificates[at], moment))

    def _mismatch(self, owners: Sequence[int], keys_from: Field) -> CertificateRefused:
        """`owners` are the positions of certificates that a key belongs to though they cannot be the leaf."""
        if owners:
            advice = (
                "Send the certificate of this key first."
                if self._unordered_at is None
                else "Send the key of that one, or leave out what this one issued."
            )
            return CertificateRefused(
                keys_from,
                "key_mismatch",
                f"The private key belongs to certificate {owners[0] + 1} of the file, which issued "
                f"another certificate of the file. {advice}",
            )
        if any(one.public_key is None and not is_surely_ca(one) for one in self._certificates):
            return CertificateRefused(
                "certificate_content",
                "unsupported_algorithm",
                "The certificate's public key is of a kind that is not supported, so it cannot be "
                "checked that the private key belongs to it.",
            )
        return CertificateRefused(
            keys_from,
            "key_mismatch",
            "The private key does not belong to the certificate. Send the key that the certificate "
            "was requested with.",
        )


def _owner(certificate: Certificate, keys: Sequence[OpenedKey]) -> OpenedKey | None:
    """The first of the keys whose public half the certificate certifies."""
    public = certificate.public_key
    return next((key for key in keys if public is not None and key.public_key == public), None)


def _staleness(certificate: Certificate, now: datetime) -> tuple[int, float]:
    """The smaller, the better; dates that cannot be read are the worst."""
    try:
        begins, ends = not_before(certificate), expires_at(certificate)
    except UNREADABLE:
        return 2, 0
    return 0 if begins <= now <= ends else 1, -ends.timestamp()
