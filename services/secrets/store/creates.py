"""Writing a group of new secrets in one transaction.

Lock order: key ring, then the tenant's usage row (which makes the plan's limit hold and puts all creates
and deletes of a tenant in a row), then the secrets, then the audit head.

Arrays have no nulls, because an array of nothing but nulls has no type in the binary protocol: empty
text or bytes and the nil UUID stand for null. Environments and collections are looked up as `accesses` does.
"""

from __future__ import annotations

import json
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from services.common import audit
from services.common.idempotency import store as idempotency_store
from services.secrets.model import FIELDS, Refused, SecretRow
from services.secrets.store.key_ring import hold_active

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from services.common.database import Connection
    from services.secrets.model import NewSecret

_NIL: Final = UUID(int=0)

_LOCK_USAGE: Final = """
select u.live_secrets, p.max_secrets
from secrets.usage u
join tenancy.tenant t on t.tenant_id = u.tenant_id
join tenancy.plan p on p.name = t.plan
where u.tenant_id = %(tenant)b
for update of u
"""
_PLACES: Final = """
select exists (select from secrets.environment e
        where e.tenant_id = %(tenant)b and e.id = %(environment)b and e.name = %(name)b::text
          and e.closed_at is null),
    %(collection)b = %(nil)b or exists (select from secrets.collection c
        where c.tenant_id = %(tenant)b and c.id = %(collection)b)
"""
_BEGIN_USAGE: Final = """
insert into secrets.usage (tenant_id) values (%(tenant)b) on conflict do nothing
"""
_INSERT: Final = """
with item as materialized (
    select i.n, i.id, i.name, nullif(i.description, '') as description, i.secret_type,
        nullif(i.certificate_type, '') as certificate_type,
        nullif(i.metadata, '')::jsonb as metadata,
        nullif(i.certificate_expires_at, '')::timestamptz as certificate_expires_at,
        i.environment_id,
        nullif(i.collection_id, %(nil)b::uuid) as collection_id,
        nullif(i.expires_at, '')::timestamptz as expires_at, i.strict,
        i.data_key_id, i.wrapped, nullif(i.value, '') as value, nullif(i.content, '') as content,
        nullif(i.private_key, '') as private_key, nullif(i.passphrase, '') as passphrase,
        nullif(i.normal_form, '') as normal_form,
        date_trunc('milliseconds', clock_timestamp()) as made_at,
        e.id is not null as has_environment,
        i.collection_id = %(nil)b::uuid or c.id is not null as has_collection
    from unnest(%(id)b::uuid[], %(name)b::text[], %(description)b::text[], %(secret_type)b::text[],
        %(certificate_type)b::text[], %(metadata)b::text[],
        %(certificate_expires_at)b::text[], %(environment_id)b::uuid[],
        %(environment_name)b::text[], %(by_default)b::boolean[], %(collection_id)b::uuid[],
        %(expires_at)b::text[], %(strict)b::boolean[], %(data_key_id)b::uuid[],
        %(wrapped)b::bytea[], %(value)b::bytea[], %(content)b::bytea[], %(private_key)b::bytea[],
        %(passphrase)b::bytea[], %(normal_form)b::bytea[])
    with ordinality as i (id, name, description, secret_type, certificate_type, metadata,
        certificate_expires_at, environment_id, environment_name, by_default, collection_id,
        expires_at, strict, data_key_id, wrapped, value, content, private_key, passphrase,
        normal_form, n)
    left join lateral (select x.id from secrets.environment x
        where x.tenant_id = %(tenant)b and x.id = i.environment_id
          and x.name = i.environment_name and (x.is_default or not i.by_default)
          and x.closed_at is null limit 1
    ) e on true
    left join lateral (select x.id from secrets.collection x
        where x.tenant_id = %(tenant)b and x.id = i.collection_id limit 1) c on true
), made as (
    insert into secrets.secret (tenant_id, id, name, description, secret_type, certificate_type,
        metadata, certificate_expires_at, base_environment_id, collection_id, expires_at,
        strict_expiry_enforcement, created_at, updated_at)
    select %(tenant)b, id, name, description, secret_type, certificate_type, metadata,
        certificate_expires_at, environment_id, collection_id, expires_at, strict, made_at, made_at
    from item where has_environment and has_collection order by n
    on conflict (tenant_id, name) where deleted_at is null do nothing
    returning id
), kept as materialized (
    select item.* from item join made using (id)
), in_environment as (
    insert into secrets.secret_environment (tenant_id, secret_id, environment_id, value_version,
        updated_at)
    select %(tenant)b, id, environment_id, 1, made_at from kept
), keys as (
    insert into secrets.data_key (tenant_id, id, key_version, wrapped)
    select %(tenant)b, data_key_id, %(key_version)b, wrapped from kept
), versions as (
    insert into secrets.value_version (tenant_id, secret_id, environment_id, value_version,
        data_key_id, certificate_type, certificate_expires_at, value, content, private_key,
        passphrase, normal_form, created_at)
    select %(tenant)b, id, environment_id, 1, data_key_id, certificate_type,
        certificate_expires_at, value, content, private_key, passphrase, normal_form, made_at
    from kept
), counted as (
    update secrets.usage set live_secrets = live_secrets + (select count(*) from kept)
    where tenant_id = %(tenant)b
)
select item.has_environment, item.has_collection, kept.made_at
from item left join kept using (id) order by item.n
"""


