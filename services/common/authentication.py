"""Credentials to identities: API keys and tenants from the registry, JWTs from their issuer.

An unknown, revoked, expired or malformed credential, and one of an unknown or suspended tenant, is None:
the caller learns no more than that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from services.common import api_keys
from services.common.coalescing import Coalescer
from services.common.errors import StepUpRequiredError
from services.common.identity import AdminIdentity, ApiKeyIdentity, Tenant
from services.common.rate_limits import RateLimit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from services.common.database import Connection, Database
    from services.common.identity import StepUp
    from services.common.tokens import TokenVerifier


_FIND_API_KEYS: Final = """
    select a.sha256, k.tenant_id, k.key_id, k.scopes, k.key_prefix, k.rate_limit, k.rate_window_seconds
    from unnest(%s::bytea[]) as a (sha256)
        cross join lateral tenancy.find_api_key_and_limit(a.sha256) k
"""
_FIND_TENANT: Final = """
    select tenant_id, slug, name, plan, max_secrets from tenancy.tenant(%s) where status = 'active'
"""


class Authenticator:
    """Authenticates against the registry in `database` and, for admins, with `tokens`.

    `default_limit` holds for API keys that have no setting of their own; None: they have no limit.
    """

    def __init__(
        self,
        database: Database,
        tokens: TokenVerifier | None = None,
        *,
        default_limit: RateLimit | None = None,
    ) -> None:
        self._database = database
        self._tokens = tokens
        self._default_limit = default_limit
        self._api_keys = Coalescer(self._find_api_keys)

    async def api_key(self, token: str) -> ApiKeyIdentity | None:
        """Who holds this API key. A malformed one costs no database read."""
        if not api_keys.well_formed(token):
            return None
        return await self._api_keys.get(api_keys.digest(token))

    async def _find_api_keys(self, digests: Sequence[bytes]) -> dict[bytes, ApiKeyIdentity]:
        rows = await self._database.rows(_FIND_API_KEYS, (list(digests),))
        return {
            bytes(digest): ApiKeyIdentity(
                tenant_id,
                key_id,
                frozenset(scopes),
                mode=api_keys.mode_of(prefix),
                limit=self._limit(calls, seconds),
            )
            for digest, tenant_id, key_id, scopes, prefix, calls, seconds in rows
        }

    def _limit(self, calls: int | None, seconds: int) -> RateLimit | None:
        if calls is None:
            return self._default_limit
        return RateLimit(calls, seconds) if calls else None

    async def admin(self, token: str) -> AdminIdentity | None:
        """Which administrator this JWT is of."""
        claims = await self._tokens.admin(token) if self._tokens else None
        if claims is None or await self.tenant(claims.tenant_id) is None:
            return None
        return AdminIdentity(claims.tenant_id, claims.subject, claims.role)

    async def step_up(self, token: str | None, admin: AdminIdentity, window_seconds: int) -> StepUp:
        """As `TokenVerifier.step_up`."""
        assert self._tokens is not None
        return await self._tokens.step_up(token, admin, window_seconds)

    async def tenant(self, tenant_id: UUID) -> Tenant | None:
        """An active tenant of the registry."""
        rows = await self._database.rows(_FIND_TENANT, (tenant_id,))
        return Tenant(*rows[0]) if rows else None


async def find_tenant(connection: Connection, tenant_id: UUID) -> Tenant | None:
    """An active tenant of the registry, read in the caller's transaction."""
    cursor = await connection.execute(_FIND_TENANT, (tenant_id,), prepare=True)
    row = await cursor.fetchone()
    return None if row is None else Tenant(*row)


async def consume_step_up(database: Database, tenant_id: UUID, step_up: StepUp | None) -> None:
    """Use up a step-up token, committed before the effect it allows: it works once, in the whole
    deployment, also when the call then fails. Raises StepUpRequiredError `used`, or `missing` for None.
    """
    if step_up is None:
        raise StepUpRequiredError("This call needs a step-up token.", reason="missing")
    async with database.tenant(tenant_id) as connection:
        cursor = await connection.execute(
            "select tenancy.consume_step_up(%s, %s, %s)",
            (tenant_id, step_up.jti, step_up.expires_at),
        )
        row = await cursor.fetchone()
    if row is None or not row[0]:
        raise StepUpRequiredError("The step-up token was used before.", reason="used")
