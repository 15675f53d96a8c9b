"""The provider: who calls, bounded calls, one quick retry."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from services.kms.keys.turns import Turns
from services.kms.providers.azure.clouds import vault_key
from services.kms.providers.azure.credentials import Credentials, Identities, silence
from services.kms.providers.azure.errors import (
    NOT_AGAIN,
    Action,
    AzureFault,
    Parties,
    reason_of,
)
from services.kms.providers.azure.hints import wrap_error
from services.kms.providers.azure.key import AzureKey, NoKey
from services.kms.providers.azure.network import Network
from services.kms.providers.azure.sdk import PROVIDER, AzureFailedError, not_asked
from services.kms.providers.azure.sessions import Ask, Session, SessionPool, session_key

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from services.kms.cloud_settings import AzureSettings
    from services.kms.model import KmsTarget
    from services.kms.ports import Meter, WrappingKey
    from services.kms.validation import Rules

TOTAL_SECONDS: Final = 10.0
REUSE_SECONDS: Final = 30.0
PER_TENANT: Final = 4
"""Calls of one tenant under way at a time; the others wait within their deadline."""
_QUICK_SECONDS: Final = 2.0
"""A failure that came later than this is not tried again."""
_UNAUTHORIZED: Final = 401
_RETRY_AFTER: Final = (0.05, 0.2)


@dataclass(slots=True)
class _Progress:
    asked: bool = False


class AzureProvider:
    """Customers' keys in Azure. Belongs to one event loop; construction does no I/O."""

    def __init__(
        self,
        meter: Meter,
        *,
        endpoints: AzureSettings,
        application_id: str | None,
        environ: Mapping[str, str],
        rules: Rules,
        total_seconds: float = TOTAL_SECONDS,
        reuse_seconds: float = REUSE_SECONDS,
    ) -> None:
        """`endpoints` come from the operator's settings and nowhere else.

        `application_id` is the platform's own application. `environ` holds the client secrets that customers'
        configurations name, and tells how the platform itself logs in; it is read when used. `rules` say
        which of these variables a tenant may name, and which Azure tenants no vault of a customer may be in:
        both hold for keys that are connected already, too. A token is used again for `reuse_seconds`.
        """
        silence()
        self._meter = meter
        self._identities = Identities(environ, application_id, rules)
        self._total_seconds = total_seconds
        self._network = Network(
            own_vaults=endpoints.vault_endpoint_url is not None,
            own_login=endpoints.authority_url is not None,
            ca_file=endpoints.ca_file,
        )
        self._sessions = SessionPool(
            endpoints,
            Credentials(self._network, environ, endpoints.authority_url),
            meter,
            refused_tenants=rules.refused_azure_tenants,
            reuse_seconds=reuse_seconds,
            total_seconds=total_seconds,
        )
        self._turns = Turns(PER_TENANT)

    def key(self, tenant_id: UUID, target: KmsTarget) -> WrappingKey:
        """The key of a checked target. Does no I/O.

        One under no known suffix, however it came to be stored, refuses every call.
        """
        try:
            key = vault_key(target.kms_key_ref)
        except ValueError:
            return NoKey(target.kms_key_ref)
        parties = self._identities.of(tenant_id, key, target.config)
        return AzureKey(self.call, session_key(tenant_id, parties), parties)

    async def close(self) -> None:
        """Give up logins under way, and close every connection."""
        await self._sessions.close()
        await self._network.close()

    async def call(self, ask: Ask) -> tuple[str, bytes]:
        """What the vault answers. Ends within the total time, whatever Azure does.

        Raises WrapError, and UnavailableError when Azure was not asked because too many calls wait.
        """
        if ask.parties.refused:
            raise wrap_error(AzureFault(ask.action, 0, ask.parties.refused), ask.parties)
        progress = _Progress()
        try:
            async with asyncio.timeout(self._total_seconds):
                return await self._in_turn(ask, progress)
        except AzureFailedError as error:
            fault = error.fault
        except TimeoutError:
            if not progress.asked:
                raise not_asked() from None
            login = self._sessions.get(ask).logging_in
            fault = AzureFault(Action.LOGIN if login else ask.action)
        raise wrap_error(fault, ask.parties)  # out here, so that nothing hangs on it

    async def _in_turn(self, ask: Ask, progress: _Progress) -> tuple[str, bytes]:
        loop = asyncio.get_running_loop()
        async with self._turns.take(ask.session.tenant_id):
            progress.asked = True
            for last in (False, True):
                began, session = loop.time(), self._sessions.get(ask)
                logins = session.logins
                try:
                    return await self._counted(ask, session)
                except AzureFailedError as error:
                    took = loop.time() - began
                    stale = _refused(error.fault) and session.logins == logins
                    if last or not (stale or _again(error.fault, ask.parties, took)):
                        raise
                await asyncio.sleep(random.uniform(*_RETRY_AFTER))  # noqa: S311 - only a delay
        raise not_asked()

    async def _counted(self, ask: Ask, session: Session) -> tuple[str, bytes]:
        outcome: str | None = "cancelled"
        try:
            answer = await session.ask(ask)
            outcome = "ok"
        except AzureFailedError as error:
            login = error.fault.action is Action.LOGIN  # has been counted as such
            outcome = None if login else reason_of(error.fault, ask.parties)
            raise
        finally:
            if outcome is not None:
                self._meter.count(PROVIDER, ask.action, outcome)
        return answer


def _refused(fault: AzureFault) -> bool:
    """Whether the vault refused the login itself. It may have been an old one, and no newer been shown."""
    return fault.action is not Action.LOGIN and fault.http_status == _UNAUTHORIZED


def _again(fault: AzureFault, parties: Parties, took: float) -> bool:
    return (
        not reason_of(fault, parties).definite
        and fault.code not in NOT_AGAIN
        and took < _QUICK_SECONDS
    )
