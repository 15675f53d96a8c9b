"""What goes over the wire to one vault: the last step of the SDK's pipeline, below its authentication.

Here is decided where a request goes, whatever stands above it: to the vault and nowhere else, or to the
operator's own endpoint with the vault's name in `Host`. Redirects are not followed (by nobody: neither by
aiohttp here nor by the policy above). A challenge is looked at before the SDK sees it: its authority must be
that of the vault's own cloud, and its resource the vault's own, exactly; the SDK alone would accept any
suffix of the vault's name, and does not look at the authority.
"""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from azure.core.pipeline.transport import AioHttpTransport
from azure.core.rest import HttpRequest

from services.kms.providers.azure.errors import FOREIGN_CHALLENGE, OTHER_TENANT, REFUSED_TENANT
from services.kms.providers.azure.network import CONNECT_SECONDS, READ_SECONDS
from services.kms.validation import forms

if TYPE_CHECKING:
    from collections.abc import Callable

    import aiohttp

    from services.kms.providers.azure.clouds import VaultKey

API_VERSION: Final = "7.4"
"""Spoken by vaults of every cloud."""
_UNAUTHORIZED: Final = 401
_PARAMETER: Final = re.compile(r'([A-Za-z_]+)\s*=\s*"([^"]*)"')


class ChallengeRefusedError(Exception):
    """`code` is FOREIGN_CHALLENGE, OTHER_TENANT or REFUSED_TENANT."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class VaultTransport(AioHttpTransport):  # type: ignore[misc] # loaded lazily by the SDK
    """Sends to one vault."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        vault: VaultKey,
        *,
        endpoint_url: str | None,
        authority_host: str | None,
        azure_tenant_id: str | None,
        refused_tenants: frozenset[str] = frozenset(),
        refused: Callable[[str], None],
    ) -> None:
        """`authority_host` stands for Microsoft's login where that is overridden.

        A vault in one of `refused_tenants` (UUIDs in lower case) is refused. `refused` is told each
        Authorization that the vault did not accept.
        """
        super().__init__(
            session=session,
            session_owner=False,
            connection_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
        )
        self._vault = vault
        self._endpoint_url = endpoint_url
        self._authorities = vault.cloud.authorities | (
            {authority_host} if authority_host else set()
        )
        self._azure_tenant_id = azure_tenant_id
        self._refused_tenants = refused_tenants
        self._refused = refused
        self.tenant: str | None = None
        """The tenant that the vault's last challenge named, once there was one."""

    async def send(self, request: Any, **config: Any) -> Any:
        """Send it to the vault. Raises ChallengeRefusedError, and what the SDK's transport raises."""
        sent = self._addressed(request)
        response = await super().send(sent, **config)
        if response.status_code == _UNAUTHORIZED:
            if authorization := request.headers.get("Authorization"):
                self._refused(authorization)
            if challenge := response.headers.get("WWW-Authenticate"):
                self._check(challenge)
        return response

    @property
    def must_know_tenant(self) -> bool:
        """Whether no login may be made before the vault has told its tenant."""
        return bool(self._refused_tenants)

    async def discover(self) -> None:
        """Ask the vault for its challenge, with no credential and nothing done.

        `tenant` is then set if it gave one. Raises as `send`.
        """
        await self.send(HttpRequest("GET", f"{self._vault.url}?api-version={API_VERSION}"))

    def _addressed(self, request: Any) -> Any:
        parts = urlsplit(request.url)
        if parts.scheme != "https" or parts.netloc.lower() != self._vault.host:
            raise ChallengeRefusedError(FOREIGN_CHALLENGE)
        if self._endpoint_url is None:
            return request
        # A copy: the policies above go on reading the URL that they know.
        sent = copy.copy(request)
        sent.headers = copy.copy(request.headers)
        sent.headers["Host"] = self._vault.host
        query = f"?{parts.query}" if parts.query else ""
        sent.url = f"{self._endpoint_url.rstrip('/')}{parts.path}{query}"
        return sent

    def _check(self, challenge: str) -> None:
        parameters = {name.lower(): value for name, value in _PARAMETER.findall(challenge)}
        authority = urlsplit(
            parameters.get("authorization_uri") or parameters.get("authorization", "")
        )
        asked_for = parameters.get("scope") or parameters.get("resource", "")
        resource = asked_for.removesuffix("/.default").rstrip("/")
        if (
            authority.scheme != "https"
            or authority.netloc.lower() not in self._authorities
            or (resource.lower() != self._vault.resource and "claims" not in parameters)
        ):
            raise ChallengeRefusedError(FOREIGN_CHALLENGE)
        tenant = authority.path.strip("/").partition("/")[0].lower()
        if tenant in self._refused_tenants:
            raise ChallengeRefusedError(REFUSED_TENANT)
        wanted = self._azure_tenant_id
        if (
            wanted
            and forms.is_uuid(wanted)
            and forms.is_uuid(tenant)
            and UUID(wanted) != UUID(tenant)
        ):
            raise ChallengeRefusedError(OTHER_TENANT)
        if forms.is_uuid(tenant):
            self.tenant = tenant
