"""From a certificate upwards to its root, as far as the issuers are in the file (RFC 5280 section 6.1)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from services.secrets.certificates.facts.certificate import Certificate
    from services.secrets.certificates.facts.links import Links

MAX_PATH_LENGTH: Final = 16
"""Certificates from leaf to root that are followed: real chains have two to five."""
MAX_PATHS: Final = 32
"""Ways upwards that are tried: cross-signed certificates make two or three."""


@dataclass(frozen=True, slots=True)
class Path:
    """Positions (from 0) from the leaf towards the root; each signature on the way was verified, that of
    a root with its own key too, but for those of `unverified`, whose algorithm is not known here.
    `is_rooted`: a self-signed certificate ends it, or could: a cross-signed one may stand in its place.
    `impostor` has the name of the last one's issuer and did not sign it; it is the last one itself when
    that only claims to be self-signed.
    """

    positions: tuple[int, ...]
    is_rooted: bool
    unverified: tuple[int, ...] = ()
    impostor: int | None = None


def path_from(at: int, certificates: Sequence[Certificate], links: Links) -> Path:
    """The first path in file order that ends in a root, else the first one."""
    walk = _Walk(certificates, links)
    first: tuple[int, ...] | None = None
    for positions in islice(walk.paths((at,)), MAX_PATHS):
        first = first or positions
        if links.is_self_signed(positions[-1]):
            # the cross-signed twin of a root comes first in what servers are told to send
            is_twin = len(first) == len(positions) and first[:-1] == positions[:-1]
            return walk.described(first if is_twin else positions, is_rooted=True)
    return walk.described(first or (at,), is_rooted=False)


class _Walk:
    def __init__(self, certificates: Sequence[Certificate], links: Links) -> None:
        self._certificates = certificates
        self._links = links

    def paths(self, path: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        """Every way upwards, each as far as it goes."""
        issuers = [] if self._ends(path) else self._issuers(path)
        if not issuers:
            yield path
        for issuer in issuers:
            yield from self.paths((*path, issuer))

    def described(self, positions: tuple[int, ...], *, is_rooted: bool) -> Path:
        """The path with what there is to say about its links."""
        links = self._links
        last = positions[-1]
        signed = [*pairwise(positions), *([(last, last)] if links.is_self_signed(last) else [])]
        unverified = tuple(
            below for below, above in signed if links.verdict(below, above) == "unknown"
        )
        impostors = (
            ()
            if is_rooted or len(positions) == MAX_PATH_LENGTH
            else links.namesakes(last, positions)
        )
        refuted = (at for at in impostors if links.verdict(last, at) == "refuted")
        return Path(positions, is_rooted, unverified, next(refuted, None))

    def _ends(self, path: tuple[int, ...]) -> bool:
        return len(path) == MAX_PATH_LENGTH or self._links.is_self_signed(path[-1])

    def _issuers(self, path: tuple[int, ...]) -> list[int]:
        """Those whose signature holds in file order, then those where nobody can tell; no certificate
        twice, though it be in the file twice."""
        seen = {self._certificates[at].der for at in path}
        verified: list[int] = []
        unknown: list[int] = []
        for at in self._links.namesakes(path[-1], path):
            if self._certificates[at].der in seen:
                continue
            found = self._links.verdict(path[-1], at)
            if found != "refuted":
                seen.add(self._certificates[at].der)
                (verified if found == "verified" else unknown).append(at)
        return verified + unknown
