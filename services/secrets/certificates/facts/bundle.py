"""Which of several certificates is meant, whether the key is its key, and how the chain holds.

Whatever the container (PEM, PKCS#7, PKCS#12...), the reader of that format hands over certificates
in the order in which they came, and the private keys that came along.
RFC 8446 section 4.4.2: the leaf comes first and each certificate certifies the one before it.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from services.secrets.certificates.facts.algorithms import has_weak_signature
from services.secrets.certificates.facts.metadata import UNREADABLE, is_ca
from services.secrets.certificates.keys.opening import OpenedKey
from services.secrets.certificates.refusal import CertificateRefused

Certificates = Sequence[x509.Certificate]
Positions = dict[bytes | None, list[int]]

MAX_PATH_LENGTH: Final = 16
"""Certificates from leaf to root that are followed: real chains have two to five, and a file made
of look-alikes would cost a signature check for every pair."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """The certificates as they came, and positions (from 0) in them.

    `path` runs from the leaf towards the root as far as the issuers are present; every link was
    verified where the signature algorithm is known here. `path_is_rooted` tells that it ends in a
    self-signed certificate. Extra certificates are not an error. `key` is the leaf's, if there is one.
    """

    certificates: tuple[x509.Certificate, ...]
    path: tuple[int, ...]
    path_is_rooted: bool
    key: OpenedKey | None

    @property
    def leaf_at(self) -> int:
        """The position of the leaf."""
        return self.path[0]

    @property
    def leaf(self) -> x509.Certificate:
        """The certificate that the metadata is about."""
        return self.certificates[self.leaf_at]


def assemble(certificates: Certificates, keys: Sequence[OpenedKey]) -> Bundle:
    """Finds the leaf and follows its issuers. `certificates` is not empty.

    With keys, the leaf is the first end-entity certificate that one of them belongs to; the first
    certificate of the file, and those of a file of CAs only, may be a CA. Without a key it is the first
    certificate, unless that is a CA above the only end-entity certificate of the file.
    Raises CertificateRefused (`key_mismatch`, or `unsupported_algorithm` when the only candidate's
    key cannot be read and so not be compared).
    """
    by_subject: Positions = defaultdict(list)
    for at, certificate in enumerate(certificates):
        if (name := _subject(certificate)) is not None:
            by_subject[name].append(at)
    key = None
    if keys:
        leaf_at, key = _leaf_of_key(certificates, keys)
        path = _path(certificates, by_subject, leaf_at)
    else:
        path = _path(certificates, by_subject, 0)
        below = _only_end_entity(certificates)
        if below:
            from_below = _path(certificates, by_subject, below)
            path = from_below if 0 in from_below else path
    return Bundle(tuple(certificates), tuple(path), is_self_signed(certificates[path[-1]]), key)


def is_self_signed(certificate: x509.Certificate) -> bool:
    """Issuer and subject are one, and its own key signed it (where that can be verified)."""
    name = _subject(certificate)
    return (
        name is not None and name == _issuer(certificate) and _certifies(certificate, certificate)
    )


def is_surely_ca(certificate: x509.Certificate) -> bool:
    """False also for a certificate whose extensions cannot be read."""
    try:
        return is_ca(certificate)
    except UNREADABLE:
        return False


def _leaf_of_key(certificates: Certificates, keys: Sequence[OpenedKey]) -> tuple[int, OpenedKey]:
    matches = [
        (at, key)
        for at, certificate in enumerate(certificates)
        if (key := _owner(certificate, keys)) is not None
    ]
    end_entities = [match for match in matches if not is_surely_ca(certificates[match[0]])]
    if end_entities:
        return end_entities[0]
    if matches and (matches[0][0] == 0 or all(map(is_surely_ca, certificates))):
        return matches[0]
    if matches:
        raise CertificateRefused(
            "private_key",
            "key_mismatch",
            f"The private key belongs to certificate {matches[0][0] + 1} of the file, which is a CA, "
            "and not to the first one. Send the certificate of this key first.",
        )
    if _key_of(certificates[0]) is None:
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


def _owner(certificate: x509.Certificate, keys: Sequence[OpenedKey]) -> OpenedKey | None:
    """The first of the keys whose public half the certificate certifies."""
    public = _key_of(certificate)
    return next((key for key in keys if key.public_key == public), None)


def _key_of(certificate: x509.Certificate) -> PublicKeyTypes | None:
    try:
        return certificate.public_key()
    except UNREADABLE:
        return None


def _only_end_entity(certificates: Certificates) -> int | None:
    """Its position, if the first certificate is a CA and exactly one of the others is none."""
    if not is_surely_ca(certificates[0]):
        return None
    found = [at for at, certificate in enumerate(certificates) if not is_surely_ca(certificate)]
    return found[0] if len(found) == 1 else None


def _path(certificates: Certificates, by_subject: Positions, leaf_at: int) -> list[int]:
    path = [leaf_at]
    while len(path) < MAX_PATH_LENGTH and not is_self_signed(certificates[path[-1]]):
        current = certificates[path[-1]]
        issuers = (
            at
            for at in by_subject.get(_issuer(current), ())
            if at not in path and _certifies(certificates[at], current)
        )
        issuer = next(issuers, None)
        if issuer is None:
            break
        path.append(issuer)
    return path


def _subject(certificate: x509.Certificate) -> bytes | None:
    try:
        return certificate.subject.public_bytes()
    except UNREADABLE:
        return None


def _issuer(certificate: x509.Certificate) -> bytes | None:
    try:
        return certificate.issuer.public_bytes()
    except UNREADABLE:
        return None


def _certifies(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    """Whether the signature is the issuer's; taken on its name where it cannot be verified."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except InvalidSignature:
        return False
    except (UnsupportedAlgorithm, TypeError):
        return True
    except ValueError:
        return _is_beyond_verifying(certificate)
    return True


def _is_beyond_verifying(certificate: x509.Certificate) -> bool:
    """The library raises ValueError for MD5 and SHA-1, which it verifies no more, and for keys and
    algorithms that do not agree; only the former may be taken on their name."""
    try:
        return has_weak_signature(certificate)
    except UNREADABLE:
        return False
