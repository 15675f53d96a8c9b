"""One client of the SDK and its login per tenant, vault and identity. Belongs to one event loop."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from azure.core.rest import HttpRequest
from azure.keyvault.keys.aio import KeyClient

from services.kms.providers.azure.errors import Action, Parties
from services.kms.providers.azure.login import Login
from services.kms.providers.azure.sdk import (
    AzureFailedError,
    answer_of,
    fault_of_vault,
    to_base64url,
)
from services.kms.providers.azure.transport import API_VERSION, VaultTransport
from services.kms.validation import OPERATOR

if TYPE_CHECKING:
    from uuid import UUID

    from azure.core.rest import AsyncHttpResponse

    from services.kms.cloud_settings import AzureSettings
    from services.kms.ports import Meter
    from services.kms.providers.azure.credentials import Credentials

ALGORITHM: Final = "RSA-OAEP-256"
MAX_SESSIONS: Final = 512
_PATHS: Final = {Action.WRAP: "wrapkey", Action.UNWRAP: "unwrapkey"}


@dataclass(frozen=True, slots=True)
class SessionKey:
    """What a session is for. `parties` names no key but only its vault."""

    tenant_id: UUID
    parties: Parties


def session_key(tenant_id: UUID, parties: Parties) -> SessionKey:
    """The session of a tenant for a key; all keys of a vault share it."""
    return SessionKey(tenant_id, replace(parties, key=replace(parties.key, name="")))


@dataclass(frozen=True, slots=True)
class Ask:
    """One operation: on the key or key version of `kid`, in the name of `parties`."""

    action: Action
    session: SessionKey
    parties: Parties
    kid: str
    data: bytes = field(repr=False)


class Session:
    """Asks one vault as one identity."""

    def __init__(self, login: Login, transport: VaultTransport, vault_url: str) -> None:
        self._login = login
        credential: Any = login
        self._client = KeyClient(
            vault_url,
            credential,
            api_version=API_VERSION,
            verify_challenge_resource=True,
            transport=transport,
            retry_total=0,  # the one retry is ours, and only where the first answer came quickly
            permit_redirects=False,
        )

    async def ask(self, ask: Ask) -> tuple[str, bytes]:
        """What the VAULT answers for wrap or unwrap: the key's identifier, and bytes.

        `CryptographyClient.wrap_key` would fetch the public key and wrap here: that proves no permission to
        wrap, leaves nothing in the customer's log, and asks for `keys/read`. Raises AzureFailedError.
        """
        request = HttpRequest(
            "POST",
            f"{urlsplit(ask.kid).path}/{_PATHS[ask.action]}",
            json={"alg": ALGORITHM, "value": to_base64url(ask.data)},
        )
        try:
            response: AsyncHttpResponse = await self._client.send_request(request)
        except Exception as error:  # noqa: BLE001 - nothing foreign leaves an adapter
            fault = fault_of_vault(ask.action, error)
        else:
            return answer_of(ask.action, response)
        raise AzureFailedError(fault)  # out here, so that nothing foreign hangs on it

    @property
    def logins(self) -> int:
        """How often it has logged in."""
        return self._login.made

    @property
    def logging_in(self) -> bool:
        """Whether it is the login that is waited for."""
        return self._login.under_way

    async def close(self) -> None:
        """Give up a login under way. Connections are the network's."""
        await self._login.close()


class SessionPool:
    """At most MAX_SESSIONS; the least recently used go first."""

    def __init__(
        self,
        endpoints: AzureSettings,
        credentials: Credentials,
        meter: Meter,
        *,
        refused_tenants: frozenset[str],
        reuse_seconds: float,
        total_seconds: float,
    ) -> None:
        """No vault in `refused_tenants` is asked, but for the operator's own key."""
        self._refused_tenants = refused_tenants
        self._endpoints = endpoints
        self._credentials = credentials
        self._meter = meter
        self._reuse_seconds = reuse_seconds
        self._total_seconds = total_seconds
        self._made: OrderedDict[SessionKey, Session] = OrderedDict()

    def get(self, ask: Ask) -> Session:
        """The session to ask, made if there is none. Does no I/O."""
        session = self._made.get(ask.session)
        if session is None:
            session = self._made[ask.session] = self._make(ask.session.tenant_id, ask.parties)
            while len(self._made) > MAX_SESSIONS:
                self._made.popitem(last=False)
        self._made.move_to_end(ask.session)
        return session

    def _make(self, tenant_id: UUID, parties: Parties) -> Session:
        login = Login(
            parties,
            self._credentials,
            self._meter,
            reuse_seconds=self._reuse_seconds,
            total_seconds=self._total_seconds,
        )
        authority_url = self._endpoints.authority_url
        login.transport = VaultTransport(
            self._credentials.network.vaults,
            parties.key,
            endpoint_url=self._endpoints.vault_endpoint_url,
            authority_host=urlsplit(authority_url).netloc.lower() if authority_url else None,
            azure_tenant_id=parties.azure_tenant_id,
            refused_tenants=frozenset() if tenant_id == OPERATOR else self._refused_tenants,
            refused=login.refused,
        )
        return Session(login, login.transport, f"https://{parties.key.host}")

    async def close(self) -> None:
        """End all."""
        sessions = list(self._made.values())
        self._made.clear()
        for session in sessions:
            await session.close()
