"""The rpcs that steer leases."""

# ruff: noqa: N802 - names are those of the rpcs
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.common.rpc.answering import answer
from services.rewrap.rpc.messages import shown

if TYPE_CHECKING:
    from coffer.rewrap.v1 import rewrap_pb2

    from services.rewrap.steering import Steering


class SteeringRpcs:
    """Each is one use case."""

    def __init__(self, steering: Steering) -> None:
        self._steering = steering

    async def StartRewrap(
        self, request: rewrap_pb2.StartRewrapRequest, _context: Any
    ) -> rewrap_pb2.RewrapLease:
        """Start one by hand."""
        return await answer(lambda call: self._steering.start(call, _throttle(request)), shown)

    async def PauseRewrap(
        self, request: rewrap_pb2.PauseRewrapRequest, _context: Any
    ) -> rewrap_pb2.RewrapLease:
        """Hold one."""
        return await answer(lambda call: self._steering.pause(call, request.id), shown)

    async def ResumeRewrap(
        self, request: rewrap_pb2.ResumeRewrapRequest, _context: Any
    ) -> rewrap_pb2.RewrapLease:
        """Let a paused one go on."""
        return await answer(lambda call: self._steering.resume(call, request.id), shown)

    async def CancelRewrap(
        self, request: rewrap_pb2.CancelRewrapRequest, _context: Any
    ) -> rewrap_pb2.RewrapLease:
        """End one for good."""
        return await answer(lambda call: self._steering.cancel(call, request.id), shown)

    async def UpdateRewrap(
        self, request: rewrap_pb2.UpdateRewrapRequest, _context: Any
    ) -> rewrap_pb2.RewrapLease:
        """Change how fast one may go."""
        mask, throttle = list(request.update_mask.paths), _throttle(request)
        return await answer(
            lambda call: self._steering.update(call, request.id, mask, throttle), shown
        )


def _throttle(
    request: rewrap_pb2.StartRewrapRequest | rewrap_pb2.UpdateRewrapRequest,
) -> int | None:
    return request.throttle_per_second if request.HasField("throttle_per_second") else None
