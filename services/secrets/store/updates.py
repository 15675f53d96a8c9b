"""New values. Lock order: key ring, secret, audit head."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from services.common import audit
from services.common.idempotency import store as idempotency_store
from services.secrets.model import FIELDS, StaleVersionError, StoredVersion
from services.secrets.store.key_ring import hold_active

if TYPE_CHECKING:
    from uuid import UUID

    from services.common.database import Connection
    from services.secrets.model import NewValue

# The counter of an environment outlives its value: a removed one goes on where it stood. The environment is
# held before the counter: whoever deletes it then deletes what is left of counters there. `num_nulls`:
# `deleted_at is null` admits the index of live names, and with it a walk through all that the tenant has.
_PUT: Final = """
with place as (
    select e.id from secrets.environment e
    where e.tenant_id = %(tenant)b and e.id = %(environment)b and e.closed_at is null for key share
), secret as (
    update secrets.secret s
    set updated_at = date_trunc('milliseconds', clock_timestamp()),
        certificate_type = case when s.base_environment_id = %(environment)b
            then coalesce(%(certificate_type)t::text, s.certificate_type)
            else s.certificate_type end,
        metadata = case when s.base_environment_id = %(environment)b
            then coalesce(%(metadata)t::jsonb, s.metadata) else s.metadata end,
        certificate_expires_at = case when s.base_environment_id = %(environment)b
            then %(certificate_expires_at)t::timestamptz else s.certificate_expires_at end
    where s.tenant_id = %(tenant)b and s.id = %(secret)b and num_nulls(s.deleted_at) = 1
    returning s.name, s.updated_at
), counter as (
    insert into secrets.secret_environment as c (tenant_id, secret_id, environment_id,
        value_version, updated_at)
    select %(tenant)b, %(secret)b, place.id, 1, secret.updated_at from secret, place
    on conflict (tenant_id, secret_id, environment_id) do update
        set value_version = c.value_version + 1, updated_at = excluded.updated_at,
            deleted_at = null
        where c.value_version = %(replaces)b::bigint
          and (c.deleted_at is null or not %(only_over_a_value)b::boolean)
    returning c.value_version
), key as (
    insert into secrets.data_key (tenant_id, id, key_version, wrapped)
    select %(tenant)b, %(data_key)b, %(key_version)b::bigint, %(wrapped)b from counter
), version as (
    insert into secrets.value_version (tenant_id, secret_id, environment_id, value_version,
        data_key_id, certificate_type, certificate_expires_at, value, content, private_key,
        passphrase, normal_form, created_at)
    select %(tenant)b, %(secret)b, %(environment)b, counter.value_version, %(data_key)b,
        %(certificate_type)t::text, %(certificate_expires_at)t::timestamptz, %(value)b::bytea,
        %(content)b::bytea, %(private_key)b::bytea, %(passphrase)b::bytea,
        %(normal_form)b::bytea, secret.updated_at
    from counter, secret
)
select secret.name, (select value_version from counter) from secret
"""


async def put(connection: Connection, tenant_id: UUID, value: NewValue) -> StoredVersion | None:
    """As `ports.Secrets.put`, in the transaction of `connection`, held to the tenant."""
    key, certificate = value.value.key, value.certificate
    expires_at = certificate.expires_at if certificate else None
    await hold_active(connection, tenant_id, key.key_version)
    parameters = {
        "tenant": tenant_id,
        "secret": value.secret_id,
        "environment": value.environment.id,
        "replaces": value.replaces,
        "only_over_a_value": value.only_over_a_value,
        "data_key": key.id,
        "key_version": key.key_version,
        "wrapped": key.wrapped,
        "certificate_type": certificate.certificate_type if certificate else None,
        "metadata": json.dumps(certificate.metadata) if certificate else None,
        "certificate_expires_at": None if expires_at is None else expires_at.isoformat(),
    } | {name: value.value.fields.get(name) for name in FIELDS}
    row = await (await connection.execute(_PUT, parameters, prepare=True)).fetchone()
    if row is None:
        return None
    name, version = row
    if version != value.replaces + 1:
        raise StaleVersionError  # undoes the transaction
    stored = StoredVersion(value.secret_id, name, value.environment.name, version)
    await idempotency_store.complete(connection, "secrets", tenant_id, [(value.call, stored)])
    event = _event(value, stored)
    await audit.append(connection, tenant_id, value.call, [event])
    return stored


def _event(value: NewValue, stored: StoredVersion) -> audit.Event:
    details: dict[str, str | int] = {"name": stored.name, "environment": stored.environment}
    if value.restores is None:
        action = "secret.value_updated"
        details["value_version"] = stored.value_version
    else:
        action = "secret.version_restored"
        details |= {"from_version": value.restores, "to_version": stored.value_version}
    return audit.Event(action, "secret", str(value.secret_id), details)
