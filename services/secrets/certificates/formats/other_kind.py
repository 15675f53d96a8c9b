"""The refusal of content that is not of the kind that was declared, with advice how to send it."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.secrets.certificates.encodings.armor import PemBlock
from services.secrets.certificates.encodings.looks_like import NOTHING_KNOWN, guess_opened
from services.secrets.certificates.encodings.outline import is_sequence, shape_of
from services.secrets.certificates.encodings.transfer import Opened
from services.secrets.certificates.refusal import CertificateRefused, Reason


@dataclass(frozen=True, slots=True)
class Declared:
    """What a certificate_type stands for: `noun` as in "is not ...", `advice` a whole sentence."""

    noun: str
    advice: str


def other_kind(
    declared: Declared, opened: Opened, blocks: Sequence[PemBlock] = ()
) -> CertificateRefused:
    """`invalid_base64` for what was meant as base64, else `not_this_format` naming what it is.

    `blocks` are those of the text, or those among them that the refusal should be about.
    """
    guess = guess_opened(opened, blocks)
    if opened.is_damaged_base64 and guess.phrase == NOTHING_KNOWN:
        return refused(
            "invalid_base64",
            "certificate_content is not valid base64: it was cut or changed on the way. Copy it again, "
            "or encode the file with 'base64'.",
        )
    return refused(
        "not_this_format",
        f"certificate_content is not {declared.noun}: it looks like {guess.phrase}. {declared.advice}",
    )


def no_such_structure(declared: Declared, opened: Opened) -> CertificateRefused:
    """For bytes that are not what a binary type begins with: damaged when no other kind is known."""
    data = opened.data or b""
    if shape_of(data) is None and is_sequence(data):
        return refused(
            "malformed",
            f"certificate_content is DER or BER, but not {declared.noun}: it was damaged. "
            f"{declared.advice}",
        )
    return other_kind(declared, opened)


def refused(reason: Reason, message: str) -> CertificateRefused:
    """A refusal of `certificate_content`."""
    return CertificateRefused("certificate_content", reason, message)
