"""The provider: tokens, bounded calls, one quick retry."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from services.kms.keys.turns import Turns
from services.kms.model import KeyDescription
from services.kms.providers.gcp import integrity
from services.kms.providers.gcp.channels import CHANNELS, STREAMS, Channels
from services.kms.providers.gcp.errors import (
    Action,
    GcpFault,
    Parties,
    attributed,
    is_stale_token,
    may_help_to_repeat,
    wrap_error,
)
from services.kms.providers.gcp.faults import GcpFailedError, of_kms
from services.kms.providers.gcp.logins import Logins
from services.kms.providers.gcp.names import key_of
from services.kms.providers.gcp.places import Places, Step, not_asked
from services.kms.providers.gcp.tokens import Impersonation, LoginKey, Token
from services.kms.providers.lanes import Lanes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    from google.cloud.kms_v1 import KeyManagementServiceAsyncClient

    from services.kms.cloud_settings import GcpSettings
    from services.kms.model import KeyFacts, KmsTarget, Wrapped
    from services.kms.ports import Meter, WrappingKey

TOTAL_SECONDS: Final = 10.0
REUSE_SECONDS: Final = 30.0
PER_TENANT: Final = 4
"""Calls of one tenant under way at a time; the others wait within their deadline."""
_ATTEMPT_SECONDS: Final = 4.0
_QUICK_SECONDS: Final = 2.0
"""A failure that came later than this is not tried again."""
_RETRY_AFTER: Final = (0.05, 0.2)
_FAST: Final = 160
_SLOW: Final = 80
"""Of all streams; the rest is for stragglers (see `lanes`). They cost less than threads: there are more."""

T = TypeVar("T")
Options = dict[str, Any]
"""Of one call: retry, timeout, metadata."""
if TYPE_CHECKING:
    Work = Callable[[KeyManagementServiceAsyncClient, Options], Awaitable[T]]


@dataclass(frozen=True, slots=True)
class Use:
    """One key as it is used: by whom, named how."""

    tenant_id: UUID
    login: LoginKey | None
    parties: Parties


class GcpProvider:
    """Customers' keys in Google Cloud. Belongs to one event loop; construction does no I/O."""

    def __init__(
        self,
        meter: Meter,
        *,
        endpoints: GcpSettings,
        principal: str | None,
        total_seconds: float = TOTAL_SECONDS,
        reuse_seconds: float = REUSE_SECONDS,
    ) -> None:
        """Endpoints other than Google's own come from the operator's settings and nowhere else.

        A token of a customer's service account is used again for `reuse_seconds`. `principal` is the
        platform's own service account, as hints name it.
        """
        self._principal = principal
        self._total_seconds = total_seconds
        impersonation = Impersonation(
            endpoints.iam_endpoint_url, endpoints.ca_file, reuse_seconds=reuse_seconds
        )
        self._logins = Logins(impersonation, meter)
        self._channels = Channels(endpoints.kms_endpoint, endpoints.ca_file)
        lanes = Lanes(fast=_FAST, slow=_SLOW, stragglers=CHANNELS * STREAMS - _FAST - _SLOW)
        self._places = Places(lanes, meter)
        self._turns = Turns(PER_TENANT)
        self._closed = False

    def key(self, tenant_id: UUID, target: KmsTarget) -> WrappingKey:
        """The key of a checked target. Does no I/O."""
        account = target.config.get("impersonate_service_account")
        login = LoginKey(tenant_id, account) if account else None
        parties = Parties(
            self._principal,
            account,
            key_of(target.kms_key_ref),
            quota_project=target.config.get("project_id"),
        )
        return GcpKey(self, Use(tenant_id, login, parties))

    async def close(self) -> None:
        """Begin no more calls, and cut what is under way."""
        self._closed = True
        await self._logins.close()
        await self._channels.close()

    async def call(
        self,
        action: Action,
        use: Use,
        work: Work[T],
    ) -> T:
        """What `work` answers. Ends within the total time, whatever Google does.

        Raises WrapError, and UnavailableError when Google was not asked because too many calls wait.
        """
        deadline = asyncio.get_running_loop().time() + self._total_seconds
        step = Step()
        at: Action | None
        try:
            async with asyncio.timeout_at(deadline):
                return await self._in_turn(action, use, work, deadline, step)
        except GcpFailedError as error:
            fault, at = error.fault, error.action
        except TimeoutError:
            late = step.now()
            fault, at = GcpFault(own=late.own), late.asked
        # Here, so that nothing of the SDK hangs on what is raised.
        if at is None:
            raise not_asked()
        raise wrap_error(fault, at, use.parties)

    async def _in_turn(
        self,
        action: Action,
        use: Use,
        work: Work[T],
        deadline: float,
        step: Step,
    ) -> T:
        loop = asyncio.get_running_loop()
        async with self._turns.take(use.tenant_id):
            began = loop.time()
            try:
                return await self._once(action, use, work, deadline, step)
            except GcpFailedError as error:
                if not _again(error, loop.time() - began):
                    raise
            await asyncio.sleep(random.uniform(*_RETRY_AFTER))  # noqa: S311 - only a delay
            return await self._once(action, use, work, deadline, step)

    async def _once(
        self,
        action: Action,
        use: Use,
        work: Work[T],
        deadline: float,
        step: Step,
    ) -> T:
        if self._closed:
            raise not_asked()
        try:
            token = await self._logins.get(use.login, deadline, step)
            step.wait()
            async with self._places.take(action, use.tenant_id, deadline, step):
                return await self._asked(action, token, use, work, deadline)
        except asyncio.CancelledError:
            if not _is_cancelled():  # but the login or the channel was, by `close`
                raise not_asked() from None
            raise

    async def _asked(
        self, action: Action, token: Token, use: Use, work: Work[T], deadline: float
    ) -> T:
        try:
            with self._channels.client() as client:
                return await work(client, _options(token, use.parties, deadline))
        except Exception as error:  # noqa: BLE001 - nothing foreign leaves an adapter
            fault = attributed(of_kms(error), action, direct=token.own)
            if is_stale_token(fault):
                self._logins.refused(use.login, token)
            raise GcpFailedError(action, fault) from None


