"""The rpcs of the account."""

# ruff: noqa: N802 - names are those of the rpcs
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from coffer.secrets.v1 import account_pb2

from services.common.identity import current_call
from services.secrets.groups import MAX_ENVIRONMENTS
from services.secrets.rpc.members import moment

if TYPE_CHECKING:
    from services.secrets.tenancy.account import AccountView


class AccountRpcs:
    """Each is one use case. Policy has been enforced before it is called."""

    def __init__(self, account: AccountView) -> None:
        self._account = account

    async def GetAccount(
        self, _request: account_pb2.GetAccountRequest, _context: Any
    ) -> account_pb2.Account:
        """The tenant."""
        found = await self._account.get(current_call())
        return account_pb2.Account(
            id=str(found.id),
            slug=found.slug,
            name=found.name,
            region=found.region,
            subscription_plan=found.plan,
            subscription_status=found.status,
            created_at=moment(found.created_at),
        )

    async def GetAccountUsage(
        self, _request: account_pb2.GetAccountUsageRequest, _context: Any
    ) -> account_pb2.AccountUsage:
        """What it uses. Calls and collections have no limit, so that nothing is a part of it."""
        usage = await self._account.usage(current_call())
        month, counts = usage.month, usage.counts
        resource = account_pb2.AccountUsage.Resource
        return account_pb2.AccountUsage(
            billing_period=account_pb2.AccountUsage.BillingPeriod(
                year=month.year, month=month.month, start=moment(month.start), end=moment(month.end)
            ),
            api_calls=account_pb2.AccountUsage.ApiCalls(used=counts.calls, percentage=0),
            resources=account_pb2.AccountUsage.Resources(
                secrets=resource(used=counts.secrets, limit=counts.max_secrets),
                environments=resource(used=counts.environments, limit=MAX_ENVIRONMENTS),
                collections=resource(used=counts.collections),
            ),
            plan=counts.plan,
            status=counts.status,
        )
