"""Credentials of the SDK, each made for one login and then thrown away.

azure-identity keeps the tokens it was given, some for a day; what it does not live to see it cannot keep.
Tenants are pinned: a credential logs in to the one tenant it was made for.
"""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from azure.core.pipeline.transport import AioHttpTransport
from azure.identity.aio import (
    ClientSecretCredential,
    ManagedIdentityCredential,
    WorkloadIdentityCredential,
)

from services.kms.providers.azure.errors import (
    HOSTS_IDENTITY,
    NO_CLIENT,
    NO_IDENTITY,
    NO_SECRET,
    NOT_ALLOWED,
    Action,
    AzureFault,
    IdentityKind,
    Parties,
)
from services.kms.providers.azure.network import CONNECT_SECONDS, READ_SECONDS
from services.kms.providers.azure.sdk import AzureFailedError
from services.kms.validation import OPERATOR

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from uuid import UUID

    from azure.core.credentials import AccessTokenInfo

    from services.kms.providers.azure.clouds import VaultKey
    from services.kms.providers.azure.network import Network
    from services.kms.validation import Rules

TOKEN_FILE: Final = "AZURE_FEDERATED_TOKEN_FILE"  # noqa: S105 - the name of a variable
CLIENT_ID: Final = "AZURE_CLIENT_ID"


@dataclass(frozen=True, slots=True)
class Identities:
    """Who calls for whose configuration. Reads `environ` when asked."""

    environ: Mapping[str, str] = field(repr=False)
    application_id: str | None
    """The platform's own application."""
    rules: Rules

    def of(self, tenant_id: UUID, key: VaultKey, config: Mapping[str, str | None]) -> Parties:
        """Who calls in the name of a tenant, or why nobody may (`refused`)."""
        kind, env_var = self._kind(config), config.get("client_secret_env_var")
        client_id, refused = config.get("client_id"), None
        platform = self.application_id or self.environ.get(CLIENT_ID)
        own = client_id is None or _same(client_id, platform)
        if kind is IdentityKind.CLIENT_SECRET:
            own = _same(client_id, self.application_id)
            if env_var and not self.rules.allows_variable(tenant_id, env_var):
                refused = NOT_ALLOWED
        elif kind is IdentityKind.FEDERATED:
            client_id = client_id or platform
        elif tenant_id == OPERATOR:
            client_id, own = client_id or self.environ.get(CLIENT_ID), True
        elif own or _same(client_id, self.environ.get(CLIENT_ID)):
            client_id, own = self.environ.get(CLIENT_ID), True
        else:
            # The identities of the host are the operator's: a customer's word chooses none of them.
            refused = HOSTS_IDENTITY
        tenant = config.get("azure_tenant_id")
        return Parties(key, kind, tenant, client_id, own, env_var, refused)

    def _kind(self, config: Mapping[str, str | None]) -> IdentityKind:
        if config.get("client_secret_env_var"):
            return IdentityKind.CLIENT_SECRET
        return IdentityKind.FEDERATED if self.environ.get(TOKEN_FILE) else IdentityKind.MANAGED


def _same(one: str | None, other: str | None) -> bool:
    return one is not None and other is not None and one.lower() == other.lower()


@dataclass(frozen=True, slots=True)
class Credentials:
    """Makes credentials. Reads `environ` when it makes one, and keeps nothing of it."""

    network: Network
    environ: Mapping[str, str] = field(repr=False)
    authority_url: str | None
    """Instead of the authority of the vault's cloud."""

    @contextlib.asynccontextmanager
    async def make(self, parties: Parties, tenant: str | None) -> AsyncIterator[Any]:
        """A credential for one login to `tenant`. Raises AzureFailedError where one cannot be made."""
        credential = self._make(parties, tenant)
        try:
            yield credential
        finally:
            await credential.close()

    def _make(self, parties: Parties, tenant: str | None) -> Any:
        if parties.kind is IdentityKind.MANAGED:
            # Has a connection of its own: what it talks to is the host itself, never by a proxy.
            return ManagedIdentityCredential(
                client_id=parties.client_id,
                retry_total=0,
                connection_timeout=CONNECT_SECONDS,
                read_timeout=READ_SECONDS,
                use_env_settings=False,
            )
        if not parties.client_id or not tenant:
            secret = parties.kind is IdentityKind.CLIENT_SECRET
            raise _failed(NO_CLIENT if secret else NO_IDENTITY)
        options = self._options(parties)
        if parties.kind is IdentityKind.FEDERATED:
            file = self.environ.get(TOKEN_FILE)
            if not file:
                raise _failed(NO_IDENTITY)
            return WorkloadIdentityCredential(
                tenant_id=tenant, client_id=parties.client_id, token_file_path=file, **options
            )
        secret_value = self.environ.get(parties.env_var or "")
        if not secret_value:
            raise _failed(NO_SECRET)
        return ClientSecretCredential(tenant, parties.client_id, secret_value, **options)

    def _options(self, parties: Parties) -> dict[str, Any]:
        options: dict[str, Any] = {
            "authority": self.authority_url or f"https://{parties.key.cloud.authority}",
            "retry_total": 0,
            "transport": AioHttpTransport(
                session=self.network.login,
                session_owner=False,
                connection_timeout=CONNECT_SECONDS,
                read_timeout=READ_SECONDS,
            ),
        }
        if self.authority_url:
            options["disable_instance_discovery"] = True
        return options


async def log_in(
    credential: Any, parties: Parties, *, tenant: str | None, claims: str | None
) -> AccessTokenInfo:
    """A token for the vault's own resource. Raises what the SDK raises."""
    options: dict[str, Any] = {}
    if parties.kind is not IdentityKind.MANAGED:
        options["tenant_id"] = tenant
    if claims:
        options |= {"claims": claims, "enable_cae": True}
    token: AccessTokenInfo = await credential.get_token_info(
        f"{parties.key.resource}/.default", options=options
    )
    return token


def silence() -> None:
    """Keep the SDK's own words out of the logs: azure-identity logs the text of failures as warnings."""
    for name in ("azure", "msal", "aiohttp"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _failed(code: str) -> AzureFailedError:
    return AzureFailedError(AzureFault(Action.LOGIN, 0, code))
