"""The warnings of API.md section 4: what the owner of a bundle should know about it.

Each code appears once, whatever the number of certificates it holds for, so that a large file does
not bury its reader. Positions in messages are those in the file and count from 1, as people do.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from services.secrets.certificates.facts.algorithms import has_weak_key, has_weak_signature
from services.secrets.certificates.facts.bundle import Bundle
from services.secrets.certificates.facts.certificate import UNREADABLE, Certificate
from services.secrets.certificates.facts.fields import expires_at, is_surely_ca, not_before
from services.secrets.certificates.facts.issuing import link_through_no_ca
from services.secrets.certificates.facts.metadata import CertificateWarning
from services.secrets.certificates.keys.encryption import KeyEncryption
from services.secrets.certificates.limits import EXPIRES_SOON_DAYS, MIN_EC_BITS, MIN_RSA_BITS

Test = Callable[[Certificate], bool]


def findings(
    bundle: Bundle,
    encryptions: Iterable[KeyEncryption],
    now: datetime,
    *,
    is_ber: bool = False,
    is_unordered: bool = False,
) -> tuple[CertificateWarning, ...]:
    """All warnings but those of `LeafFacts`, in a fixed order. `now` is aware. Raises nothing."""
    found = [*_dates(bundle, now), *_strength(bundle), *_chain(bundle, is_unordered)]
    return (*found, *_legacy_encryption(encryptions), *ber_encoding(is_ber))


def ber_encoding(is_ber: bool) -> tuple[CertificateWarning, ...]:
    """The warning of that code, or none."""
    if not is_ber:
        return ()
    return (
        CertificateWarning(
            "ber_encoding",
            "The file is encoded in BER, not in DER as its standard asks: some programs cannot "
            "read it as it was sent.",
        ),
    )


def _legacy_encryption(encryptions: Iterable[KeyEncryption]) -> list[CertificateWarning]:
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
    expired = _where(bundle, lambda certificate: expires_at(certificate) < now)
    if expired:
        yield CertificateWarning("expired", f"{_said(bundle, expired)} expired.")
    early = _where(bundle, lambda certificate: not_before(certificate) > now)
    if early:
        yield CertificateWarning("not_yet_valid", f"{_said(bundle, early)} not valid yet.")
    ending = _where(bundle, lambda certificate: now <= expires_at(certificate) <= soon)
    if ending:
        yield CertificateWarning(
            "expires_soon",
            f"{_said(bundle, ending)} to expire within {EXPIRES_SOON_DAYS} days.",
        )


def _strength(bundle: Bundle) -> Iterator[CertificateWarning]:
    weak = _where(bundle, has_weak_key)
    if weak:
        yield CertificateWarning(
            "weak_key",
            f"{_said(bundle, weak)} based on a key below {MIN_RSA_BITS} bits "
            f"({MIN_EC_BITS} on an elliptic curve).",
        )
    signed = _where(bundle, _relies_on_weak_signature(bundle))
    if signed:
        yield CertificateWarning(
            "weak_signature", f"{_said(bundle, signed)} signed with MD5, SHA-1 or an older hash."
        )


def _relies_on_weak_signature(bundle: Bundle) -> Test:
    """A root's signature of itself proves nothing, so its weakness does no harm."""
    self_issued = {
        certificate
        for at, certificate in enumerate(bundle.certificates)
        if at != bundle.leaf_at and bundle.links.is_self_issued(at)
    }
    return lambda certificate: certificate not in self_issued and has_weak_signature(certificate)


def _chain(bundle: Bundle, is_unordered: bool) -> Iterator[CertificateWarning]:
    positions = bundle.path.positions
    if bundle.links.is_self_signed(bundle.leaf_at):
        yield CertificateWarning(
            "self_signed", "The certificate is self-signed: only who knows it will trust it."
        )
    if not is_unordered and positions != tuple(range(len(positions))):
        yield CertificateWarning(
            "chain_out_of_order",
            "The certificates are not in the order that servers need: the leaf first, then each "
            f"issuer of the one before. The leaf is number {bundle.leaf_at + 1} of the file.",
        )
    if link := link_through_no_ca(bundle):
        yield CertificateWarning("incomplete_chain", _link_through_no_ca(bundle, *link))
    elif bundle.path.impostor is not None:
        yield CertificateWarning("incomplete_chain", _broken_link(bundle, bundle.path.impostor))
    elif _is_incomplete(bundle):
        yield CertificateWarning(
            "incomplete_chain",
            "An issuer is missing from the file: clients that do not know the intermediate CA "
            f"will refuse the certificate. Certificate {positions[-1] + 1} of the file is the last one "
            "whose signer was looked for. Add the CA's intermediate certificates.",
        )
    if bundle.path.unverified:
        yield CertificateWarning("unreadable_field", _unverified(bundle.path.unverified))


def _unverified(positions: Sequence[int]) -> str:
    """Of signatures by a certificate's issuer, and of roots' own alike."""
    numbers = ", ".join(str(at + 1) for at in positions)
    if len(positions) == 1:
        return (
            f"The signature of certificate {numbers} of the file could not be verified, as its algorithm "
            "or its issuer's key is not supported here: who issued it is told by the names alone."
        )
    return (
        f"The signatures of the certificates {numbers} of the file could not be verified, as their "
        "algorithm or their issuer's key is not supported here: who issued them is told by the names "
        "alone."
    )


def _link_through_no_ca(bundle: Bundle, below: int, above: int) -> str:
    signed = "has its issuer's name from" if below in bundle.path.unverified else "was signed by"
    return (
        f"Certificate {below + 1} of the file {signed} certificate {above + 1}, which is no CA: "
        f"clients will refuse the chain. If number {above + 1} was meant to be one, it must be issued "
        "again with BasicConstraints that say so, and with a KeyUsage that allows it to sign certificates."
    )


def _broken_link(bundle: Bundle, impostor: int) -> str:
    last = bundle.path.positions[-1]
    if impostor == last:
        return (
            f"Certificate {last + 1} of the file names itself as its issuer but was not signed with its "
            "own key: it was changed after it was signed, or its true issuer has the same name and is "
            "missing."
        )
    return (
        f"The chain breaks between certificates {last + 1} and {impostor + 1} of the file: number "
        f"{impostor + 1} has the name of number {last + 1}'s issuer, but did not sign it. Add the CA "
        "certificate that did, often a newer or older one of the same name."
    )


def _is_incomplete(bundle: Bundle) -> bool:
    """A path that ends in a CA below a root that was left out is what servers are told to send;
    a lone end-entity certificate, or certificates that the path does not reach, show a gap."""
    if bundle.path.is_rooted:
        return False
    is_alone = len(bundle.path.positions) == 1 and not is_surely_ca(bundle.leaf)
    return bundle.has_unreached or is_alone


def _where(bundle: Bundle, test: Test) -> list[int]:
    """Positions for which the test holds, the leaf's first; unreadable ones do not count."""
    found: list[int] = []
    for at, certificate in enumerate(bundle.certificates):
        try:
            if test(certificate):
                found.append(at)
        except UNREADABLE:
            continue
    if len(found) > 1:
        found.sort(key=lambda at: (at != bundle.leaf_at, at))
    return found


def _said(bundle: Bundle, positions: list[int]) -> str:
    """The start of a sentence that an adjective or participle completes."""
    if positions[0] == bundle.leaf_at:
        return "The certificate is"
    more = f" and {len(positions) - 1} more" if len(positions) > 1 else ""
    verb = "are" if more else "is"
    return f"Certificate {positions[0] + 1} of the file{more} {verb}"
