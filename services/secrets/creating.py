"""Writing groups of new secrets under a master-key version that is active when they commit."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from services.common.errors import InternalError, UnavailableError
from services.secrets.acting import act_for
from services.secrets.grouping import DATABASE_PLACES, Grouping
from services.secrets.model import KeyFault, Refused, StaleKeyVersionError, WrappedKey

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from services.secrets.data_keys import DataKeyPool
    from services.secrets.grouping import GroupLimits
    from services.secrets.model import NewSecret
    from services.secrets.ports import Kms, Observer, Secrets

_TRIES = 2
"""A rotation between two tries is rare; between three it does not happen by chance."""


@dataclass(frozen=True, slots=True)
class _Placed:
    """An item and its place in the group."""

    index: int
    secret: NewSecret


class Creator:
    """Creates secrets by group commit. One item's failure never fails its neighbours."""

    def __init__(
        self,
        store: Secrets,
        kms: Kms,
        pool: DataKeyPool,
        observer: Observer,
        limits: GroupLimits | None = None,
    ) -> None:
        self._store = store
        self._kms = kms
        self._pool = pool
        self._observer = observer
        # Never held while kms is asked, as in `accessing`.
        self._places = asyncio.Semaphore(DATABASE_PLACES)
        self._groups: Grouping[NewSecret, datetime | Refused] = Grouping(
            self._serve, weigh=lambda secret: secret.value.size, limits=limits
        )

    async def create(self, tenant_id: UUID, secret: NewSecret) -> datetime | Refused:
        """When it was made, committed; or why not. Raises CofferError."""
        return await self._groups.submit(tenant_id, secret)

    async def drain(self) -> None:
        """Wait for what is under way."""
        await self._groups.drain()

    async def _serve(
        self, tenant_id: UUID, secrets: Sequence[NewSecret]
    ) -> list[datetime | Refused | Exception]:
        calls = [secret.call for secret in secrets]
        act_for(calls)
        self._observer.grouped("create", calls)
        outcomes: list[datetime | Refused | Exception] = [InternalError()] * len(secrets)
        placed = [_Placed(index, secret) for index, secret in enumerate(secrets)]
        if len({secret.value.key.key_version for secret in secrets}) > 1:
            placed = await self._rewrapped(tenant_id, placed, outcomes)
        for attempt in range(_TRIES):
            if not placed:
                break
            try:
                async with self._places:
                    made = await self._store.create(
                        tenant_id,
                        placed[0].secret.value.key.key_version,
                        [item.secret for item in placed],
                    )
            except StaleKeyVersionError:
                self._pool.drop(tenant_id)
                if attempt + 1 == _TRIES:
                    raise UnavailableError("The tenant's keys are being rotated.") from None
                placed = await self._rewrapped(tenant_id, placed, outcomes)
            else:
                for item, outcome in zip(placed, made, strict=True):
                    outcomes[item.index] = outcome
                break
        return outcomes

    async def _rewrapped(
        self,
        tenant_id: UUID,
        placed: Sequence[_Placed],
        outcomes: list[datetime | Refused | Exception],
    ) -> list[_Placed]:
        """The data keys in hand under the version that is active now; what cannot be moved is lost."""
        packed = b"".join(
            item.secret.value.key.id.bytes + item.secret.value.key.wrapped for item in placed
        )
        answer = await self._kms.rewrap(tenant_id, packed)
        moved = []
        for item, result in zip(placed, answer.results, strict=True):
            if isinstance(result, KeyFault):
                outcomes[item.index] = Refused.KEY_LOST
                continue
            key = WrappedKey(item.secret.value.key.id, result, answer.key_version)
            value = replace(item.secret.value, key=key)
            moved.append(_Placed(item.index, replace(item.secret, value=value)))
        return moved
