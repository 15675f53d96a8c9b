"""API keys on PostgreSQL. Lock order: the tenant's turn to make keys, tenant (by the foreign key), key, audit
head; from the tenant on as the command line's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast
from uuid import uuid4

from services.common import audit
from services.common.errors import PlanLimitError
from services.common.idempotency import store as idempotency_store
from services.secrets.tenancy.model import MAX_LIVE_KEYS, ApiKeyRow, MadeApiKey

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from services.common import api_keys
    from services.common.database import Connection, Database
    from services.common.identity import Call
    from services.secrets.tenancy.model import ApiKeyListing, NewApiKey

_ROW: Final = """
select k.id, k.key_id, k.key_prefix, k.name, k.scopes, k.expires_at, k.created_at, k.last_used_at,
    k.expires_at is null or k.expires_at > clock_timestamp(), k.rate_limit,
    case when k.rate_limit > 0 then k.rate_window_seconds end
from tenancy.api_key k
where k.tenant_id = %(tenant)s and k.revoked_at is null
"""
_COUNT: Final = """
select count(*) from tenancy.api_key k where k.tenant_id = %(tenant)s and k.revoked_at is null
"""
_ORDERS: Final = {"name": 'name collate "C"', "created_at": "created_at"}
_GET: Final = f"{_ROW} and (k.key_id = %(name)s or k.id::text = %(name)s)"
# Whoever makes a key counts those that are committed, and nobody else makes one meanwhile.
_TURN: Final = (
    "select pg_advisory_xact_lock(hashtextextended('tenancy.api_key ' || %(tenant)s::text, 0))"
)
_LIVE: Final = """
select count(*) from tenancy.api_key k
where k.tenant_id = %(tenant)s and k.revoked_at is null
    and (k.expires_at is null or k.expires_at > clock_timestamp())
"""
# The maker's setting is the new key's where it has none of its own.
_CREATE: Final = """
insert into tenancy.api_key (tenant_id, id, key_id, key_prefix, sha256, name, scopes, expires_at,
    rate_limit, rate_window_seconds)
select %(tenant)s, %(id)s, %(key_id)s, %(prefix)s, %(sha256)s, %(name)s, %(scopes)s,
    %(expires_at)s::timestamptz, coalesce(%(calls)s::integer, maker.rate_limit),
    coalesce(%(seconds)s::integer, maker.rate_window_seconds)
from tenancy.api_key maker
where maker.tenant_id = %(tenant)s and maker.key_id = %(maker)s
"""
# After the insert, which locked the tenant: so no circle with the command line, which locks it first.
_STILL_VALID: Final = """
select from tenancy.api_key maker
where maker.tenant_id = %(tenant)s and maker.key_id = %(maker)s and maker.revoked_at is null
    and (maker.expires_at is null or maker.expires_at > clock_timestamp())
for share
"""
_REVOKE: Final = """
update tenancy.api_key k set revoked_at = clock_timestamp()
where k.tenant_id = %(tenant)s and (k.key_id = %(name)s or k.id::text = %(name)s)
    and k.revoked_at is null