class GcpKey:
    """A `WrappingKey`."""

    def __init__(self, provider: GcpProvider, use: Use) -> None:
        self._provider = provider
        self._use = use

    def describe(self) -> KeyDescription:
        """The key as it is named to Google, and who uses it."""
        parties = self._use.parties
        direct = parties.account is None
        permissions = (Action.ENCRYPT, Action.DECRYPT)
        return KeyDescription(
            "gcp",
            parties.key,
            parties.account or parties.principal or "the identity that kms runs as",
            permissions if direct else (Action.LOGIN, *permissions),
            "GOOGLE_SYMMETRIC_ENCRYPTION",
        )

    async def wrap(self, facts: KeyFacts, master_key: bytes) -> Wrapped:
        """Encrypt with the primary version. Raises WrapError."""
        key = self._use.parties.key
        request = integrity.encrypt_request(key, facts, master_key)

        async def encrypt(client: KeyManagementServiceAsyncClient, options: Options) -> Wrapped:
            return integrity.encrypted(await client.encrypt(request, **options), key)

        return await self._provider.call(Action.ENCRYPT, self._use, encrypt)

    async def unwrap(self, facts: KeyFacts, wrapped: Wrapped) -> bytes:
        """Decrypt with the key of the very version that encrypted. Raises WrapError."""
        version = wrapped.key_ref
        key = key_of(version) if version else self._use.parties.key
        request = integrity.decrypt_request(key, facts, wrapped.blob)
        use = replace(self._use, parties=replace(self._use.parties, key=key, version=version))

        async def decrypt(client: KeyManagementServiceAsyncClient, options: Options) -> bytes:
            return integrity.decrypted(await client.decrypt(request, **options))

        return await self._provider.call(Action.DECRYPT, use, decrypt)


def _again(error: GcpFailedError, took: float) -> bool:
    """Whether to try once more: with another token, or soon after no answer."""
    if is_stale_token(error.fault):
        return True
    return may_help_to_repeat(error.fault, error.action) and took < _QUICK_SECONDS


def _options(token: Token, parties: Parties, deadline: float) -> Options:
    """`retry` None: the library's own would go on for a minute."""
    left = deadline - asyncio.get_running_loop().time()
    metadata = [("authorization", f"Bearer {token.value}")]
    project = parties.quota_project or token.quota_project
    if project:
        metadata.append(("x-goog-user-project", project))
    return {"retry": None, "timeout": min(_ATTEMPT_SECONDS, max(left, 0.0)), "metadata": metadata}


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
