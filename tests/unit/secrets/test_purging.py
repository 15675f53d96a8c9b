"""What cannot be purged keeps nothing else from being purged."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest

from services.common.errors import DeadlineError, UnavailableError
from services.secrets.overdue import OverdueSecret, Purged
from services.secrets.purging import AT_A_TIME, Purger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.common.identity import Call

FIRST, SECOND = UUID(int=1), UUID(int=2)
BAD = uuid4()


class Listed:
    """Overdue secrets: one of the first tenant is bad."""

    async def find(self, after: OverdueSecret | None, limit: int) -> list[OverdueSecret]:
        if after is not None:
            return []
        first = [uuid4(), BAD, *(uuid4() for _ in range(AT_A_TIME))]
        found = [(FIRST, one) for one in first] + [(SECOND, uuid4())]
        return [OverdueSecret(tenant, one, datetime.now(UTC)) for tenant, one in found]


class Broken:
    """Purges all but groups with the bad one in them."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.gone: list[UUID] = []

    async def purge(self, tenant_id: UUID, secret_ids: Sequence[UUID], call: Call) -> Purged:
        if BAD in secret_ids:
            raise self.error
        self.gone += [tenant_id for _ in secret_ids]
        return Purged(len(secret_ids))


@pytest.mark.parametrize("error", [RuntimeError("ours"), DeadlineError()])
async def test_one_bad_secret_keeps_no_other_from_being_purged(error: Exception) -> None:
    store = Broken(error)
    assert await Purger(Listed(), store, every_seconds=1).turn() == AT_A_TIME + 2
    assert (store.gone.count(FIRST), store.gone.count(SECOND)) == (AT_A_TIME + 1, 1)


async def test_an_unreachable_database_is_not_asked_once_for_each_secret() -> None:
    store = Broken(UnavailableError())
    assert await Purger(Listed(), store, every_seconds=1).turn() == 1
    assert store.gone == [SECOND]
