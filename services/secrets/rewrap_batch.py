"""One batch of a rewrap: stale data keys move to the lease's target version.

Ciphertext, value versions and times of the values are never touched. Any batch may run twice: a key
moves only where it still is what was read, and counts are saved in the same transaction.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from uuid import UUID

from services.common.errors import InvalidStateError, TenantSealedError, ValidationError
from services.secrets.leases import LeaseRefusedError, Moved
from services.secrets.model import KeyFault, StaleKeyVersionError

if TYPE_CHECKING:
    from services.secrets.leases import RewrapOrder, RewrapOutcome, StaleKeys
    from services.secrets.ports import Kms, Observer, WorkList

MAX_LIMIT: Final = 5000
SUPERSEDED: Final = "lease_superseded"
FENCE: Final = "fence"
BEFORE_ANY: Final = UUID(int=0)
"""A cursor lower than every random UUID."""


class RewrapBatch:
    """Works on batches; which one, rewrap says."""

    def __init__(self, store: WorkList, kms: Kms, observer: Observer) -> None:
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
        found = await self._store.stale(order)
        done = await self._rewrap(order, found)
        try:
            return await self._store.swap(
                order,
                done.moved,
                passed_over=done.passed_over,
                failed=done.failed,
                cursor=done.cursor,
                finished=done.finished,
                kms_calls=done.kms_calls,
            )
        except StaleKeyVersionError:
            raise _superseded() from None
        except LeaseRefusedError:
            raise InvalidStateError(
                "The lease is not running under this fence, or the lane has moved on.", reason=FENCE
            ) from None

    async def _rewrap(self, order: RewrapOrder, found: StaleKeys) -> _Done:
        """What can be moved is moved, beyond a key that is sealed as well; the lane goes on from that one.

        Raises TenantSealedError when a sealed key is the first and nothing could be moved.
        """
        done = _Done(found.cursor, finished=found.finished)
        if found and order.pass_over:
            done.failed.append(found.id(0))
            return done
        if not found:
            self._end_of_part(order, found, done)
            return done
        answer = await self._kms.rewrap(order.tenant_id, found.packed)
        if answer.key_version != order.target_version:
            raise _superseded()
        done.kms_calls = answer.kms_calls
        places = sorted(answer.faults)
        done.moved = Moved(found.packed, answer.packed).without(places)
        for place in places:
            fault = answer.faults[place]
            if fault is KeyFault.SEALED:
                before = found.id(place - 1) if place else order.after or BEFORE_ANY
                if not place and not done.moved:
                    raise TenantSealedError
                # The lane comes by again from here, and counts then what comes after.
                done.cursor, done.finished = before, False
                break
            if fault is KeyFault.REVOKED:
                done.passed_over += 1
            else:
                key_id = found.id(place)
                self._observer.cannot_open(order.tenant_id, key_id, "data key")
                done.failed.append(key_id)
        else:
            self._end_of_part(order, found, done)
        return done

    def _end_of_part(self, order: RewrapOrder, found: StaleKeys, done: _Done) -> None:
        if found.unreadable is not None:
            self._observer.cannot_open(order.tenant_id, found.unreadable, "data key")
            done.failed.append(found.unreadable)


@dataclass(slots=True)
class _Done:
    """What becomes of a batch: new wraps, ids of damaged keys, how many were revoked meanwhile."""

    cursor: UUID
    finished: bool
    moved: Moved = field(default_factory=Moved)
    failed: list[UUID] = field(default_factory=list)
    passed_over: int = 0
    kms_calls: int = 0


def _superseded() -> InvalidStateError:
    return InvalidStateError("The target version is not active any more.", reason=SUPERSEDED)
