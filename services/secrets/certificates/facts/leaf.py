"""Which certificate of a file is the one that everything is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from services.secrets.certificates.facts.fields import is_surely_ca
from services.secrets.certificates.facts.path import Path, path_from
from services.secrets.certificates.refusal import CertificateRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.secrets.certificates.facts.certificate import Certificate
    from services.secrets.certificates.facts.links import Links
    from services.secrets.certificates.keys.opening import OpenedKey

_MAX_CANDIDATES: Final = 16
"""End-entity certificates that are tried when a CA comes first."""


def leaf_of_file(certificates: Sequence[Certificate], links: Links, *, is_unordered: bool) -> Path:
    """The path from the leaf of a file without keys (see `bundle.assemble`)."""
    if len(certificates) == 1 or not _is_issuer(0, certificates, links):
        return path_from(0, certificates, links)
    candidates = [at for at in range(len(certificates)) if not _is_issuer(at, certificates, links)]
    # a self-signed one that is no CA by its extensions may be a root of version 1
    candidates.sort(key=links.is_self_issued)
    paths = [path_from(at, certificates, links) for at in candidates[:_MAX_CANDIDATES]]
    above = next((path for path in paths if 0 in path.positions), None)
    if above is not None and not is_unordered:
        return above
    if paths and (is_unordered or not links.is_self_issued(candidates[0])):
        return paths[0]
    lowest = (at for at in range(len(certificates)) if not links.is_named_as_issuer(at))
    return path_from(next(lowest, 0) if is_unordered else 0, certificates, links)


def leaf_of_key(
    certificates: Sequence[Certificate], keys: Sequence[OpenedKey], links: Links
) -> tuple[int, OpenedKey]:
    """The leaf and its key. Raises CertificateRefused when none of the keys is that of a leaf."""
    matches = [
        (at, key)
        for at, certificate in enumerate(certificates)
        if (key := _owner(certificate, keys)) is not None
    ]
    for match in matches:
        if not _is_issuer(match[0], certificates, links):
            return match
    if matches and (matches[0][0] == 0 or all(map(is_surely_ca, certificates))):
        return matches[0]
    if matches:
        raise CertificateRefused(
            "private_key",
            "key_mismatch",
            f"The private key belongs to certificate {matches[0][0] + 1} of the file, which is a CA, "
            "and not to the first one. Send the certificate of this key first.",
        )
    if any(one.public_key is None and not is_surely_ca(one) for one in certificates):
        raise CertificateRefused(
            "certificate_content",
            "unsupported_algorithm",
            "The certificate's public key is of a kind that is not supported, so it cannot be "
            "checked that the private key belongs to it.",
        )
    raise CertificateRefused(
        "private_key",
        "key_mismatch",
        "The private key does not belong to the certificate. Send the key that the certificate "
        "was requested with.",
    )


def _owner(certificate: Certificate, keys: Sequence[OpenedKey]) -> OpenedKey | None:
    """The first of the keys whose public half the certificate certifies."""
    public = certificate.public_key
    return next((key for key in keys if public is not None and key.public_key == public), None)


def _is_issuer(at: int, certificates: Sequence[Certificate], links: Links) -> bool:
    """A CA by its extensions, or, as CAs of X.509 version 1 have none, by another's word."""
    return is_surely_ca(certificates[at]) or links.is_named_as_issuer(at)
