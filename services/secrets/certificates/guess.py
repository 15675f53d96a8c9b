"""From a file to `certificate_type` and `certificate_content`, for people who have a file and not an API.

Told by the content alone: names of files lie. Nothing is accepted because of it; the declared type
rules, and the reader of that type has the last word. Cheap, and raises nothing, whatever the file is.
"""

from __future__ import annotations

import base64
import re
import ssl
from typing import TYPE_CHECKING, Final

from services.secrets.certificates.encodings.armor import PemFault, scan
from services.secrets.certificates.encodings.looks_like import guess_opened, kind_of
from services.secrets.certificates.encodings.transfer import open_file

if TYPE_CHECKING:
    from services.secrets.certificates.encodings.looks_like import Kind

_CONTROL: Final = re.compile(r"[\0-\x08\x0e-\x1f\x7f]")
"""Not in text that goes into JSON as it stands."""
_WIDE_BASE64: Final = re.compile(rb"(?:[A-Za-z0-9+/=\s]\0)+|(?:\0[A-Za-z0-9+/=\s])+")
"""Base64 that was saved as UTF-16 without a byte order mark: its bytes alone do not tell that it is text."""


def guess_type(data: bytes) -> Kind | None:
    """The certificate_type of a file's bytes, also when they are base64 of it; None when it is nothing
    that can be stored, which `describe` names. Not promised: that it is whole, or will be accepted."""
    return kind_of(_narrowed(data))


def describe(data: bytes) -> str:
    """A phrase that completes "it looks like ..."; never a piece of the data itself."""
    opened = open_file(_narrowed(data))
    try:
        blocks = scan(opened.text or "")
    except PemFault:
        blocks = []
    return guess_opened(opened, blocks).phrase


def as_content(data: bytes) -> str:
    """The file as the value of `certificate_content` or `private_key`: UTF-8 text as it is, everything
    else, text in other encodings too, in base64. (Base64 in UTF-16 becomes plain base64.)"""
    data = _narrowed(data)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return base64.b64encode(data).decode()
    return base64.b64encode(data).decode() if _CONTROL.search(text) else text


def as_pem(data: bytes) -> str | None:
    """The file as PEM text that further certificates can be appended to, if it holds certificates in PEM
    or one in DER; None for anything else."""
    kind, opened = guess_type(data), open_file(_narrowed(data))
    if kind == "pem" and opened.text is not None:
        return opened.text.rstrip() + "\n"
    if kind == "crt" and opened.data is not None:
        return ssl.DER_cert_to_PEM_cert(opened.data)
    return None


def _narrowed(data: bytes) -> bytes:
    return data.replace(b"\0", b"") if _WIDE_BASE64.fullmatch(data) else data
