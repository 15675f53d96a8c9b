"""The DNS names and IP addresses that a certificate is for (RFC 5280 section 4.2.1.6)."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography import x509

from services.secrets.certificates.encodings import der
from services.secrets.certificates.facts.certificate import UNREADABLE
from services.secrets.certificates.facts.names import storable

if TYPE_CHECKING:
    from services.secrets.certificates.facts.certificate import Certificate

MAX_NAMES: Final = 500
"""Of `dns_names` and `ip_addresses` together. Public CAs issue for at most 100 to 250 names."""
MAX_NAMES_BYTES: Final = 64 * 1024
"""Of the same, in UTF-8: a DNS name has at most 253 octets (RFC 1035), a crafted one any number."""

_EXTENSION: Final = "2.5.29.17"
_DNS_NAME: Final = 0x82
_IP_ADDRESS: Final = 0x87


@dataclass(frozen=True, slots=True)
class AlternativeNames:
    """The names that are shown, and how many are not: beyond the limits, or unreadable ones."""

    dns: tuple[str, ...] = ()
    ip: tuple[str, ...] = ()
    left_out: int = 0


def alternative_names(certificate: Certificate) -> AlternativeNames:
    """Of a repeated extension those of all. Raises ValueError for an extension that cannot be read."""
    try:
        dns, ip = _by_library(certificate.parsed)
    except UNREADABLE:
        dns, ip = _by_structure(certificate)
    readable = [name for name in dns if _is_readable(name)]
    addresses = [address for address in ip if address is not None]
    room = MAX_NAMES_BYTES
    kept = 0
    for name in [*readable, *addresses][:MAX_NAMES]:
        room -= len(name.encode())
        if room < 0:
            break
        kept += 1
    return AlternativeNames(
        tuple(readable[:kept]),
        tuple(addresses[: max(0, kept - len(readable))]),
        len(dns) + len(ip) - kept,
    )


def _by_library(parsed: x509.Certificate | None) -> tuple[list[str], list[str | None]]:
    if parsed is None:
        raise ValueError("not read by the library")
    try:
        found = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return [], []
    addresses = found.get_values_for_type(x509.IPAddress)
    return found.get_values_for_type(x509.DNSName), [
        _shown(one) if isinstance(one, ipaddress.IPv4Address | ipaddress.IPv6Address) else None
        for one in addresses  # a network is for name constraints and matches no host
    ]


def _by_structure(certificate: Certificate) -> tuple[list[str], list[str | None]]:
    values = [value for number, value in certificate.structure.extensions() if number == _EXTENSION]
    names = [name for value in values for name in der.sequence(value)]
    return (
        [_dns_name(name.body) for name in names if name.tag == _DNS_NAME],
        [_address(name.body) for name in names if name.tag == _IP_ADDRESS],
    )


def _dns_name(octets: bytes) -> str:
    """An IA5String; names in UTF-8 or Latin-1 that should have been A-labels are shown as they are."""
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("latin-1")


def _address(octets: bytes) -> str | None:
    try:
        return _shown(ipaddress.ip_address(octets))
    except ValueError:
        return None


def _shown(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """RFC 5952 section 5: an IPv4 address inside stays one (Python does so from 3.13 on)."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(address) if mapped is None else f"::ffff:{mapped}"


def _is_readable(name: str) -> bool:
    try:
        storable(name)
    except ValueError:
        return False
    return True
