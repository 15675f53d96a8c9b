"""The rpcs of the audit log: pages, the feed, the proof of the chain."""

# ruff: noqa: N802 - names are those of the rpcs
from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NoReturn

from coffer.secrets.v1 import audit_logs_pb2
from coffer.type.v1 import page_pb2
from google.protobuf import json_format, struct_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from services.common.identity import current_call
from services.secrets.audit_logs import Filters, cursor_of
from services.secrets.rpc.pages import page

if TYPE_CHECKING:
    from services.common.audit_chain import StoredEvent
    from services.secrets.audit_logs import AuditLogs


class AuditLogRpcs:
    """Each is one use case. Policy has been enforced before it is called."""

    def __init__(self, audit_logs: AuditLogs) -> None:
        self._audit_logs = audit_logs

    async def ListAuditLogs(
        self, request: audit_logs_pb2.ListAuditLogsRequest, _context: Any
    ) -> audit_logs_pb2.ListAuditLogsResponse:
        """A page, newest first."""
        number, size = _optional(request, "page"), _optional(request, "per_page")
        events, numbers = await self._audit_logs.list(
            current_call(), _filters(request), number, size
        )
        return audit_logs_pb2.ListAuditLogsResponse(
            audit_logs=[audit_logs_pb2.AuditLog(**_row(event)) for event in events],
            page=page(numbers),
        )

    async def ListAuditEvents(
        self, request: audit_logs_pb2.ListAuditEventsRequest, _context: Any
    ) -> audit_logs_pb2.ListAuditEventsResponse:
        """The next piece of the feed."""
        cursor, limit = _optional(request, "cursor"), _optional(request, "limit")
        piece = await self._audit_logs.events(current_call(), _filters(request), cursor, limit)
        return audit_logs_pb2.ListAuditEventsResponse(
            events=[
                audit_logs_pb2.AuditEvent(**_row(event), cursor=cursor_of(event))
                for event in piece.events
            ],
            cursor_page=page_pb2.CursorPage(next_cursor=piece.next_cursor, limit=piece.limit),
        )

    async def VerifyAuditLogs(
        self, request: audit_logs_pb2.VerifyAuditLogsRequest, _context: Any
    ) -> audit_logs_pb2.AuditVerification:
        """Whether the chain holds."""
        found = await self._audit_logs.verify(current_call(), _optional(request, "from"))
        return audit_logs_pb2.AuditVerification(
            ok=found.first_broken is None,
            events=found.events,
            head=found.head.hex(),
            first_broken=found.first_broken,
        )


def _optional(request: Any, field: str) -> Any:
    return getattr(request, field) if request.HasField(field) else None


def _filters(request: Any) -> Filters:
    names = ("action", "action_prefix", "resource_type")
    return Filters(**{name: _optional(request, name) for name in names})


def _row(event: StoredEvent) -> dict[str, Any]:
    made = Timestamp()
    made.FromDatetime(event.created_at)
    return {
        "id": str(event.id),
        "action": event.action,
        "resource_type": event.resource_type,
        "resource_id": event.resource_id,
        "actor": event.actor,
        "details": _details(event.details),
        "ip_address": event.ip_address,
        "created_at": made,
    }


def _details(text: str) -> struct_pb2.Struct:
    """Always an object. What is none was not written by us: it must be seen, and must not hide the others."""
    struct = struct_pb2.Struct()
    try:
        members = json.loads(text, parse_constant=_refuse)
        json_format.ParseDict(members, struct)
    except (ValueError, RecursionError, json_format.ParseError):
        struct.Clear()
        struct["not_an_object"] = text
    return struct


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
