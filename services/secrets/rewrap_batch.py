"""One batch of a rewrap: stale data keys move to the lease's target version.

Ciphertext, value versions and times of the values are never touched. Any batch may run twice: a key
moves only where it still is what was read, and counts are saved in the same transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from services.common.errors import InvalidStateError, TenantSealedError, ValidationError
from services.secrets.model import KeyFault, LeaseRefusedError, Moved, StaleKeyVersionError

if TYPE_CHECKING:
    from uuid import UUID

    from services.secrets.model import RewrapOrder, RewrapOutcome
    from services.secrets.ports import Kms, Observer, StaleKeys

MAX_LIMIT: Final = 5000
SUPERSEDED: Final = "lease_superseded"
FENCE: Final = "fence"


class RewrapBatch:
    """Works on batches; which one, rewrap says."""

    def __init__(self, store: StaleKeys, kms: Kms, observer: Observer) -> None:
        self._store = store
        self._kms = kms
        self._observer = observer

    async def run(self, order: RewrapOrder) -> RewrapOutcome:
        """What was done, saved with the lease.

        Raises TenantSealedError (try later), InvalidStateError with reason `lease_superseded` (the
        target is not active any more) or `fence` (this worker is not the lease's any more).
        """
        if not 1 <= order.limit <= MAX_LIMIT:
            raise ValidationError.of("limit", f"Must be 1 to {MAX_LIMIT}.")
        stale = await self._store.stale(order)
        finished = len(stale) < order.limit
        cursor = order.until if finished else stale[-1][0]
        moved, failed, passed_over = await self._rewrap(order, stale)
        try:
            return await self._store.swap(
                order,
                moved,
                passed_over=passed_over,
                failed=failed,
                cursor=cursor,
                finished=finished,
            )
        except StaleKeyVersionError:
            raise _superseded() from None
        except LeaseRefusedError:
            raise InvalidStateError(
                "The lease is not running under this fence, or the lane has moved on.", reason=FENCE
            ) from None

    async def _rewrap(
        self, order: RewrapOrder, stale: list[tuple[UUID, bytes]]
    ) -> tuple[list[Moved], list[UUID], int]:
        """New wraps, the ids of damaged keys, and how many were revoked meanwhile."""
        if not stale:
            return [], [], 0
        packed = b"".join(key_id.bytes + wrapped for key_id, wrapped in stale)
        answer = await self._kms.rewrap(order.tenant_id, packed)
        if answer.key_version != order.target_version:
            raise _superseded()
        moved: list[Moved] = []
        failed: list[UUID] = []
        revoked = 0
        for (key_id, old), result in zip(stale, answer.results, strict=True):
            if not isinstance(result, KeyFault):
                moved.append(Moved(key_id, old, result))
            elif result is KeyFault.SEALED:
                raise TenantSealedError
            elif result is KeyFault.REVOKED:
                revoked += 1
            else:
                self._observer.cannot_open(order.tenant_id, key_id, "data key")
                failed.append(key_id)
        return moved, failed, revoked


def _superseded() -> InvalidStateError:
    return InvalidStateError("The target version is not active any more.", reason=SUPERSEDED)
