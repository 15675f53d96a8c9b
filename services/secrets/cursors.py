"""Cursors: where a list of secrets goes on, as an opaque text in a client's hands. Pure.

Layout, before base64url without padding: format (1 byte), SHA-256 of the question it belongs to (first 8
bytes), id of the last row (16 bytes), in the order of environments a mark of them as they were (8 bytes), the
row's sort key in UTF-8. Nothing in it is secret and nothing is believed:
whoever makes one up reads his own tenant's list from another place.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from services.secrets.naming import is_environment_name, is_name

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_CURSOR: Final = 512
"""Characters; the longest real one has about 210."""
NEVER: Final = "infinity"
"""The sort key of what never expires: PostgreSQL's moment after all others."""
BY_ENVIRONMENT: Final = "base_environment"
"""The sort whose key is a name that rows share, so that a rename moves many of them at once."""
MARK_BYTES: Final = 8
_FORMAT: Final = b"\x01"
_MARKED_FORMAT: Final = b"\x02"
_QUESTION: Final = slice(1, 9)
_ID: Final = slice(9, 25)


class BadCursorError(ValueError):
    """A cursor that is none, or another list's; the text is for the client."""


@dataclass(frozen=True, slots=True)
class Place:
    """A row in an order: its sort key as text, and its id, which breaks ties.

    `environments`: a mark of the tenant's environments when the row stood there, where rows are sorted by
    them; else empty.
    """

    key: str
    id: UUID
    environments: bytes = b""


def encode(question: Sequence[object], place: Place) -> str:
    """The cursor after `place` in the list that answers `question`."""
    form = _MARKED_FORMAT if place.environments else _FORMAT
    packed = form + _hash(question) + place.id.bytes + place.environments + place.key.encode()
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def decode(question: Sequence[object], sort: str, cursor: str) -> Place:
    """Where the cursor stands. Raises BadCursorError."""
    form, marked = (_MARKED_FORMAT, MARK_BYTES) if sort == BY_ENVIRONMENT else (_FORMAT, 0)
    packed = _unpacked(cursor)
    if packed[_QUESTION] != _hash(question):
        raise BadCursorError(
            "Is of a list with another sort, order or filter: begin with an empty one."
        )
    if packed[:1] != form:
        raise _no_cursor()
    begin = _ID.stop + marked
    try:
        key = packed[begin:].decode()
    except UnicodeDecodeError:
        raise _no_cursor() from None
    if not _is_key(sort, key):
        raise _no_cursor()
    return Place(key, UUID(bytes=packed[_ID]), packed[_ID.stop : begin])


def _unpacked(cursor: str) -> bytes:
    if len(cursor) > MAX_CURSOR:
        raise _no_cursor()
    try:
        packed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _no_cursor() from None
    if packed[:1] not in {_FORMAT, _MARKED_FORMAT} or len(packed) <= _ID.stop:
        raise _no_cursor()
    return packed


def _is_key(sort: str, key: str) -> bool:
    if sort == "name":
        return is_name(key)
    if sort == "base_environment":
        return is_environment_name(key)
    if key == NEVER:
        return sort == "expires_at"
    try:
        moment = datetime.fromisoformat(key)
    except ValueError:
        return False
    # As we write them, so that PostgreSQL reads what we read.
    return moment.tzinfo is not None and not moment.utcoffset() and moment.isoformat() == key


def _hash(question: Sequence[object]) -> bytes:
    return hashlib.sha256(json.dumps(question).encode()).digest()[:8]


def _no_cursor() -> BadCursorError:
    return BadCursorError(
        "Is no cursor of this list: send next_cursor as it came, or an empty one."
    )
