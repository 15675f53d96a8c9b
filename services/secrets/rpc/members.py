"""Single members of messages: those that may be absent, and moments."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

from google.protobuf.timestamp_pb2 import Timestamp

from services.common.errors import ValidationError

if TYPE_CHECKING:
    from datetime import datetime

    from google.protobuf.message import Message


def optional(request: Message, field: str) -> Any:
    """What `field` holds; None when it is absent. Only for fields that know whether they are."""
    return getattr(request, field) if request.HasField(field) else None


def moment(at: datetime) -> Timestamp:
    """A moment as a message."""
    stamp = Timestamp()
    stamp.FromDatetime(at)
    return stamp


def optional_moment(request: Message, field: str) -> datetime | None:
    """A moment of the years 1 to 9999, which is what RFC 3339 can say. Raises ValidationError."""
    if not request.HasField(field):
        return None
    sent: Timestamp = getattr(request, field)
    try:
        return sent.ToDatetime(UTC)
    except (ValueError, OverflowError):
        raise ValidationError.of(field, "Must be a date and time of the years 1 to 9999.") from None
