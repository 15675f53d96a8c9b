"""The warnings of API.md section 4: what the owner of a bundle should know about it.

Each code appears once, whatever the number of certificates it holds for, so that a large file does
not bury its reader. Positions in messages count from 1, as people do.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta

from cryptography import x509

from services.secrets.certificates.facts.algorithms import has_weak_signature, is_weak_key
from services.secrets.certificates.facts.bundle import Bundle, is_self_signed, is_surely_ca
from services.secrets.certificates.facts.metadata import UNREADABLE, CertificateWarning
from services.secrets.certificates.keys.encryption import KeyEncryption
from services.secrets.certificates.limits import EXPIRES_SOON_DAYS, MIN_RSA_BITS

Test = Callable[[x509.Certificate], bool]


def findings(
    bundle: Bundle,
    encryptions: Iterable[KeyEncryption],
    now: datetime,
    *,
    is_ber: bool = False,
    is_unordered: bool = False,
) -> tuple[CertificateWarning, ...]:
    """All warnings but `unreadable_field`, in a fixed order. `now` is aware. Raises nothing."""
    found = [*_dates(bundle, now), *_strength(bundle), *_chain(bundle, is_unordered)]
    found += legacy_encryption(encryptions)
    if is_ber:
        found.append(
            CertificateWarning(
                "ber_encoding",
                "The file is encoded in BER, not in DER as its standard asks: some programs cannot "
                "read it as it was sent.",
            )
        )
    return tuple(found)


def legacy_encryption(encryptions: Iterable[KeyEncryption]) -> list[CertificateWarning]:
    """One warning that names each method once, or none."""
    names = dict.fromkeys(found.name for found in encryptions if found.is_legacy)
    if not names:
        return []
    return [
        CertificateWarning(
            "legacy_encryption",
            f"What was sent is protected by {', '.join(names)}, which is easily broken today.",
        )
    ]


def _dates(bundle: Bundle, now: datetime) -> Iterator[CertificateWarning]:
    soon = now + timedelta(days=EXPIRES_SOON_DAYS)
    expired = _where(bundle, lambda certificate: certificate.not_valid_after_utc < now)
    if expired:
        yield CertificateWarning("expired", f"{_said(bundle, expired)} expired.")
    early = _where(bundle, lambda certificate: certificate.not_valid_before_utc > now)
    if early:
        yield CertificateWarning("not_yet_valid", f"{_said(bundle, early)} not valid yet.")
    ending = _where(bundle, lambda certificate: now <= certificate.not_valid_after_utc <= soon)
    if ending:
        yield CertificateWarning(
            "expires_soon",
            f"{_said(bundle, ending)} to expire within {EXPIRES_SOON_DAYS} days.",
        )


def _strength(bundle: Bundle) -> Iterator[CertificateWarning]:
    weak = _where(bundle, lambda certificate: is_weak_key(certificate.public_key()))
    if weak:
        yield CertificateWarning(
            "weak_key", f"{_said(bundle, weak)} based on a key below {MIN_RSA_BITS} bits."
        )
    signed = _where(bundle, _relies_on_weak_signature(bundle))
    if signed:
        yield CertificateWarning(
            "weak_signature", f"{_said(bundle, signed)} signed with MD5 or SHA-1."
        )


def _relies_on_weak_signature(bundle: Bundle) -> Test:
    """A root's signature of itself proves nothing, so its weakness does no harm."""

    def test(certificate: x509.Certificate) -> bool:
        return has_weak_signature(certificate) and (
            certificate is bundle.leaf or not is_self_signed(certificate)
        )

    return test


def _chain(bundle: Bundle, is_unordered: bool) -> Iterator[CertificateWarning]:
    if is_self_signed(bundle.leaf):
        yield CertificateWarning(
            "self_signed", "The certificate is self-signed: only who knows it will trust it."
        )
    if not is_unordered and bundle.path != tuple(range(len(bundle.path))):
        yield CertificateWarning(
            "chain_out_of_order",
            "The certificates are not in the order that servers need: the leaf first, then each "
            f"issuer of the one before. The leaf is number {bundle.leaf_at + 1}.",
        )
    if _is_incomplete(bundle):
        yield CertificateWarning(
            "incomplete_chain",
            "An issuer is missing from the file: clients that do not know the intermediate CA "
            "will refuse the certificate. Add the CA's intermediate certificates.",
        )


def _is_incomplete(bundle: Bundle) -> bool:
    """A path that ends in a CA below a root that was left out is what servers are told to send;
    a lone end-entity certificate, or certificates that the path does not reach, show a gap."""
    if bundle.path_is_rooted:
        return False
    unreached = len(bundle.path) < len(bundle.certificates)
    return unreached or (len(bundle.path) == 1 and not is_surely_ca(bundle.leaf))


def _where(bundle: Bundle, test: Test) -> list[int]:
    """Positions for which the test holds, the leaf's first; unreadable ones do not count."""
    found: list[int] = []
    for at, certificate in enumerate(bundle.certificates):
        try:
            if test(certificate):
                found.append(at)
        except UNREADABLE:
            continue
    return sorted(found, key=lambda at: (at != bundle.leaf_at, at))


def _said(bundle: Bundle, positions: list[int]) -> str:
    """The start of a sentence that an adjective or participle completes."""
    if positions[0] == bundle.leaf_at:
        return "The certificate is"
    more = f" and {len(positions) - 1} more" if len(positions) > 1 else ""
    verb = "are" if more else "is"
    return f"Certificate {positions[0] + 1} of the chain{more} {verb}"
