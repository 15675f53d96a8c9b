"""Textual encoding of certificates and keys (PEM, RFC 7468), as people really paste it.

Accepted: text around the blocks, also about BEGIN and END lines, any line ending, blanks at the ends of
lines, RFC 1421 headers (`Proc-Type`, `DEK-Info`) as OpenSSL's traditional keys have. Byte order marks and
lost line breaks are `transfer`'s business.
Not checked here: what the bytes of a block mean, or that the label tells the truth.
"""

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import Final

from services.secrets.certificates.refusal import Reason

CERTIFICATE_LABELS: Final = frozenset({"CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"})
PKCS7_LABELS: Final = frozenset({"PKCS7", "CMS", "PKCS #7 SIGNED DATA"})
MISLEADING_LABELS: Final = PKCS7_LABELS | {"PKCS12", "OPENSSH PRIVATE KEY"}
"""Blocks that hold a certificate or key which nobody looks at where other blocks are meant, so that the
metadata would keep quiet about it."""
PRIVATE_KEY_LABELS: Final = frozenset(
    {
        "PRIVATE KEY",
        "ENCRYPTED PRIVATE KEY",
        "RSA PRIVATE KEY",
        "RSA-PSS PRIVATE KEY",
        "EC PRIVATE KEY",
        "DSA PRIVATE KEY",
    }
)
_KNOWN_LABELS: Final = CERTIFICATE_LABELS | PKCS7_LABELS | PRIVATE_KEY_LABELS

_MARKER: Final = re.compile(r"-----(BEGIN|END) ([^-]+(?:-[^-]+)*)-----")
_ALMOST_MARKER: Final = re.compile(
    "[-\u2010-\u2015\u2212]{2,} ?(?:BEGIN|END) (?:LABELS) ?[-\u2010-\u2015\u2212]{2,}".replace(
        "LABELS", "|".join(_KNOWN_LABELS)
    ),
    re.IGNORECASE,
)
_BASE64: Final = re.compile("[A-Za-z0-9+/]{40}")
"""A line of it, in what is otherwise prose; words and addresses have blanks and dots."""
_BASE64_LINE: Final = re.compile("[A-Za-z0-9+/]{16,}=*")
_HEADER: Final = re.compile(r"([A-Za-z][A-Za-z0-9-]*):[ \t]*(.*)")
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
            data = binascii.a2b_base64("".join(self.body.split()).encode("ascii"), strict_mode=True)
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
    """All blocks of a text, in order; an empty list when it has none. Raises PemFault.

    Between blocks, what only mentions a marker is text: most files come with some about them. With base64
    below it, it was one, and a certificate or key must not be passed over in silence.
    """
    blocks: list[PemBlock] = []
    label: str | None = None
    begun = 0
    remarks = _Remarks()
    inside: list[str] = []
    for number, raw in enumerate(_lines(text), start=1):
        line = raw.strip()
        marker = _MARKER.fullmatch(line) if "-----" in line else None
        if marker is None:
            remarks.note(line, number, is_inside=label is not None)
            inside.append(line)
        elif marker[1] == "BEGIN":
            if label is not None:
                raise _unclosed(label, begun, remarks.first)
            label, begun, remarks, inside = marker[2], number, _Remarks(), []
        elif label is None:
            _check_stray_end(marker[2], number, remarks.first)
        elif label != marker[2]:
            raise _foreign_end(number)
        else:
            blocks.append(_block(label, begun, inside))
            label = None
    if label is not None:
        raise _unclosed(label, begun, remarks.first)
    if remarks.first and not blocks:
        raise _damaged_marker(remarks.first)
    return blocks


class _Remarks:
    """Lines that mention a marker since the last BEGIN: the number of the `first`, 0 for none."""

    def __init__(self) -> None:
        self.first = 0
        self._last = 0

    def note(self, line: str, number: int, *, is_inside: bool) -> None:
        """One more line. Raises PemFault when it shows that a marker was damaged."""
        if " " in line and _is_almost_marker(line, number, is_inside=is_inside):
            self.first, self._last = self.first or number, number
        elif self._last and line and not _HEADER.fullmatch(line):
            if not is_inside and _BASE64_LINE.fullmatch(line):
                raise _damaged_marker(self._last)
            self._last = 0


def _lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _is_almost_marker(line: str, number: int, *, is_inside: bool) -> bool:
    """Whether the line may be a damaged BEGIN or END line, which only matters if the block is missed.

    Raises PemFault when it surely is one: a whole marker stands in it, and a block's base64 around it.
    """
    if "-----BEGIN " not in line and "-----END " not in line:
        return _ALMOST_MARKER.fullmatch(line) is not None
    if (is_inside or _BASE64.search(line)) and not _ALMOST_MARKER.fullmatch(line):
        raise _damaged_marker(number)
    return True


def _check_stray_end(label: str, number: int, almost: int) -> None:
    """Raises PemFault for one that must have lost its BEGIN; others only separate the parts of a text."""
    if label in _KNOWN_LABELS:
        raise _damaged_marker(almost) if almost else _foreign_end(number)


def _foreign_end(number: int) -> PemFault:
    return PemFault(
        "malformed", f"The END line on line {number} does not belong to a BEGIN line before it."
    )


def _damaged_marker(line: int) -> PemFault:
    return PemFault(
        "malformed",
        f"Line {line} is not well-formed PEM. BEGIN and END lines must stand alone, in capitals, with "
        "five plain dashes on both sides.",
    )


def _unclosed(label: str, line: int, almost: int) -> PemFault:
    """`almost`: the number of a line that was perhaps meant to end the block, or 0."""
    if almost:
        return _damaged_marker(almost)
    shown = label if label in _KNOWN_LABELS else "PEM"
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
