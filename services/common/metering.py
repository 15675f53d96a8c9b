"""What every call with a valid API key passes: its use is noted, and its limit taken from."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.common.api_uses import UseRecorder
    from services.common.identity import ApiKeyIdentity
    from services.common.rate_limits import Taken
    from services.common.rate_windows import RateLimiter


class ApiKeyMeter:
    """`services.common.rpc.policy.Metering`. A key without a limit costs no statement."""

    def __init__(self, uses: UseRecorder, limiter: RateLimiter) -> None:
        self._uses = uses
        self._limiter = limiter

    async def take(self, identity: ApiKeyIdentity) -> Taken | None:
        """Note the call, also a refused one; None: the key has no limit. Raises as `RateLimiter.take`."""
        self._uses.note(identity.tenant_id, identity.key_id)
        if identity.limit is None:
            return None
        return await self._limiter.take(identity.tenant_id, identity.key_id, identity.limit)
