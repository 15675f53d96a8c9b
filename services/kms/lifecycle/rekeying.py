"""Turning the platform's own key: wrap anew, in place, what an earlier one wrapped. A page at a time.

A version stays the version it is: only its wrapped bytes, their method and the provider's name of the key
change, in one compare-and-set under the key ring. No lease, no data key and no open key is touched. No
transaction is open during a cloud call, and every step may run twice or at the same time.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Final
from uuid import UUID

from services.common.defects import describe
from services.common.errors import CofferError, KmsVerifyFailedError, ValidationError
from services.kms.keys import hierarchy
from services.kms.keys.proofs import probe
from services.kms.model import MasterKeyRow, Reason, WrapError

if TYPE_CHECKING:
    from services.common.identity import Call
    from services.kms.model import Wrapped
    from services.kms.ports import Clock, PlatformKeys, PlatformKeyStore, WrappingKey

MAX_PAGE: Final = 1_000
PARALLEL: Final = 4
"""Keys in hand at once: requests need the database and the cloud too."""
PATIENCE_SECONDS: Final = 30.0
"""For so long a page tries again what a throttled or silent provider did not do."""
_PAUSE_SECONDS: Final = 2.5
_ATTEMPTS: Final = 3
MAX_TENANTS: Final = 100
_START: Final = (UUID(int=0), 0)

_log = logging.getLogger(__name__)


class Outcome(Enum):
    """What became of one key."""

    REWRAPPED = auto()
    CURRENT = auto()
    FAILED = auto()
    GONE = auto()
    """Revoked since it was listed."""


@dataclass(frozen=True, slots=True)
class RekeyedPage:
    """What a page did. `next_cursor` is empty when there is no more."""

    next_cursor: str
    examined: int
    rewrapped: int
    current: int
    failed: int
    total: int
    failed_tenant_ids: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class _Present:
    key: WrappingKey
    key_ref: str | None
    give_up_at: float


class Rekeying:
    """The use case of `coffer kms rekey-platform`. Belongs to one event loop."""

    def __init__(
        self,
        store: PlatformKeyStore,
        keys: PlatformKeys,
        *,
        clock: Clock,
        pause_seconds: float = _PAUSE_SECONDS,
    ) -> None:
        self._store = store
        self._keys = keys
        self._clock = clock
        self._pause_seconds = pause_seconds

    async def page(self, call: Call, cursor: str, limit: int) -> RekeyedPage:
        """Go through the next `limit` keys. A failure of one stops no other.

        Raises ValidationError, KmsVerifyFailedError when the present key itself cannot be used (nothing was
        changed), and the database's faults.
        """
        if not 1 <= limit <= MAX_PAGE:
            raise ValidationError.of("limit", f"must be 1 to {MAX_PAGE}")
        names = await self._store.platform_keys(_parse(cursor), limit)
        total = await self._store.count_platform_keys()
        if not names:
            return RekeyedPage("", 0, 0, 0, 0, total, ())
        present = await self._prove(names[0][0])
        places = asyncio.Semaphore(PARALLEL)

        async def one(tenant_id: UUID, version: int) -> Outcome:
            async with places:
                return await self._one(call, present, tenant_id, version)

        outcomes = await asyncio.gather(*(one(*name) for name in names))
        failed = [name[0] for name, out in zip(names, outcomes, strict=True) if _bad(out)]
        return RekeyedPage(
            next_cursor="" if len(names) < limit else _cursor(names[-1]),
            examined=len(names),
            rewrapped=outcomes.count(Outcome.REWRAPPED),
            current=outcomes.count(Outcome.CURRENT),
            failed=len(failed),
            total=total,
            failed_tenant_ids=tuple(dict.fromkeys(failed))[:MAX_TENANTS],
        )

    async def _prove(self, tenant_id: UUID) -> _Present:
        """That the present key works; a cloud tells by it which version of the key wraps now."""
        key = self._keys.platform()
        try:
            proof = await probe(key, tenant_id)
        except WrapError as error:
            raise KmsVerifyFailedError(
                "The platform's present key could not be used; nothing was changed.",
                provider=key.describe().provider,
                reason=error.reason,
                hint=error.hint,
            ) from None
        return _Present(key, proof.key_ref, self._clock() + PATIENCE_SECONDS)

    async def _one(self, call: Call, present: _Present, tenant_id: UUID, version: int) -> Outcome:
        try:
            return await self._patiently(call, present, tenant_id, version)
        except WrapError as error:
            cause = f"{error.reason}; {error.hint}"
        except CofferError as error:
            cause = error.code
        except Exception as error:  # noqa: BLE001 - a defect in one row must not hold up the others
            cause = str(describe(error))  # its kind and place, never its text
        _log.error("version %s of tenant %s was not rekeyed: %s", version, tenant_id, cause)
        return Outcome.FAILED

    async def _patiently(
        self, call: Call, present: _Present, tenant_id: UUID, version: int
    ) -> Outcome:
        for left in reversed(range(_ATTEMPTS)):
            try:
                done = await self._try(call, present, tenant_id, version)
            except WrapError as error:
                late = self._clock() >= present.give_up_at
                if error.reason.definite or late or not left:
                    raise
                await asyncio.sleep(self._pause_seconds)
                continue
            if done is not None:
                return done
        return Outcome.FAILED  # it changed under each attempt; the next run sees what came of it

    async def _try(
        self, call: Call, present: _Present, tenant_id: UUID, version: int
    ) -> Outcome | None:
        """None when it changed meanwhile. Raises WrapError."""
        row = await self._store.find_platform_key(tenant_id, version)
        if row is None or row.wrapped is None:
            return Outcome.GONE
        if self._keys.is_present(row, present.key_ref):
            return Outcome.CURRENT
        master_key = await _opened(self._keys.platform(row.wrap_method), row, row.wrapped)
        wrapped = await present.key.wrap(row.facts, master_key)
        await _opened(present.key, row, wrapped)
        method = self._keys.platform_method
        done = await self._store.rewrap_platform_key(call, row, method, wrapped)
        return Outcome.REWRAPPED if done else None


async def _opened(key: WrappingKey, row: MasterKeyRow, wrapped: Wrapped) -> bytes:
    """The very master key of `row`. Raises WrapError."""
    master_key = await key.unwrap(row.facts, wrapped)
    if not hierarchy.is_this_key(master_key, row.tenant_id, row.id, row.check_value):
        raise WrapError(Reason.ROUNDTRIP_MISMATCH, "What was unwrapped is another key.")
    return master_key


def _bad(outcome: Outcome) -> bool:
    return outcome is Outcome.FAILED


def _cursor(name: tuple[UUID, int]) -> str:
    return f"{name[0]}:{name[1]}"


def _parse(cursor: str) -> tuple[UUID, int]:
    if not cursor:
        return _START
    tenant, _, version = cursor.partition(":")
    try:
        if not (version.isascii() and version.isdigit() and len(version) <= 10):  # noqa: PLR2004
            raise ValueError
        return UUID(tenant), int(version)
    except ValueError:
        raise ValidationError.of("cursor", "is not one of a page before") from None
