"""The rpcs that look at leases."""

# ruff: noqa: N802 - names are those of the rpcs
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from coffer.rewrap.v1 import rewrap_pb2

from services.common.identity import current_call
from services.rewrap.rpc.messages import shown
from services.rewrap.service import DEFAULT_PER_PAGE

if TYPE_CHECKING:
    from services.rewrap.service import Rewraps


class LookingRpcs:
    """Each is one use case."""

    def __init__(self, rewraps: Rewraps) -> None:
        self._rewraps = rewraps

    async def ListRewraps(
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
            rewraps=[shown(lease) for lease in found.leases],
            total=found.total,
            page=page,
            per_page=per_page,
            total_pages=-(-found.total // per_page),
        )

    async def GetRewrap(
        self, request: rewrap_pb2.GetRewrapRequest, _context: Any
    ) -> rewrap_pb2.RewrapLease:
        """One of the calling tenant's leases."""
        return shown(await self._rewraps.get(current_call().tenant, request.id))