async def create(
    connection: Connection, tenant_id: UUID, key_version: int, secrets: Sequence[NewSecret]
) -> list[SecretRow | Refused]:
    """As `ports.Secrets.create`, in the transaction of `connection`, held to the tenant."""
    await hold_active(connection, tenant_id, key_version)
    room = await room_left(connection, tenant_id, len(secrets))
    outcomes: list[SecretRow | Refused] = [Refused.PLAN_LIMIT] * len(secrets)
    tried = 0
    # More than one turn only where the limit is near and a name of the first ones was taken.
    while tried < len(secrets) and room > 0:
        part = secrets[tried : tried + room]
        found = await _insert(connection, tenant_id, key_version, part)
        outcomes[tried : tried + len(part)] = found
        tried += len(part)
        room -= sum(isinstance(outcome, SecretRow) for outcome in found)
    for index in range(tried, len(secrets)):
        outcomes[index] = await _unplaced(connection, tenant_id, secrets[index])
    made = [
        (secret, row)
        for secret, row in zip(secrets, outcomes, strict=True)
        if isinstance(row, SecretRow)
    ]
    if made:
        done = [(secret.call, row) for secret, row in made]
        await idempotency_store.complete(connection, "secrets", tenant_id, done)
        entries = [(secret.call, _event(secret)) for secret, _ in made]
        await audit.append_each(connection, tenant_id, entries)
    return outcomes


async def _unplaced(connection: Connection, tenant_id: UUID, secret: NewSecret) -> Refused:
    """Why a secret is not written when there is no room: what is wrong with its fields comes first."""
    parameters = {
        "tenant": tenant_id,
        "environment": secret.environment.id,
        "name": secret.environment.name,
        "collection": secret.draft.collection_id or _NIL,
        "nil": _NIL,
    }
    row = await (await connection.execute(_PLACES, parameters, prepare=True)).fetchone()
    has_environment, has_collection = row or (False, False)
    if not has_environment:
        return Refused.NO_ENVIRONMENT
    return Refused.PLAN_LIMIT if has_collection else Refused.NO_COLLECTION


async def room_left(connection: Connection, tenant_id: UUID, wanted: int) -> int:
    """How many more secrets the plan allows, at most `wanted`. Locks the tenant's usage row."""
    parameters = {"tenant": tenant_id}
    row = await (await connection.execute(_LOCK_USAGE, parameters, prepare=True)).fetchone()
    if row is None:
        await connection.execute(_BEGIN_USAGE, parameters)
        row = await (await connection.execute(_LOCK_USAGE, parameters)).fetchone()
    if row is None:
        return 0
    live, limit = row
    return wanted if limit is None else min(wanted, limit - live)


async def _insert(
    connection: Connection, tenant_id: UUID, key_version: int, secrets: Sequence[NewSecret]
) -> list[SecretRow | Refused]:
    cursor = connection.cursor(binary=True)
    parameters = _columns(secrets) | {"tenant": tenant_id, "key_version": key_version, "nil": _NIL}
    await cursor.execute(_INSERT, parameters, prepare=True)
    found = await cursor.fetchall()
    return [_outcome(secret, *row) for secret, row in zip(secrets, found, strict=True)]


def _outcome(
    secret: NewSecret, has_environment: bool, has_collection: bool, made_at: datetime | None
) -> SecretRow | Refused:
    if not has_environment:
        return Refused.NO_ENVIRONMENT
    if not has_collection:
        return Refused.NO_COLLECTION
    return Refused.NAME_TAKEN if made_at is None else secret.row(made_at.astimezone(UTC))


def _columns(secrets: Sequence[NewSecret]) -> dict[str, list[Any]]:
    drafts = [secret.draft for secret in secrets]
    certificates = [secret.certificate for secret in secrets]
    columns: dict[str, list[Any]] = {
        "id": [secret.id for secret in secrets],
        "name": [draft.name for draft in drafts],
        "description": [draft.description or "" for draft in drafts],
        "secret_type": [draft.secret_type for draft in drafts],
        "certificate_type": ["" if c is None else c.certificate_type for c in certificates],
        "metadata": ["" if c is None else json.dumps(c.metadata) for c in certificates],
        "certificate_expires_at": [
            "" if c is None else _moment(c.expires_at) for c in certificates
        ],
        "environment_id": [secret.environment.id for secret in secrets],
        "environment_name": [secret.environment.name for secret in secrets],
        "by_default": [draft.environment is None for draft in drafts],
        "collection_id": [draft.collection_id or _NIL for draft in drafts],
        "expires_at": [_moment(draft.expires_at) for draft in drafts],
        "strict": [draft.strict_expiry_enforcement for draft in drafts],
        "data_key_id": [secret.value.key.id for secret in secrets],
        "wrapped": [secret.value.key.wrapped for secret in secrets],
    }
    for name in FIELDS:
        columns[name] = [secret.value.fields.get(name, b"") for secret in secrets]
    return columns


def _moment(moment: datetime | None) -> str:
    return "" if moment is None else moment.isoformat()


def _event(secret: NewSecret) -> audit.Event:
    return audit.Event(
        "secret.created",
        "secret",
        str(secret.id),
        {
            "name": secret.draft.name,
            "secret_type": secret.draft.secret_type,
            "environment": secret.environment.name,
            "value_version": 1,
        },
    )
