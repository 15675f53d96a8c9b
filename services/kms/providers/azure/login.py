"""One identity's login for one tenant and vault, made once however many wait for it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from azure.core.credentials import AccessTokenInfo

from services.common.clock import clock
from services.kms.providers.azure.credentials import log_in
from services.kms.providers.azure.errors import (
    FOREIGN_CHALLENGE,
    Action,
    AzureFault,
    IdentityKind,
    Parties,
    reason_of,
)
from services.kms.providers.azure.sdk import PROVIDER, AzureFailedError, fault_of_login

if TYPE_CHECKING:
    from services.kms.ports import Meter
    from services.kms.providers.azure.credentials import Credentials
    from services.kms.providers.azure.transport import VaultTransport

_BEFORE_EXPIRY: Final = 0.2
"""Part of a token's life, at its end, in which it is not used any more."""


@dataclass(frozen=True, slots=True)
class _Token:
    info: AccessTokenInfo = field(repr=False)
    good_until: float

    @property
    def good(self) -> bool:
        return clock() < self.good_until


class Login:
    """What the SDK takes for a credential. Belongs to one event loop.

    A token is used again for `reuse_seconds`, counted from before it was asked for: the vault would honour
    it for an hour or a day, also after the customer took the application's consent away.
    """

    def __init__(
        self,
        parties: Parties,
        credentials: Credentials,
        meter: Meter,
        *,
        reuse_seconds: float,
        total_seconds: float,
    ) -> None:
        self._parties = parties
        self._credentials = credentials
        self._meter = meter
        self._reuse_seconds = reuse_seconds
        self._total_seconds = total_seconds
        self._under_way: asyncio.Task[_Token] | None = None
        self._token: _Token | None = None
        self.made = 0
        """Tokens that were asked for."""
        self.transport: VaultTransport | None = None
        """Knows the vault's tenant; it in turn tells this of refused tokens."""

    def __repr__(self) -> str:
        return f"Login({self._parties.kind})"

    async def get_token_info(
        self, *scopes: str, options: dict[str, Any] | None = None
    ) -> AccessTokenInfo:
        """A token for the vault. Raises AzureFailedError.

        What the challenge wants is not followed: neither its tenant (see `_tenant`) nor another scope.
        """
        if scopes != (f"{self._parties.key.resource}/.default",):
            raise AzureFailedError(AzureFault(Action.LOGIN, 0, FOREIGN_CHALLENGE))
        claims = (options or {}).get("claims")
        if claims:
            self._token = None
        elif self._token is not None and self._token.good:
            return self._token.info
        if claims or self._under_way is None or not self.under_way:
            self.made += 1
            self._under_way = asyncio.create_task(self._log_in(claims))
            self._under_way.add_done_callback(_retrieve)
        return (await asyncio.shield(self._under_way)).info

    @property
    def under_way(self) -> bool:
        """Whether somebody waits for Microsoft's answer."""
        return self._under_way is not None and not self._under_way.done()

    def refused(self, authorization: str) -> None:
        """Use the token of this Authorization no more; it may be an older one already."""
        if self._token is not None and authorization == f"Bearer {self._token.info.token}":
            self._token = None

    async def close(self) -> None:
        """Give up a login under way."""
        self._token = None
        if self._under_way is not None and self.under_way:
            self._under_way.cancel()
            await asyncio.wait([self._under_way])

    async def _log_in(self, claims: str | None) -> _Token:
        outcome = "cancelled"
        try:
            async with asyncio.timeout(self._total_seconds):
                token = await self._ask(claims)
        except Exception as error:  # noqa: BLE001 - nothing foreign leaves an adapter
            fault = fault_of_login(self._parties.kind, error)
            outcome = reason_of(fault, self._parties)
        else:
            outcome = "ok"
            self._token = token
            return token
        finally:
            self._meter.count(PROVIDER, Action.LOGIN, outcome)
        if self.transport is not None:
            self.transport.tenant = None  # the vault may have moved: ask it again
        raise AzureFailedError(fault)  # out here, so that nothing foreign hangs on it

    async def _ask(self, claims: str | None) -> _Token:
        tenant = await self._tenant()
        began, now = clock(), time.time()
        async with self._credentials.make(self._parties, tenant) as credential:
            info = await log_in(credential, self._parties, tenant=tenant, claims=claims)
        life = (info.expires_on - now) * (1 - _BEFORE_EXPIRY)
        reuse = min(self._reuse_seconds, life)
        # The SDK asks again for whatever ends within five minutes, and that is every time.
        ends = int(now + reuse)
        return _Token(AccessTokenInfo(info.token, ends, token_type="Bearer"), began + reuse)  # noqa: S106

    async def _tenant(self) -> str | None:
        """The configured tenant; else, for a federated token, the one that the vault itself names."""
        configured = self._parties.azure_tenant_id
        assert self.transport is not None
        asks = configured is None and self._parties.kind is IdentityKind.FEDERATED
        named = await self._named() if asks or self.transport.must_know_tenant else None
        return named if asks else configured

    async def _named(self) -> str:
        """The tenant that the vault names. Raises ChallengeRefusedError for one that is refused."""
        assert self.transport is not None
        if self.transport.tenant is None:
            # The SDK keeps challenges for the life of the process, of all tenants of ours; a vault may have
            # moved since.
            await self.transport.discover()
        if self.transport.tenant is None:
            raise AzureFailedError(AzureFault(Action.LOGIN, 0, FOREIGN_CHALLENGE))
        return self.transport.tenant


def _retrieve(task: asyncio.Task[_Token]) -> None:
    if not task.cancelled():
        task.exception()
