"""certificate_type `pem`: certificates, and possibly private keys, as PEM text (RFC 7468).

Also OpenSSL's TRUSTED CERTIFICATE, which is a certificate with settings of OpenSSL behind it.
"""

from collections.abc import Sequence
from typing import Final

from services.secrets.certificates.contents import Contents
from services.secrets.certificates.encodings.armor import (
    MISLEADING_LABELS,
    PemBlock,
    PemFault,
    scan,
)
from services.secrets.certificates.encodings.looks_like import NOTHING_KNOWN, guess_text
from services.secrets.certificates.encodings.outline import shape_of
from services.secrets.certificates.encodings.transfer import Opened
from services.secrets.certificates.facts.certificate import Certificate
from services.secrets.certificates.formats.one_certificate import certificate_of, split_padding
from services.secrets.certificates.formats.other_kind import Declared, other_kind, refused
from services.secrets.certificates.keys.encryption import Budget
from services.secrets.certificates.keys.opening import OpenedKey, open_keys
from services.secrets.certificates.limits import (
    MAX_DECODED_BYTES,
    check_count,
    check_decoded,
    check_keys,
)
from services.secrets.certificates.refusal import CertificateRefused

_PEM: Final = Declared(
    "a PEM certificate",
    "With certificate_type 'pem' send text with '-----BEGIN CERTIFICATE-----'.",
)
_JSON: Final = (
    "certificate_content looks like JSON with PEM in it. Send the text that is meant, by itself."
)
_TRUSTED: Final = "TRUSTED CERTIFICATE"


def read_pem(opened: Opened, passphrase: bytes | None, budget: Budget) -> Contents:
    """Every certificate in order, also twice, and the private keys beside them, each once.

    Parameters, requests and revocation lists beside them are kept in the text and not looked at.
    Raises CertificateRefused.
    """
    return read_blocks(_PEM, opened, passphrase, budget)


def read_blocks(
    declared: Declared, opened: Opened, passphrase: bytes | None, budget: Budget
) -> Contents:
    """The same for whatever type was declared that may be PEM text too."""
    blocks = blocks_of(opened)
    found = [block for block in blocks if block.is_certificate]
    misleading = [block for block in blocks if block.label in MISLEADING_LABELS]
    if misleading or not found:
        raise _without_certificate(declared, opened, misleading or blocks)
    check_count(len(found))
    read = [
        _certificate(declared, block, number, len(found))
        for number, block in enumerate(found, start=1)
    ]
    return Contents(
        tuple(certificate for certificate, _ in read),
        keys_of(blocks, passphrase, budget),
        is_ber=any(is_ber for _, is_ber in read),
    )


def blocks_of(opened: Opened) -> list[PemBlock]:
    """The blocks of the text, or none. Raises CertificateRefused, also for too many bytes in them."""
    try:
        blocks = scan(opened.text or "")
    except PemFault as fault:
        if (opened.text or "").lstrip().startswith(("{", "[")):
            raise refused("not_this_format", _JSON) from None
        raise refused(fault.reason, fault.message) from None
    if sum(len(block.body) for block in blocks) > MAX_DECODED_BYTES:  # else they hold less anyway
        check_decoded(sum(_size(block) for block in blocks))
    return blocks


def _size(block: PemBlock) -> int:
    """Bytes in the block, by the length of the base64, so that nothing is decoded in vain."""
    return len("".join(block.body.split()).rstrip("=")) * 3 // 4


def keys_of(
    blocks: Sequence[PemBlock], passphrase: bytes | None, budget: Budget
) -> tuple[OpenedKey, ...]:
    """The private keys among the blocks in order, each once. Raises CertificateRefused."""
    check_keys(sum(block.is_private_key for block in blocks))
    distinct: list[OpenedKey] = []
    for key in open_keys(blocks, passphrase, "certificate_content", budget):
        if all(key.public_key != other.public_key for other in distinct):
            distinct.append(key)
    return tuple(distinct)


def _certificate(
    declared: Declared, block: PemBlock, number: int, total: int
) -> tuple[Certificate, bool]:
    try:
        data = block.decoded()
    except PemFault as fault:
        raise refused(fault.reason, fault.message) from None
    try:
        structure, rest = split_padding(data)
        if not rest or block.label == _TRUSTED:
            return certificate_of(structure)
    except ValueError:
        pass
    if shape_of(data) not in ("certificate", None):
        raise other_kind(declared, Opened(data=data))
    which = "The certificate" if total == 1 else f"Certificate {number} of {total}"
    raise refused(
        "malformed",
        f"{which} (line {block.line}) is valid base64 but no X.509 certificate: it was cut or "
        "changed on the way. Copy it again, whole.",
    )


def _without_certificate(
    declared: Declared, opened: Opened, blocks: list[PemBlock]
) -> CertificateRefused:
    if blocks and guess_text(opened.text or "", blocks).phrase == NOTHING_KNOWN:
        return refused(
            "no_certificate",
            "certificate_content is PEM but has no CERTIFICATE block ('-----BEGIN CERTIFICATE').",
        )
    return other_kind(declared, opened, blocks)
