"""Bytes to JSON values, strictly.

Stricter than RFC 8259 asks where leniency would hide a mistake: UTF-8 only and without a byte order
mark, no duplicate members (RFC 8259 section 4 leaves their meaning open), no `NaN` or `Infinity`, no
number beyond the range of a double, no unpaired surrogate (such text has no UTF-8 form), no more than
`MAX_DEPTH` containers inside each other, and no more than `MAX_VALUES` values (see `json_count`).

What is NOT checked here: which members there are and what type they have; see `json_input`.
"""

from __future__ import annotations

import json
import math
from typing import Final, NoReturn

from gateway.json_count import MAX_VALUES, too_many_values

MAX_DEPTH: Final = 32
"""Containers inside each other. protobuf parses 100 messages deep, and a Struct takes three for each
object, so a deeper body could be sent to a service but not read there."""

MAX_INTEGER_DIGITS: Final = 308
"""Decimal digits of an integer that a double can hold; reading longer ones takes quadratic time."""

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class JsonSyntaxError(Exception):
    """The text is not JSON as described above. The message is a sentence without any of the text."""


def parse_object(body: bytes) -> dict[str, object]:
    """The members of the JSON object in `body`. Raises JsonSyntaxError, whatever the bytes are."""
    text = _decode(body)
    if too_many_values(body):
        raise _too_much()
    value = _parse(text)
    if type(value) is not dict:
        raise JsonSyntaxError("The body must be a JSON object.")
    if _may_be_unfit(text):
        _check(value, 1)
    return value


def _may_be_unfit(text: str) -> bool:
    """False for nearly every body: no escape that could be a surrogate, and no depth worth a walk."""
    return "\\u" in text or text.count("{") + text.count("[") > MAX_DEPTH


def _decode(body: bytes) -> str:
    if body.startswith(_BYTE_ORDER_MARK):
        raise JsonSyntaxError("The body starts with a byte order mark; send plain UTF-8.")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as fault:
        raise JsonSyntaxError(f"The body is not UTF-8 (byte {fault.start}).") from None


def _parse(text: str) -> object:
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as fault:
        where = f"line {fault.lineno}, column {fault.colno}"
        raise JsonSyntaxError(f"The body is not valid JSON ({where}).") from None
    except RecursionError:
        raise _too_deep() from None


def _check(value: object, depth: int) -> None:
    """Refuse depth and unpaired surrogates; the parser itself lets both pass."""
    if type(value) is str:
        _check_text(value)
    elif type(value) is dict:
        if depth > MAX_DEPTH:
            raise _too_deep()
        for name, member in value.items():
            _check_text(name)
            _check(member, depth + 1)
    elif type(value) is list:
        if depth > MAX_DEPTH:
            raise _too_deep()
        for item in value:
            _check(item, depth + 1)


def _check_text(text: str) -> None:
    if text.isascii():
        return
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise JsonSyntaxError(
            "The body holds an unpaired surrogate (\\ud800 to \\udfff)."
        ) from None


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise JsonSyntaxError(f"The member {printable(name)} occurs twice in one object.")
            seen.add(name)
    return found


def _integer(text: str) -> int:
    if len(text) > MAX_INTEGER_DIGITS:
        raise _too_large()
    return int(text)


def _real(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise _too_large()
    return value


def _constant(text: str) -> NoReturn:
    raise JsonSyntaxError(f"{text} is not JSON.")


def _too_large() -> JsonSyntaxError:
    return JsonSyntaxError("The body holds a number that is out of range.")


def _too_deep() -> JsonSyntaxError:
    return JsonSyntaxError(f"The body is nested more than {MAX_DEPTH} levels deep.")


def _too_much() -> JsonSyntaxError:
    # A body nested beyond all measure has as many openings, and is told both.
    return JsonSyntaxError(
        f"The body holds more than {MAX_VALUES} values, or is nested more than {MAX_DEPTH} levels deep."
    )


def printable(name: str, limit: int = 64) -> str:
    """A member's name as it may be shown in an error: shortened, and always valid UTF-8."""
    shown = name if len(name) <= limit else name[:limit] + "..."
    return shown.encode("utf-8", "replace").decode("utf-8")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_members,
    parse_int=_integer,
    parse_float=_real,
    parse_constant=_constant,
)
