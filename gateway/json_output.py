"""Protobuf messages to JSON, by a plan made once per message type.

Every field is a member under its proto name: an absent field is `null` unless its option says to leave it
out, 64-bit integers are numbers, times are UTC with exactly three decimals (cut, not rounded), bytes are
base64, enums their names, a Struct is itself with integral numbers as integers.
"""

from __future__ import annotations

import base64
import json
import math
import time
from typing import TYPE_CHECKING, Any, Final

from coffer.type.v1 import policy_pb2
from google.protobuf import struct_pb2
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.timestamp_pb2 import Timestamp

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.descriptor import Descriptor
    from google.protobuf.message import Message

    Convert = Callable[[Any], object]

encode: Final = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":")
).encode
"""A JSON value as text. Raises ValueError for a number that JSON does not know."""

_EXACT_INTEGERS: Final = 2**53
_NANOS_PER_MILLI: Final = 1_000_000


def time_text(value: Timestamp) -> str:
    """`2026-03-15T12:00:00.000Z`."""
    at = time.gmtime(value.seconds)
    return (
        f"{at.tm_year:04d}-{at.tm_mon:02d}-{at.tm_mday:02d}"
        f"T{at.tm_hour:02d}:{at.tm_min:02d}:{at.tm_sec:02d}.{value.nanos // _NANOS_PER_MILLI:03d}Z"
    )


def struct_value(value: struct_pb2.Struct) -> dict[str, object]:
    """The JSON object in a Struct, members sorted: the order they were given in does not travel."""
    return {name: _value(value.fields[name]) for name in sorted(value.fields)}


def _value(value: struct_pb2.Value) -> object:
    match value.WhichOneof("kind"):
        case "string_value":
            return value.string_value
        case "number_value":
            return _number(value.number_value)
        case "bool_value":
            return value.bool_value
        case "struct_value":
            return struct_value(value.struct_value)
        case "list_value":
            return [_value(item) for item in value.list_value.values]
        case _:
            return None


def _number(value: float) -> int | float | None:
    if value.is_integer() and abs(value) <= _EXACT_INTEGERS:
        return int(value)
    return _finite(value)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


class MessageWriter:
    """Writes one message type."""

    __slots__ = ("_plan",)

    def __init__(self, descriptor: Descriptor, *, without: tuple[str, ...] = ()) -> None:
        self._plan = [_step(field) for field in descriptor.fields if field.name not in without]

    def members(self, message: Message) -> dict[str, object]:
        """The members of the JSON object, in the order of the proto."""
        found: dict[str, object] = {}
        for name, presence, omit, repeated, convert in self._plan:
            if presence and not message.HasField(name):
                if not omit:
                    found[name] = None
                continue
            value = getattr(message, name)
            if repeated:
                found[name] = [convert(item) for item in value] if convert else list(value)
            else:
                found[name] = convert(value) if convert else value
        return found


def _step(field: FieldDescriptor) -> tuple[str, bool, bool, bool, Convert | None]:
    omit = field.GetOptions().Extensions[policy_pb2.json_field].omit_if_absent
    return field.name, field.has_presence, omit, field.is_repeated, _convert(field)


def _convert(field: FieldDescriptor) -> Convert | None:
    """How a single value is written; None: as it is."""
    inner = field.message_type
    if inner is not None:
        return _KNOWN.get(inner.full_name) or _nested(field, inner)
    if field.enum_type is not None:
        names = {value.number: value.name for value in field.enum_type.values}
        return lambda number: names.get(number, number)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return _base64
    if field.cpp_type in {FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT}:
        return _finite
    return None


def _nested(field: FieldDescriptor, inner: Descriptor) -> Convert:
    if inner.GetOptions().map_entry:
        raise TypeError(f"{field.full_name}: a map has no JSON form here")
    return MessageWriter(inner).members


_KNOWN: Final[dict[str, Convert]] = {
    Timestamp.DESCRIPTOR.full_name: time_text,
    struct_pb2.Struct.DESCRIPTOR.full_name: struct_value,
}
