"""The coat that content travels in: text as it is, or base64 of bytes, or a `data:` URI (RFC 2397).

Request fields are text, so a binary file comes in base64 (RFC 4648, either alphabet, with or without
line breaks and padding), and text comes as it was pasted: with byte order marks, without its line breaks,
or as UTF-16 of which each character's second half is still there as a NUL. A file that was encoded once
too often is opened that often. What the content is, is not decided here.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote, unquote_to_bytes

from services.secrets.certificates.encodings.armor import PemFault, scan
from services.secrets.certificates.encodings.one_line import unfolded
from services.secrets.certificates.encodings.outline import shape_of
from services.secrets.certificates.limits import check_decoded
from services.secrets.certificates.refusal import CertificateRefused, Field

NO_CONTENT: Final = "\ufeff\u200b\0\x1a \t\r\n\f\v"
"""Characters that are nothing by themselves: blanks, marks, and the NULs of UTF-16."""

_MAX_COATS: Final = 3
_INVISIBLE: Final = re.compile("[\0\x1a\u200b\ufeff]")
_MISREAD_MARKS: Final = ("\xef\xbb\xbf", "\xff\xfe", "\xfe\xff", "\ufffd\ufffd")
"""Byte order marks of UTF-8 and UTF-16 that somebody read as Latin-1, or could not read at all."""
_QUOTES: Final = ('"', "'")

# any dash, so that a text whose dashes were changed is still named as damaged PEM
_PEM_MARK: Final = re.compile("[-\u2010-\u2015\u2212] ?(?:BEGIN|END) [A-Z]", re.IGNORECASE)
_PERCENT_PEM: Final = "-----BEGIN%20"
_CERTIFICATE: Final = "-----BEGIN CERTIFICATE-----"
_HEAD: Final = 64  # characters, enough for the outline of what is in them
_VERSION: Final = b"\xa0\x03\x02\x01"
"""What stands in the ninth octet of every certificate of a usual size, and of no other file."""
_FILES: Final = ("pkcs12", "private key", "encrypted private key")
_UTF16_PEM: Final = "-----BEGIN".encode("utf-16-le")[:-1]  # without the last NUL, in both orders
_DATA_URI: Final = re.compile(r"data:([^,]{0,256}),(.*)", re.IGNORECASE | re.DOTALL)
_BINARY: Final = re.compile(rb"[\x00-\x08\x0e-\x19\x1b-\x1f\x7f]")

_STANDARD: Final = re.compile(r"([A-Za-z0-9+/]+)={0,2}")
_URL_SAFE: Final = re.compile(r"([A-Za-z0-9_-]+)={0,2}")
_ONLY_LOOKS_ENCODED: Final = re.compile(
    r"[0-9A-Fa-f]{32,}|(?:ssh-[a-z]|ecdsa-sha2-|sk-(?:ssh|ecdsa)-|AGE-SECRET-KEY-).*"
)
"""Hexadecimal and the keys of SSH and age are of the same alphabets, and must be called by their names."""
_FOREIGN: Final = re.compile(r"[^A-Za-z0-9+/=_-]")
_LONG_RUN: Final = re.compile(r"\S{40}")
_MEANT_LENGTH: Final = 24
_MEANT_SHARE: Final = 20  # one foreign character in so many


@dataclass(frozen=True, slots=True)
class Opened:
    """Content without its coat: `text` when it is text that may be PEM, else `data`, the bytes.

    Exactly one of the two is not None, and it is not empty. Both stay out of repr, as they may be key
    material. `is_damaged_base64` goes with a text that was surely meant as base64 and cannot be decoded;
    it does not tell that the text is nothing else (JSON around base64 has it too).
    """

    text: str | None = field(default=None, repr=False)
    data: bytes | None = field(default=None, repr=False)
    is_damaged_base64: bool = False


def open_transfer(content: str, from_field: Field = "certificate_content") -> Opened:
    """What is inside `content`, which came in the field `from_field`.

    Text with a BEGIN line is text, also when it was wrapped in base64 as UTF-8 or UTF-16, unless it is a
    binary file in a certificate's armor. Text that is no base64 is text, and so is hexadecimal.
    Raises CertificateRefused: `empty`, or more than MAX_DECODED_BYTES.
    """
    opened = _open(content, _MAX_COATS)
    if not opened.text and not opened.data:
        raise CertificateRefused(
            from_field, "empty", f"{from_field} is empty: there is nothing in it."
        )
    check_decoded(len(opened.data or b""))
    return opened


def open_file(data: bytes) -> Opened:
    """The same for the bytes of a file, of which nobody said yet what they are.

    Never refuses anything: an empty file is an empty text, and no size is too large.
    """
    return _open_bytes(data, _MAX_COATS)


def _open(content: str, coats: int) -> Opened:
    text = _plain(content)
    if coats and text[:5].lower() == "data:" and (uri := _DATA_URI.fullmatch(text)):
        return _open_uri(uri[1], uri[2], coats)
    if _PERCENT_PEM in text:
        text = unquote(text)
    if _PEM_MARK.search(text):
        text = unfolded(text)
        data = _encoded_file(text)
        return Opened(text=text) if data is None else Opened(data=data)
    return _open_base64(text, coats, is_declared=False)


def _plain(content: str) -> str:
    """Without marks, NULs, and quotes around the whole."""
    text = content
    for mark in _MISREAD_MARKS:
        text = text.removeprefix(mark)
    if not text.isascii() or "\0" in text or "\x1a" in text:
        text = _INVISIBLE.sub("", text)
    bare = text.strip()
    if len(bare) > 1 and bare[0] == bare[-1] and bare.startswith(_QUOTES):
        return bare[1:-1]
    return text if bare else ""


def _encoded_file(text: str) -> bytes | None:
    """The file if the text is what `certutil -encode` of Windows makes of a PKCS#12 or a key: the same
    armor that certificates have. (PKCS#7 under that label is PEM in its own right.)"""
    bare = text.strip()
    if not bare.startswith(_CERTIFICATE) or bare.count("-----BEGIN ") != 1:
        return None
    try:
        head = base64.b64decode("".join(bare[len(_CERTIFICATE) :][: 2 * _HEAD].split())[:_HEAD])
        if head[8:12] == _VERSION or shape_of(head) not in _FILES:
            return None
        return scan(bare)[0].decoded()
    except (ValueError, PemFault):
        return None


def _open_uri(media_type: str, rest: str, coats: int) -> Opened:
    if media_type.rstrip().lower().endswith(";base64"):
        return _open_base64(unquote(rest), coats, is_declared=True)
    return _open_bytes(unquote_to_bytes(rest), coats - 1)


def _open_base64(text: str, coats: int, *, is_declared: bool) -> Opened:
    """`is_declared`: the sender said that it is base64."""
    joined = "".join(text.split())
    if coats and not _ONLY_LOOKS_ENCODED.fullmatch(joined):
        for alphabet, altchars in ((_STANDARD, None), (_URL_SAFE, b"-_")):
            encoded = alphabet.fullmatch(joined)
            if encoded and len(encoded[1]) % 4 != 1:
                padding = "=" * (-len(encoded[1]) % 4)
                return _open_bytes(base64.b64decode(encoded[1] + padding, altchars), coats - 1)
    return Opened(text=text, is_damaged_base64=is_declared or _is_meant_as_base64(text, joined))


def _is_meant_as_base64(text: str, joined: str) -> bool:
    """Prose has blanks, so a long run of the alphabet with little else in it was base64 once."""
    if _ONLY_LOOKS_ENCODED.fullmatch(joined):
        return False
    foreign = len(_FOREIGN.findall(joined))
    if foreign == 0:
        return len(joined) >= _MEANT_LENGTH
    return foreign * _MEANT_SHARE < len(joined) and _LONG_RUN.search(text) is not None


def _open_bytes(data: bytes, coats: int) -> Opened:
    text = _text_of(data)
    return Opened(data=data) if text is None else _open(text, coats)


def _text_of(data: bytes) -> str | None:
    """The text that the bytes are, or None for binary ones."""
    try:
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):
            return data.decode("utf-16")
        if _UTF16_PEM in data:
            return data.decode("utf-16-be" if data.startswith(b"\0") else "utf-16-le")
        if _BINARY.search(data.rstrip(b"\0") if b"-----BEGIN " in data else data):
            return None
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1") if b"-----BEGIN " in data else None
