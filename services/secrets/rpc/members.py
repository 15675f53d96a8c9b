"""Single members of messages: those that may be absent, and moments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf.timestamp_pb2 import Timestamp

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
