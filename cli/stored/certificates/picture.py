"""A certificate with its chain and its warnings, as a person reads it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

import typer

from cli.commands import show_facts, show_table
from services.secrets.certificates import normal_form
from services.secrets.certificates.encodings.armor import scan
from services.secrets.certificates.facts import fields
from services.secrets.certificates.facts.certificate import Certificate, load_certificate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

Value = TypeVar("Value")

_UNREADABLE: Final = "(unreadable)"
_EMPTY: Final = "(empty)"


@dataclass(frozen=True, slots=True)
class Link:
    """One certificate of the chain: `kind` is leaf, intermediate or root, `number` its place in the chain
    from 1. Warnings number the certificates of the file, which may be others."""

    number: int
    kind: str
    subject: str
    issuer: str
    expires_at: datetime | None


def chain_of(stored: bytes) -> list[Link]:
    """The links of a normal form, from the leaf upwards: none for a private key alone.

    What a certificate is is told by its names and basic constraints; no signature is looked at.
    """
    form = normal_form.read(stored)
    with warnings.catch_warnings():
        # What is odd about a certificate is in the metadata.
        warnings.simplefilter("ignore")
        blocks = scan(form.certificate + form.chain)
        return [_link(at, load_certificate(block.decoded())) for at, block in enumerate(blocks, 1)]


def show_picture(
    certificate_type: str, metadata: Mapping[str, Any], chain: Sequence[Link], now: datetime
) -> None:
    """Print the facts, the chain and the warnings. `metadata` is as in the API's answer."""
    show_facts(_facts(certificate_type, metadata, len(chain), now))
    if chain:
        typer.echo()
        show_table(
            ("in chain", "what", "subject", "issuer", "expires"),
            [(one.number, one.kind, one.subject, one.issuer, one.expires_at) for one in chain],
            "no chain",
        )
    if metadata["warnings"]:
        typer.echo()
        show_table(
            ("warning", "what it means here"),
            [(warning["code"], warning["message"]) for warning in metadata["warnings"]],
            "no warnings",
        )


def _facts(
    certificate_type: str, metadata: Mapping[str, Any], linked: int, now: datetime
) -> Iterator[tuple[str, object]]:
    yield "read as", certificate_type
    if metadata["chain_length"]:
        yield "subject", metadata["subject"]
        yield "issuer", metadata["issuer"]
        yield "valid from", metadata["not_before"]
        yield "expires", _with_days(metadata["expires_at"], now)
        yield "names", [*metadata["dns_names"], *metadata["ip_addresses"]]
        yield "signature", metadata["signature_algorithm"]
        yield "serial number", metadata["serial_number"]
        yield "SHA-256", metadata["sha256_fingerprint"]
    yield "key", _key(metadata["key_algorithm"], metadata["key_size"])
    yield "private key", "yes" if metadata["has_private_key"] else "no"
    yield "passphrase", "yes" if metadata["has_passphrase"] else "no"
    sent = metadata["chain_length"]
    yield "certificates", f"{sent}, of which {linked} in the chain" if 0 < linked < sent else sent


def _key(algorithm: str | None, size: int | None) -> str | None:
    return algorithm if algorithm is None or size is None else f"{algorithm}, {size} bits"


def _with_days(moment: str | None, now: datetime) -> str | None:
    if moment is None:
        return None
    days = (datetime.fromisoformat(moment) - now).days
    return f"{moment} ({f'in {days} days' if days >= 0 else 'expired'})"


def _link(number: int, certificate: Certificate) -> Link:
    subject, issuer = _name(fields.subject, certificate), _name(fields.issuer, certificate)
    kind = "root" if subject == issuer != _UNREADABLE else "intermediate"
    if number == 1 and not fields.is_surely_ca(certificate):
        kind = "leaf"
    return Link(number, kind, subject, issuer, _read(fields.expires_at, certificate))


def _name(read: Callable[[Certificate], str], certificate: Certificate) -> str:
    shown = _read(read, certificate)
    return _UNREADABLE if shown is None else shown or _EMPTY


def _read(read: Callable[[Certificate], Value], certificate: Certificate) -> Value | None:
    try:
        return read(certificate)
    except ValueError:
        return None
