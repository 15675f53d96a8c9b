"""Textual encoding of certificates and keys (PEM, RFC 7468), as people really paste it.

Accepted: text around the blocks, a byte order mark, any line ending, blanks at the ends of lines,
RFC 1421 headers (`Proc-Type`, `DEK-Info`) as OpenSSL's traditional keys have.
Not checked here: what the bytes of a block mean, or that the label tells the truth.
"""

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import Final

from services.secrets.certificates.refusal import Reason

CERTIFICATE_LABELS: Final = frozenset({"CERTIFICATE", "X509 CERTIFICATE"})
PRIVATE_KEY_LABELS: Final = frozenset(
    {"PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "DSA PRIVATE KEY"}
)

_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_MARKER: Final = re.compile(r"-----(BEGIN|END) ([^-]+(?:-[^-]+)*)-----")
_HEADER: Final = re.compile(r"([A-Za-z][A-Za-z0-9-]*):[ \t]*(.*)")
_BLANKS: Final = re.compile(r"\s+")
_LINE_LENGTH: Final = 64


class PemFault(Exception):  # noqa: N818 - read as "a fault in the PEM", turned into a refusal
    """The text is not well-formed PEM; `message` names the line, never its content."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason: Reason = reason
        self.message = message


@dataclass(frozen=True, slots=True)
class PemBlock:
    """One encapsulated block; the text stays out of repr, as it may be a private key."""

    label: str
    line: int
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: str = field(repr=False)

    @property
    def is_certificate(self) -> bool:
        """Whether the label promises an X.509 certificate."""
        return self.label in CERTIFICATE_LABELS

    @property
    def is_private_key(self) -> bool:
        """Whether the label promises a private key of a kind that can be stored."""
        return self.label in PRIVATE_KEY_LABELS

    def header(self, name: str) -> str | None:
        """The value of the first header of that name, or None."""
        return next((value for key, value in self.headers if key == name), None)

    def decoded(self) -> bytes:
        """The bytes inside. Raises PemFault (`invalid_base64`, or `malformed` when empty)."""
        where = f"The {self.label} block that begins on line {self.line}"
        try:
            data = base64.b64decode(_BLANKS.sub("", self.body).encode("ascii"), validate=True)
        except (binascii.Error, UnicodeEncodeError):
            raise PemFault(
                "invalid_base64",
                f"{where} is not valid base64: it was cut or changed on the way. Copy it again.",
            ) from None
        if not data:
            raise PemFault("malformed", f"{where} is empty.")
        return data

    def normalised(self) -> bytes:
        """The same block in the strict form that a library reads. Raises PemFault."""
        text = base64.b64encode(self.decoded()).decode("ascii")
        lines = [f"-----BEGIN {self.label}-----"]
        if self.headers:
            lines += [*(f"{key}: {value}" for key, value in self.headers), ""]
        lines += [text[at : at + _LINE_LENGTH] for at in range(0, len(text), _LINE_LENGTH)]
        lines += [f"-----END {self.label}-----", ""]
        return "\n".join(lines).encode()


def scan(text: str) -> list[PemBlock]:
    """All blocks of a text, in order; an empty list when it has none. Raises PemFault."""
    blocks: list[PemBlock] = []
    label: str | None = None
    begun = 0
    inside: list[str] = []
    for number, raw in enumerate(_LINE_END.split(text.removeprefix("\ufeff")), start=1):
        line = raw.strip()
        marker = _MARKER.fullmatch(line)
        if marker is None:
            _refuse_broken_marker(line, number)
            inside.append(line)
        elif marker[1] == "BEGIN":
            if label is not None:
                raise _unclosed(label, begun)
            label, begun, inside = marker[2], number, []
        elif label is None or label != marker[2]:
            raise PemFault(
                "malformed",
                f"The END line on line {number} does not belong to a BEGIN line before it.",
            )
        else:
            blocks.append(_block(label, begun, inside))
            label = None
    if label is not None:
        raise _unclosed(label, begun)
    return blocks


def _refuse_broken_marker(line: str, number: int) -> None:
    if "-----BEGIN " not in line and "-----END " not in line:
        return
    if "\\n" in line:
        advice = r"It has the two characters \n where line breaks belong: send real line breaks."
    else:
        advice = "BEGIN and END lines must stand alone, with five dashes on both sides."
    raise PemFault("malformed", f"Line {number} is not well-formed PEM. {advice}")


def _unclosed(label: str, line: int) -> PemFault:
    shown = label if label in CERTIFICATE_LABELS | PRIVATE_KEY_LABELS else "PEM"
    return PemFault(
        "malformed",
        f"The {shown} block that begins on line {line} has no END line: the text was cut off.",
    )


def _block(label: str, line: int, inside: list[str]) -> PemBlock:
    headers: list[tuple[str, str]] = []
    for at, text in enumerate(inside):
        header = _HEADER.fullmatch(text)
        if header is None:
            return PemBlock(label, line, tuple(headers), "\n".join(inside[at:]))
        headers.append((header[1], header[2]))
    return PemBlock(label, line, tuple(headers), "")
