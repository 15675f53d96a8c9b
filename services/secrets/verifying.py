"""One batch of a verification: data keys are opened as they are stored after a rewrap, each with its value.

Read back from the database, opened by kms under the lease's target version, and one sealed field of the value
opened with each, the smallest. What was opened is dropped at once: it leaves this module in no form, is
compared with nothing and written nowhere. Nothing but counts, cursor and the ids of what did not open is
stored, with the lease; any batch may run twice, and counts once.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from services.common import envelope
from services.common.envelope import CannotOpenError, FieldFacts
from services.common.errors import InvalidStateError, TenantSealedError, ValidationError
from services.common.sensitive import SecretBytes
from services.secrets.leases import LeaseRefusedError
from services.secrets.model import KeyFault, KeySealed, WrappedKey
from services.secrets.rewrap_batch import BEFORE_ANY, FENCE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from services.secrets.model import FieldName
    from services.secrets.ports import Kms, Observer, SampleStore

MAX_LIMIT: Final = 1000
_STRIDE: Final = 100
"""Values that are opened before the event loop gets a turn: some milliseconds, of the largest too."""
_WRAP_FORM: Final = b"KCT1"
"""How a wrapped data key begins; the key version follows, big-endian. A golden format."""
_VERSION_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class VerifyOrder:
    """One batch of a lease: data keys under the target version after `after` up to `until`, at most `limit`.

    `last`: the lane ends with this batch if `limit` are found, whatever is left of it. `pass_over`: the first
    of them is not opened but recorded as failed, and nothing else is done.
    """

    tenant_id: UUID
    lease_id: int
    fence: int
    lane: int
    target_version: int
    after: UUID | None
    until: UUID
    limit: int
    last: bool = False
    pass_over: bool = False


@dataclass(frozen=True, slots=True)
class SealedField:
    """A sealed field as it is stored, and where that is. `sealed` is None where the value has no field."""

    secret_id: UUID
    environment_id: UUID
    value_version: int
    name: FieldName | None
    sealed: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class SampledKey:
    """A stored data key, and a field of its value. `field` is None for a key without a value.

    No key is without one that is right: both are written, and both are deleted, in one transaction, and read
    in one statement.
    """

    key: WrappedKey
    field: SealedField | None


@dataclass(frozen=True, slots=True)
class Sample:
    """Data keys of the target version, by id, as they were found in a part of a lane.

    `cursor` is the end of that part. `finished`: that is the lane's. `cut`: it ends where it does because the
    fields found are as many bytes as are read at once. `unreadable`: the key after `keys` that ends the part,
    of whatever version, since its row or that of its value cannot be read.
    """

    keys: tuple[SampledKey, ...]
    cursor: UUID
    finished: bool
    cut: bool
    unreadable: UUID | None = None


@dataclass(frozen=True, slots=True)
class VerifyOutcome:
    """What a batch found, as it was saved with the lease."""

    verified: int
    failed: int
    cursor: UUID
    lane_finished: bool


class VerifyBatch:
    """Works on batches; which one, rewrap says."""

    def __init__(self, store: SampleStore, kms: Kms, observer: Observer) -> None:
        self._store = store
        self._kms = kms
        self._observer = observer

    async def run(self, order: VerifyOrder) -> VerifyOutcome:
        """What was found, saved with the lease.

        Data keys that were erased meanwhile are neither verified nor failed. Raises TenantSealedError (try
        later), and InvalidStateError with reason `fence` (this worker is not the lease's any more); then
        nothing was saved.
        """
        if not 1 <= order.limit <= MAX_LIMIT:
            raise ValidationError.of("limit", f"Must be 1 to {MAX_LIMIT}.")
        found = _Found(order.after or BEFORE_ANY)
        left, cut = order.limit, True
        while left and cut:
            part = await self._store.sample(order, found.cursor, left)
            if order.pass_over:
                found.failed.extend(one.key.id for one in part.keys)
            else:
                await self._open(order, part.keys, found)
            if part.unreadable is not None:
                self._observer.cannot_open(order.tenant_id, part.unreadable, "data key")
                found.failed.append(part.unreadable)
            found.cursor, found.finished, cut = part.cursor, part.finished, part.cut
            left -= len(part.keys) + (part.unreadable is not None)
        try:
            return await self._store.record(
                order,
                verified=found.verified,
                failed=found.failed,
                cursor=found.cursor,
                finished=found.finished or (order.last and not left),
            )
        except LeaseRefusedError:
            raise InvalidStateError(
                "The lease is not running under this fence, or the lane has moved on.", reason=FENCE
            ) from None

    async def _open(self, order: VerifyOrder, sampled: Sequence[SampledKey], found: _Found) -> None:
        if not sampled:
            return
        opened = await self._kms.unwrap(order.tenant_id, [one.key for one in sampled])
        try:
            if any(isinstance(key, KeySealed) or key is KeyFault.SEALED for key in opened):
                raise TenantSealedError
            for place, (one, key) in enumerate(zip(sampled, opened, strict=True)):
                if place and place % _STRIDE == 0:
                    await asyncio.sleep(0)
                if key is KeyFault.REVOKED:
                    continue
                wrong = _wrong(order, one, key)
                if wrong is None:
                    found.verified += 1
                else:
                    self._observer.cannot_open(order.tenant_id, one.key.id, wrong)
                    found.failed.append(one.key.id)
        finally:
            for key in opened:
                if isinstance(key, SecretBytes):
                    key.wipe()


@dataclass(slots=True)
class _Found:
    """What a batch has found so far."""

    cursor: UUID
    finished: bool = False
    verified: int = 0
    failed: list[UUID] = field(default_factory=list)


def _wrong(
    order: VerifyOrder, one: SampledKey, key: SecretBytes | KeyFault | KeySealed
) -> str | None:
    """What does not open; None when everything does. `key` is wiped."""
    if not isinstance(key, SecretBytes) or not _is_under(one.key.wrapped, order.target_version):
        return "data key"
    at = one.field
    if at is None:
        key.wipe()
        return "value"
    facts = FieldFacts(
        order.tenant_id, at.secret_id, at.environment_id, at.value_version, one.key.id
    )
    try:
        if at.name is None or at.sealed is None:
            return "value"
        envelope.open_(key.reveal(), facts, at.name, at.sealed)
    except CannotOpenError:
        return "value"
    finally:
        key.wipe()
    return None


def _is_under(wrapped: bytes, version: int) -> bool:
    """Whether the wrap itself names the version. The column beside it could say anything."""
    form, named = wrapped[: len(_WRAP_FORM)], wrapped[len(_WRAP_FORM) :][:_VERSION_BYTES]
    return form == _WRAP_FORM and int.from_bytes(named, "big") == version
