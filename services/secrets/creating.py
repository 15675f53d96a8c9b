"""Writing groups of new secrets under a master-key version that is active when they commit.

What was sealed under a retired version is given back, to be sealed anew. Nobody is asked to open its data
key: the version may be of a cloud that the tenant has left, which is called only for what is stored.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from services.secrets.acting import act_for
from services.secrets.grouping import DATABASE_PLACES, Grouping
from services.secrets.model import Refused, StaleKeyVersionError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from services.secrets.data_keys import DataKeyPool
    from services.secrets.grouping import GroupLimits
    from services.secrets.model import NewSecret, SecretRow
    from services.secrets.ports import Observer, Secrets


class Creator:
    """Creates secrets by group commit. One item's failure never fails its neighbours."""

    def __init__(
        self,
        store: Secrets,
        pool: DataKeyPool,
        observer: Observer,
        limits: GroupLimits | None = None,
    ) -> None:
        self._store = store
        self._pool = pool
        self._observer = observer
        self._places = asyncio.Semaphore(DATABASE_PLACES)
        self._groups: Grouping[NewSecret, SecretRow | Refused] = Grouping(
            self._serve, weigh=lambda secret: secret.value.size, limits=limits
        )

    async def create(self, tenant_id: UUID, secret: NewSecret) -> SecretRow | Refused:
        """How it is shown, committed; or why it was not made. Raises CofferError."""
        return await self._groups.submit(tenant_id, secret)

    async def drain(self) -> None:
        """Wait for what is under way."""
        await self._groups.drain()

    async def _serve(
        self, tenant_id: UUID, secrets: Sequence[NewSecret]
    ) -> list[SecretRow | Refused | Exception]:
        calls = [secret.call for secret in secrets]
        act_for(calls)
        self._observer.grouped("create", calls)
        outcomes: list[SecretRow | Refused | Exception] = [Refused.STALE_KEY] * len(secrets)
        # Versions only grow: whatever is active, an older one than another's is not.
        newest = max(secret.value.key.key_version for secret in secrets)
        fresh = [at for at, one in enumerate(secrets) if one.value.key.key_version == newest]
        try:
            async with self._places:
                made = await self._store.create(tenant_id, newest, [secrets[at] for at in fresh])
        except StaleKeyVersionError:
            self._pool.drop(tenant_id)
            return outcomes
        for at, outcome in zip(fresh, made, strict=True):
            outcomes[at] = outcome
        return outcomes