returning k.key_id, k.name
"""


class _MakerGoneError(Exception):
    """Undoes the transaction."""


class PostgresApiKeys:
    """`tenancy.ports.ApiKeys`: each method is one transaction held to one tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(
        self, tenant_id: UUID, listing: ApiKeyListing
    ) -> tuple[Sequence[ApiKeyRow], int]:
        """As `ports.ApiKeys.list`."""
        direction = "desc" if listing.descending else "asc"
        asked = listing.paging
        order = f"{{0}}.{_ORDERS[listing.sort]} {direction}, {{0}}.id {direction}"
        # Constants of this module and two numbers. One statement, so that rows and total are of one moment;
        # a row of nulls where the page is empty.
        query = f"""
        select ({_COUNT}), shown.* from (select) nothing left join (
            {_ROW} order by {order.format("k")}
            limit {int(asked.per_page)} offset {int(asked.offset)}
        ) shown on true
        order by {order.format("shown")}
        """  # noqa: S608
        async with self._database.tenant(tenant_id) as connection:
            cursor = await connection.execute(
                cast("Any", query), {"tenant": tenant_id}, prepare=False
            )
            found = await cursor.fetchall()
        return [_row(row[1:]) for row in found if row[1] is not None], found[0][0]

    async def get(self, tenant_id: UUID, name: str) -> ApiKeyRow | None:
        """As `ports.ApiKeys.get`."""
        async with self._database.tenant(tenant_id) as connection:
            return await _get(connection, tenant_id, name)

    async def create(
        self, tenant_id: UUID, new: NewApiKey, key: api_keys.NewApiKey, call: Call
    ) -> MadeApiKey | None:
        """As `ports.ApiKeys.create`."""
        parameters = _parameters(tenant_id, new, key, call)
        try:
            async with self._database.change(tenant_id) as connection:
                await connection.execute(_TURN, parameters, prepare=True)
                await _refuse_too_many(connection, parameters)
                await connection.execute(_CREATE, parameters, prepare=True)
                if not (await connection.execute(_STILL_VALID, parameters, prepare=True)).rowcount:
                    raise _MakerGoneError
                row = await _get(connection, tenant_id, key.key_id)
                if row is None:
                    raise _MakerGoneError
                made = MadeApiKey(row, key.token)
                await idempotency_store.complete(connection, "secrets", tenant_id, [(call, made)])
                event = audit.Event("api_key.created", "api_key", row.key_id, _details(row))
                await audit.append(connection, tenant_id, call, [event])
        except _MakerGoneError:
            return None
        return made

    async def revoke(self, tenant_id: UUID, name: str, call: Call) -> bool:
        """As `ports.ApiKeys.revoke`."""
        parameters = {"tenant": tenant_id, "name": name}
        async with self._database.change(tenant_id) as connection:
            row = await (await connection.execute(_REVOKE, parameters, prepare=True)).fetchone()
            if row is None:
                return False
            await idempotency_store.complete(connection, "secrets", tenant_id, [(call, True)])
            event = audit.Event("api_key.revoked", "api_key", row[0], {"name": row[1]})
            await audit.append(connection, tenant_id, call, [event])
        return True


def _parameters(
    tenant_id: UUID, new: NewApiKey, key: api_keys.NewApiKey, call: Call
) -> dict[str, object]:
    limit = new.rate_limit
    return {
        "tenant": tenant_id,
        "id": uuid4(),
        "key_id": key.key_id,
        "prefix": key.prefix,
        "sha256": key.sha256,
        "name": new.name,
        "scopes": list(new.scopes),
        "expires_at": new.expires_at,
        "calls": limit.calls if limit else None,
        "seconds": limit.seconds if limit else None,
        "maker": call.api_key.key_id if call.api_key else None,
    }


def _details(row: ApiKeyRow) -> dict[str, object]:
    """What was stored: the limit is the maker's where none was asked for."""
    return {
        "name": row.name,
        "scopes": list(row.scopes),
        "expires_at": None if row.expires_at is None else audit.moment(row.expires_at),
        "rate_limit": row.rate_limit_requests,
        "rate_window_seconds": row.rate_limit_window_sec,
    }


async def _refuse_too_many(connection: Connection, parameters: dict[str, object]) -> None:
    row = await (await connection.execute(_LIVE, parameters, prepare=True)).fetchone()
    if row is not None and row[0] >= MAX_LIVE_KEYS:
        raise PlanLimitError(
            f"A tenant has at most {MAX_LIVE_KEYS} API keys that can be used: revoke one that is not needed."
        )


async def _get(connection: Connection, tenant_id: UUID, name: str) -> ApiKeyRow | None:
    parameters = {"tenant": tenant_id, "name": name}
    row = await (await connection.execute(_GET, parameters, prepare=True)).fetchone()
    return None if row is None else _row(row)


def _row(row: tuple[Any, ...]) -> ApiKeyRow:
    found, key_id, prefix, name, scopes, *rest = row
    return ApiKeyRow(found, key_id, prefix, name, tuple(scopes), *rest)
