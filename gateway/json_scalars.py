"""One JSON or query value to one protobuf value, strictly, or a sentence saying what is wrong with it.

Every reader takes a value and returns what the message's field takes, or raises `Misfit`. A reader never
converts between JSON types: `"1"` is no integer, `1` is no boolean, `true` is no number, `1.0` is no integer.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import re
from typing import TYPE_CHECKING, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.timestamp_pb2 import Timestamp

if TYPE_CHECKING:
    from collections.abc import Callable

_RANGES: Final = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}

_DATE_TIME: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))",
    re.ASCII,
)
_NANO_DIGITS: Final = 9
_EPOCH_DAY: Final = dt.date(1970, 1, 1).toordinal()
_DAY: Final = 86_400
# google.protobuf.Timestamp: 0001-01-01T00:00:00Z to 9999-12-31T23:59:59Z, in seconds.
_FIRST_SECOND: Final = -62_135_596_800
_LAST_SECOND: Final = 253_402_300_799
_DECIMAL: Final = re.compile(r"-?(?:0|[1-9]\d{0,19})", re.ASCII)


class Misfit(Exception):  # noqa: N818 - a verdict that never leaves the gateway
    """The value does not fit the field; the message completes "<field> ..."."""


def read_text(value: object) -> str:
    """A JSON string."""
    if type(value) is not str:
        raise Misfit("must be a string")
    return value


def read_bool(value: object) -> bool:
    """`true` or `false`."""
    if type(value) is not bool:
        raise Misfit("must be true or false")
    return value


def read_real(value: object) -> float:
    """Any JSON number; its range was checked with the syntax."""
    if type(value) is not int and type(value) is not float:
        raise Misfit("must be a number")
    return float(value)


def read_bytes(value: object) -> bytes:
    """Canonical base64 (RFC 4648 section 4): the standard alphabet, padded, nothing else in between."""
    try:
        text = read_text(value).encode("ascii")
        data = base64.b64decode(text, validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise Misfit("must be base64 with padding") from None
    if base64.b64encode(data) != text:
        raise Misfit("must be base64 with padding")
    return data


def read_integer(low: int, high: int) -> Callable[[object], int]:
    """The reader of integers from `low` to `high`, both included."""

    def read(value: object) -> int:
        if type(value) is not int:
            raise Misfit("must be an integer")
        if not low <= value <= high:
            raise Misfit("is out of range")
        return value

    return read


def read_name_of(numbers: dict[str, int]) -> Callable[[object], int]:
    """The reader of an enum: the value's name."""
    choice = ", ".join(numbers)

    def read(value: object) -> int:
        number = numbers.get(value) if type(value) is str else None
        if number is None:
            raise Misfit(f"must be one of {choice}")
        return number

    return read


def read_time(value: object) -> Timestamp:
    """An RFC 3339 date-time with an offset, any number of decimals (cut after nanoseconds).

    A leap second is accepted where one may be (23:59:60 UTC) and means the second after 23:59:59.
    """
    found = _DATE_TIME.fullmatch(read_text(value))
    if found is None:
        raise Misfit("must be an RFC 3339 date-time with an offset, like 2026-03-15T12:00:00Z")
    year, month, day, hour, minute, second = (int(found[n]) for n in range(1, 7))
    try:
        days = dt.date(year, month, day).toordinal() - _EPOCH_DAY
        dt.time(hour, minute, min(second, 59))
        offset = _offset(found[8], found[9], found[10])
    except ValueError:
        raise Misfit("is no date-time that exists") from None
    seconds = days * _DAY + hour * 3600 + minute * 60 + second - offset
    if second > 60 or (second == 60 and seconds % _DAY != 0):  # noqa: PLR2004 - a leap second
        raise Misfit("is no date-time that exists")
    if not _FIRST_SECOND <= seconds <= _LAST_SECOND:
        raise Misfit("must be between the years 1 and 9999")
    digits = (found[7] or "")[:_NANO_DIGITS]
    return Timestamp(seconds=seconds, nanos=int(digits.ljust(_NANO_DIGITS, "0")))


def _offset(sign: str | None, hours: str, minutes: str) -> int:
    if sign is None:
        return 0
    there = dt.time(int(hours), int(minutes))
    seconds = there.hour * 3600 + there.minute * 60
    return -seconds if sign == "-" else seconds


def reader_of(field: FieldDescriptor) -> Callable[[object], object]:
    """The reader of one JSON value of a field that is no message. Raises TypeError for unknown kinds."""
    kind = field.cpp_type
    if kind in _RANGES:
        return read_integer(*_RANGES[kind])
    if field.type == FieldDescriptor.TYPE_BYTES:
        return read_bytes
    if kind == FieldDescriptor.CPPTYPE_STRING:
        return read_text
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return read_bool
    if kind in {FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT}:
        return read_real
    if field.enum_type is not None:
        return read_name_of({value.name: value.number for value in field.enum_type.values})
    raise TypeError(f"{field.full_name}: this kind of field has no JSON form here")


def text_reader_of(field: FieldDescriptor) -> Callable[[str], object]:
    """The reader of a field's value given as text, in a path, a query or a header."""
    if field.message_type is not None:
        if field.message_type.full_name == Timestamp.DESCRIPTOR.full_name:
            # An unescaped `+` of an offset has become a blank, as in every form-encoded query.
            return lambda text: read_time(text.replace(" ", "+"))
        raise TypeError(f"{field.full_name}: a message cannot be given in a path, query or header")
    read = reader_of(field)
    if field.cpp_type in _RANGES:
        return lambda text: read(int(text) if _DECIMAL.fullmatch(text) else None)
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return lambda text: read({"true": True, "false": False}.get(text))
    if field.type == FieldDescriptor.TYPE_STRING or field.enum_type is not None:
        return read
    raise TypeError(f"{field.full_name}: this kind cannot be given in a path, query or header")
