"""The rpc of the platform's own key, for the operator only."""

# ruff: noqa: N802, ARG002 - names and signatures are those of the generated base class
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from coffer.kms.v1 import kms_pb2

from services.common.identity import current_call

if TYPE_CHECKING:
    from services.kms.lifecycle.rekeying import Rekeying


class PlatformRpcs:
    """Turn the platform's key."""

    def __init__(self, rekeying: Rekeying) -> None:
        self._rekeying = rekeying

    async def RekeyPlatform(
        self, request: kms_pb2.RekeyPlatformRequest, context: Any
    ) -> kms_pb2.RekeyPlatformResponse:
        """One page."""
        done = await self._rekeying.page(current_call(), request.cursor, request.limit)
        return kms_pb2.RekeyPlatformResponse(
            next_cursor=done.next_cursor,
            examined=done.examined,
            rewrapped=done.rewrapped,
            current=done.current,
            failed=done.failed,
            total=done.total,
            failed_tenant_ids=[str(tenant_id) for tenant_id in done.failed_tenant_ids],
        )
