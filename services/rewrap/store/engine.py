"""The lease as its workers move it along. Every method is one transaction, held to one tenant.

The order of locks is: lease, its lanes, audit head. All time is the database's.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from services.rewrap.model import Admission, Progress, Report
from services.rewrap.store import claiming, settling
from services.rewrap.store.census import Counting
from services.rewrap.store.lanes import Lanes
from services.rewrap.store.pacing import ADMIT, REPORT
from services.rewrap.store.rows import announce, briefly, one

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from services.common.database import Connection, Database
    from services.rewrap.model import Claim, Hold, LeaseRef, Verdict

HOLD_SECONDS: Final = 5.0
"""How long a lane is held without a word of its worker."""
_LOCK: Final = """
select true from rewrap.lease where tenant_id = %s and id = %s and state = 'running' for update
"""
_WAIT: Final = """
update rewrap.lease set state = 'waiting', rate_per_second = null, attempts = %s, last_error = %s,
    next_attempt_at = clock_timestamp() + make_interval(secs => %s)
where tenant_id = %s and id = %s
"""
_RELEASE: Final = """
update rewrap.lease set state = 'enqueued', rate_per_second = null where tenant_id = %s and id = %s
"""


class PostgresLeaseStore:
    """Moves a lease along, for those who work on it."""

    def __init__(
        self,
        database: Database,
        *,
        hold_seconds: float = HOLD_SECONDS,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._database = database
        self._hold_seconds = hold_seconds
        self._chance = chance
        self._counting = Counting()

    async def claim(
        self,
        ref: LeaseRef,
        *,
        wanted: int,
        batch: int,
        lost: Sequence[Hold] = (),
        sample: int | None = 0,
    ) -> Claim | None:
        """As the port says."""

        async def step(placed: bool) -> Claim | None:
            async with briefly(self._database, ref) as connection:
                return await claiming.claim(
                    connection,
                    ref,
                    wanted=wanted,
                    batch=batch,
                    lost=lost,
                    sample=sample,
                    hold_seconds=self._hold_seconds,
                    placed=placed,
                )

        return await self._counting.run(step)

    async def report(self, ref: LeaseRef, holds: Sequence[Hold]) -> Report | None:
        """As the port says."""
        async with briefly(self._database, ref) as connection:
            row = await one(connection, REPORT, (ref.tenant_id, ref.lease_id))
            if row is None:
                return None
            lanes = self._lanes(connection, ref)
            ours = await lanes.renew(holds)
            _, free = await lanes.count()
        return Report(row[0], ours, free, Progress(*row[1:]))

    async def settle(self, ref: LeaseRef, *, batch: int, sample: int | None) -> Verdict | None:
        """As the port says."""

        async def step(placed: bool) -> Verdict | None:
            async with briefly(self._database, ref) as connection:
                return await settling.settle(
                    connection,
                    ref,
                    batch=batch,
                    sample=sample,
                    chance=self._chance,
                    placed=placed,
                )

        return await self._counting.run(step)

    async def wait(
        self,
        ref: LeaseRef,
        holds: Sequence[Hold],
        *,
        attempts: int,
        delay_seconds: float,
        error: str,
        alone: bool,
    ) -> bool:
        """As the port says."""
        async with briefly(self._database, ref) as connection:
            if await one(connection, _LOCK, (ref.tenant_id, ref.lease_id)) is None:
                return False
            lanes = self._lanes(connection, ref)
            dropped = await lanes.drop(holds)
            if holds and not dropped:
                return False  # who slept past its holds has no say, even while nobody holds a lane
            if (alone or not dropped) and await self._others(lanes):
                return False
            await lanes.free_all()
            values = (attempts, error, delay_seconds, ref.tenant_id, ref.lease_id)
            await connection.execute(_WAIT, values, prepare=True)
            await announce(connection, ref)
        return True

    async def release(self, ref: LeaseRef, holds: Sequence[Hold]) -> bool:
        """As the port says."""
        async with briefly(self._database, ref) as connection:
            if await one(connection, _LOCK, (ref.tenant_id, ref.lease_id)) is None:
                return False
            lanes = self._lanes(connection, ref)
            dropped = await lanes.drop(holds)
            if (holds and not dropped) or await self._others(lanes):
                return False
            await connection.execute(_RELEASE, (ref.tenant_id, ref.lease_id), prepare=True)
            await announce(connection, ref)
        return True

    async def trouble(self, ref: LeaseRef, hold: Hold) -> int | None:
        """As the port says."""
        async with briefly(self._database, ref) as connection:
            return await self._lanes(connection, ref).trouble(hold)

    async def give_up(self, ref: LeaseRef, hold: Hold) -> bool:
        """As the port says."""
        async with briefly(self._database, ref) as connection:
            return await self._lanes(connection, ref).give_up(hold)

    async def admit(self, ref: LeaseRef, keys: int, unused: int) -> Admission | None:
        """As the port says."""
        named = {
            "tenant": ref.tenant_id,
            "lease": ref.lease_id,
            "keys": keys,
            "unused": unused,
        }
        async with briefly(self._database, ref) as connection:
            row = await one(connection, ADMIT, named)
        if row is None or row[0] is None:
            return None
        return Admission(row[0], row[1])

    async def _others(self, lanes: Lanes) -> bool:
        """Whether somebody holds a lane."""
        unfinished, free = await lanes.count()
        return free < unfinished

    def _lanes(self, connection: Connection, ref: LeaseRef) -> Lanes:
        return Lanes(connection, ref, self._hold_seconds)
