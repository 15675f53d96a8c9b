"""Single fields of a certificate: by the library where it can, by our own reading where it cannot."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, TypeVar

from cryptography import x509

from services.secrets.certificates.encodings import der
from services.secrets.certificates.facts.certificate import UNREADABLE, Certificate
from services.secrets.certificates.facts.dates import moment
from services.secrets.certificates.facts.names import display_name
from services.secrets.certificates.facts.not_shown import NotShown

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from services.secrets.certificates.facts.structure import Structure

Value = TypeVar("Value")

MAX_SERIAL_OCTETS: Final = 64
"""RFC 5280 section 4.1.2.2 allows 20; some issuers use more."""

_BASIC_CONSTRAINTS: Final = "2.5.29.19"
_BOOLEAN: Final = 0x01


def subject(certificate: Certificate) -> str:
    """The display form. This and all that follow raise ValueError for what cannot be read, and
    NotShown for what can be and has no form."""
    return display_name(certificate.structure.subject)


def issuer(certificate: Certificate) -> str:
    """The display form."""
    return display_name(certificate.structure.issuer)


def not_before(certificate: Certificate) -> datetime:
    """An aware moment in UTC."""
    return _read(
        certificate,
        lambda parsed: parsed.not_valid_before_utc,
        lambda own: _validity(own, 0),
    )


def expires_at(certificate: Certificate) -> datetime:
    """An aware moment in UTC."""
    return _read(
        certificate,
        lambda parsed: parsed.not_valid_after_utc,
        lambda own: _validity(own, 1),
    )


def serial_number(certificate: Certificate) -> str:
    """Whole octets, as openssl, browsers and certificate transparency logs show it.

    Raises NotShown for a negative one, as it has no such form that would not be another's, and for one
    that is longer than `MAX_SERIAL_OCTETS`.
    """
    number = _read(
        certificate,
        lambda parsed: parsed.serial_number,
        lambda own: der.element(own.serial).integer(),
    )
    if number < 0:
        raise NotShown(
            "it is negative, against RFC 5280 section 4.1.2.2, and has no form in octets of its own"
        )
    octets = max(1, (number.bit_length() + 7) // 8)
    if octets > MAX_SERIAL_OCTETS:
        raise NotShown(
            f"it has {octets} octets, where RFC 5280 section 4.1.2.2 allows 20 and up to "
            f"{MAX_SERIAL_OCTETS} are shown"
        )
    return number.to_bytes(octets, "big").hex()


def is_ca(certificate: Certificate) -> bool:
    """RFC 5280 section 4.2.1.9: without basic constraints it is none. Raises NotShown when they are
    there twice and disagree."""
    return _read(certificate, _is_ca_by_library, _is_ca_by_structure)


def is_surely_ca(certificate: Certificate) -> bool:
    """False also for a certificate whose extensions cannot be read."""
    try:
        return is_ca(certificate)
    except ValueError:
        return False


def is_surely_end_entity(certificate: Certificate) -> bool:
    """Its basic constraints are there, can be read, and say that it is no CA."""
    try:
        return not is_ca(certificate) and any(
            number == _BASIC_CONSTRAINTS for number, _ in certificate.extensions
        )
    except ValueError:
        return False


def repeated_extensions(certificate: Certificate) -> list[str]:
    """The dotted numbers of those that are there more than once, against RFC 5280 section 4.2."""
    return _read(certificate, _none_repeated, _repeated)


def _read(
    certificate: Certificate,
    library: Callable[[x509.Certificate], Value],
    own: Callable[[Structure], Value],
) -> Value:
    if certificate.parsed is not None:
        try:
            return library(certificate.parsed)
        except UNREADABLE:
            pass
    return own(certificate.structure)


def _validity(own: Structure, at: int) -> datetime:
    ends = der.sequence(own.validity)
    if len(ends) != 2:  # noqa: PLR2004 - two ends
        raise ValueError("no Validity")
    return moment(ends[at])


def _is_ca_by_library(parsed: x509.Certificate) -> bool:
    try:
        return parsed.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _is_ca_by_structure(own: Structure) -> bool:
    """BasicConstraints ::= SEQUENCE { cA BOOLEAN DEFAULT FALSE, pathLenConstraint INTEGER OPTIONAL }."""
    answers = {
        _says_ca(der.sequence(value))
        for number, value in own.extensions()
        if number == _BASIC_CONSTRAINTS
    }
    if len(answers) > 1:
        raise NotShown("there are two basic constraints, and they disagree")
    return True in answers


def _says_ca(members: list[der.Element]) -> bool:
    if not members or members[0].tag == der.INTEGER:
        return False
    if members[0].tag != _BOOLEAN or len(members[0].body) != 1:
        raise ValueError("no BasicConstraints")
    return members[0].body != b"\0"


def _none_repeated(parsed: x509.Certificate) -> list[str]:
    _ = parsed.extensions  # the library refuses repeated ones, and other faults too
    return []


def _repeated(own: Structure) -> list[str]:
    counted = Counter(number for number, _ in own.extensions())
    return [number for number, times in counted.items() if times > 1]
