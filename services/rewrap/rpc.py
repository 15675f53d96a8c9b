"""The servicer: messages to use cases and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from coffer.rewrap.v1 import rewrap_pb2, rewrap_pb2_grpc

from services.common.identity import current_call
from services.rewrap.service import DEFAULT_PER_PAGE

if TYPE_CHECKING:
    from services.rewrap.model import Lease
    from services.rewrap.service import Rewraps

DESCRIPTOR = rewrap_pb2.DESCRIPTOR.services_by_name["RewrapService"]


class RewrapServicer(rewrap_pb2_grpc.RewrapServiceServicer):
    """`coffer.rewrap.v1.RewrapService`; who calls has been admitted by the interceptor."""

    def __init__(self, rewraps: Rewraps) -> None:
        self._rewraps = rewraps

    async def ListRewraps(  # noqa: N802 - the contract's name
        self, request: rewrap_pb2.ListRewrapsRequest, _context: Any
    ) -> rewrap_pb2.ListRewrapsResponse:
        """A page of the calling tenant's leases."""
        page = request.page if request.HasField("page") else 1
        per_page = request.per_page if request.HasField("per_page") else DEFAULT_PER_PAGE
        found = await self._rewraps.list(
            current_call().tenant,
            state=request.state if request.HasField("state") else None,
            page=page,
            per_page=per_page,
        )
        return rewrap_pb2.ListRewrapsResponse(
            rewraps=[_message(lease) for lease in found.leases],
            total=found.total,
            page=page,
            per_page=per_page,
            total_pages=-(-found.total // per_page),
        )

    async def GetRewrap(  # noqa: N802 - the contract's name
        self, request: rewrap_pb2.GetRewrapRequest, _context: Any
    ) -> rewrap_pb2.RewrapLease:
        """One of the calling tenant's leases."""
        return _message(await self._rewraps.get(current_call().tenant, request.id))


def _message(lease: Lease) -> rewrap_pb2.RewrapLease:
    message = rewrap_pb2.RewrapLease(
        id=lease.id,
        state=lease.state,
        reason=lease.reason,
        target_version=lease.target_version,
        total=lease.total,
        done=lease.done,
        skipped=lease.skipped,
        failed=lease.failed,
        rate_per_second=lease.rate_per_second,
        eta_seconds=lease.eta_seconds,
        throttle_per_second=lease.throttle_per_second,
        last_error=lease.last_error,
    )
    message.created_at.FromDatetime(lease.created_at)
    if lease.started_at is not None:
        message.started_at.FromDatetime(lease.started_at)
    if lease.finished_at is not None:
        message.finished_at.FromDatetime(lease.finished_at)
    return message
