"""Values of protobuf and Python, one into the other."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from services.common.errors import ValidationError

if TYPE_CHECKING:
    from datetime import datetime

    from google.protobuf.struct_pb2 import Struct, Value


def members(body: Struct) -> dict[str, object]:
    """The members of a JSON object."""
    return {name: _plain(value) for name, value in body.fields.items()}


def _plain(value: Value) -> object:
    match value.WhichOneof("kind"):
        case "struct_value":
            return members(value.struct_value)
        case "list_value":
            return [_plain(member) for member in value.list_value.values]
        case "string_value":
            return value.string_value
        case "number_value":
            return value.number_value
        case "bool_value":
            return value.bool_value
        case _:
            return None


def tenant(text: str) -> UUID:
    """The tenant that a service's request names. Raises ValidationError."""
    try:
        return UUID(text)
    except ValueError:
        raise ValidationError.of("tenant_id", "must be a UUID") from None


def time(moment: datetime | None) -> Timestamp | None:
    """A moment, where there is one."""
    if moment is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp
