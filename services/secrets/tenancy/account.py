"""The account: whose key this is, and what the tenant uses of its plan."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from services.common.errors import UnauthenticatedError
from services.secrets.tenancy.model import Month, Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.common.identity import Call
    from services.secrets.tenancy.model import Account
    from services.secrets.tenancy.ports import Accounts, Uses

_DECEMBER = 12


def _now() -> datetime:
    return datetime.now(UTC)


class AccountView:
    """What any key of a tenant may know about it."""

    def __init__(self, store: Accounts, uses: Uses, now: Callable[[], datetime] = _now) -> None:
        self._store = store
        self._uses = uses
        self._now = now

    async def get(self, call: Call) -> Account:
        """The tenant."""
        found = await self._store.get(call.tenant)
        if found is None:
            raise UnauthenticatedError  # it went away since its key was looked up
        return found

    async def usage(self, call: Call) -> Usage:
        """What it has, and its calls of this month: exact for this process, this call included; those of
        other processes come a few seconds late.
        """
        await self._uses.flush()
        month = month_of(self._now())
        counts = await self._store.counts(call.tenant, month.start.date())
        if counts is None:
            raise UnauthenticatedError
        return Usage(month, counts)


def month_of(now: datetime) -> Month:
    """The calendar month, UTC, that `now` lies in."""
    start = datetime(now.year, now.month, 1, tzinfo=UTC)
    after = (
        start.replace(year=now.year + 1, month=1)
        if now.month == _DECEMBER
        else start.replace(month=now.month + 1)
    )
    return Month(now.year, now.month, start, after - timedelta(milliseconds=1))
