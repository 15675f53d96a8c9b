"""Old values: their history, one of them as it is stored, and the end of all in one environment.

Lock order: secret, counter, data keys, audit head.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from services.common import audit
from services.common.idempotency import store as idempotency_store
from services.secrets.groups import Unfinished
from services.secrets.model import FIELDS, Environment, SealedValue, WrappedKey
from services.secrets.store.erasing import MAX_VERSIONS, erase_oldest, history_erased
from services.secrets.store.purges import erase_values
from services.secrets.versions import NotRemoved, PastVersion, PastVersions, StoredValue

if TYPE_CHECKING:
    from uuid import UUID

    from services.common.database import Connection
    from services.common.identity import Call
    from services.secrets.model import FieldName
    from services.secrets.paging import Paging

# One statement, so that rows and total are of one moment; a row of nulls where the page is empty.
_HISTORY: Final = """
select (select count(*) from secrets.value_version v where v.tenant_id = %(tenant)b
        and v.secret_id = %(secret)b and v.environment_id = %(environment)b),
    shown.*
from (select) nothing left join (
    select v.value_version, v.value_version = (
            select c.value_version from secrets.secret_environment c
            where c.tenant_id = %(tenant)b and c.secret_id = %(secret)b
              and c.environment_id = %(environment)b),
        v.created_at, v.certificate_type, v.certificate_expires_at
    from secrets.value_version v
    where v.tenant_id = %(tenant)b and v.secret_id = %(secret)b
      and v.environment_id = %(environment)b
    order by v.value_version desc limit %(limit)b::bigint offset %(offset)b::bigint
) shown on true
order by shown.value_version desc
"""
# One look-up by a unique key after another, as in `accesses`.
_STORED: Final = """
select e.id, e.name, e.is_default, v.value_version, v.certificate_type, k.id, k.wrapped,
    k.key_version, v.value, v.content, v.private_key, v.passphrase, v.normal_form
from (select x.id, x.deleted_at from secrets.secret x
    where x.tenant_id = %(tenant)b and x.id = %(secret)b limit 1) s
cross join lateral (select x.id, x.name, x.is_default from secrets.environment x
    where x.tenant_id = %(tenant)b and x.id = %(environment)b limit 1) e
cross join lateral (select * from secrets.value_version x where x.tenant_id = %(tenant)b
    and x.secret_id = s.id and x.environment_id = e.id
    and x.value_version = %(version)b::bigint limit 1) v
cross join lateral (select x.id, x.wrapped, x.key_version from secrets.data_key x
    where x.tenant_id = %(tenant)b and x.id = v.data_key_id limit 1) k
where s.deleted_at is null
"""
# `num_nulls`: see `updates`.
_LOCK: Final = """
select s.name, e.id, e.id = s.base_environment_id
from secrets.secret s
left join secrets.environment e on e.tenant_id = s.tenant_id and e.name = %(name)b
where s.tenant_id = %(tenant)b and s.id = %(secret)b and num_nulls(s.deleted_at) = 1
for update of s
"""
_THERE: Final = """
select (select count(*) from (
    select from secrets.value_version v where v.tenant_id = %(tenant)b and v.secret_id = %(secret)b
        and v.environment_id = %(environment)b limit %(versions)b::bigint + 1) counted)
from secrets.secret_environment c
where c.tenant_id = %(tenant)b and c.secret_id = %(secret)b and c.environment_id = %(environment)b
  and c.deleted_at is null
"""
# The counter stays where it stands, so that no number comes twice.
_END: Final = """
with ended as (
    update secrets.secret_environment c
    set deleted_at = date_trunc('milliseconds', clock_timestamp()), expires_at_override = null
    where c.tenant_id = %(tenant)b and c.secret_id = %(secret)b
      and c.environment_id = %(environment)b and c.deleted_at is null
    returning c.value_version, c.deleted_at
), secret as (
    update secrets.secret s set updated_at = ended.deleted_at from ended
    where s.tenant_id = %(tenant)b and s.id = %(secret)b
)
select value_version from ended
"""


async def history(
    connection: Connection,
    tenant_id: UUID,
    secret_id: UUID,
    environment: Environment,
    asked: Paging,
) -> PastVersions:
    """As `ports.Values.history`, in the transaction of `connection`, held to the tenant."""
    parameters = {
        "tenant": tenant_id,
        "secret": secret_id,
        "environment": environment.id,
        "limit": asked.per_page,
        "offset": asked.offset,
    }
    found = await (await connection.execute(_HISTORY, parameters, prepare=True)).fetchall()
    rows = [PastVersion(row[1], environment.name, *row[2:]) for row in found if row[1] is not None]
    return PastVersions(tuple(rows), found[0][0])


async def stored(
    connection: Connection, tenant_id: UUID, secret_id: UUID, environment_id: UUID, version: int
) -> StoredValue | None:
    """As `ports.Values.stored`, in the transaction of `connection`, held to the tenant."""
    cursor = connection.cursor(binary=True)
    parameters = {
        "tenant": tenant_id,
        "secret": secret_id,
        "environment": environment_id,
        "version": version,
    }
    await cursor.execute(_STORED, parameters, prepare=True)
    row = await cursor.fetchone()
    if row is None:
        return None
    home, found, certificate_type, (key_id, wrapped, key_version) = (
        row[:3],
        row[3],
        row[4],
        row[5:8],
    )
    fields: dict[FieldName, bytes] = {
        field: bytes(value)
        for field, value in zip(FIELDS, row[8:], strict=True)
        if value is not None
    }
    key = WrappedKey(key_id, bytes(wrapped), key_version)
    return StoredValue(
        secret_id, Environment(*home), found, certificate_type, SealedValue(key, fields)
    )


async def remove(
    connection: Connection, tenant_id: UUID, secret_id: UUID, environment: str, call: Call
) -> NotRemoved | Unfinished | None:
    """As `ports.Values.remove`, in the transaction of `connection`, held to the tenant."""
    parameters = {"tenant": tenant_id, "secret": secret_id, "name": environment}
    row = await (await connection.execute(_LOCK, parameters, prepare=True)).fetchone()
    if row is None:
        return NotRemoved.NO_SECRET
    name, environment_id, is_base = row
    if is_base:
        return NotRemoved.IS_BASE
    if environment_id is None:
        return NotRemoved.NO_VALUE
    parameters = {"tenant": tenant_id, "secret": secret_id, "environment": environment_id}
    limit = {"versions": MAX_VERSIONS}
    there = await (await connection.execute(_THERE, parameters | limit, prepare=True)).fetchone()
    if there is not None and there[0] > MAX_VERSIONS:
        gone = await erase_oldest(connection, tenant_id, secret_id, environment_id, MAX_VERSIONS)
        event = history_erased(secret_id, name, gone, environment)
        await audit.append(connection, tenant_id, call, [event])
        return Unfinished()
    ended = await (await connection.execute(_END, parameters, prepare=True)).fetchone()
    if ended is None:
        return NotRemoved.NO_VALUE
    versions = await erase_values(connection, tenant_id, [secret_id], environment_id)
    await idempotency_store.complete(connection, "secrets", tenant_id, [(call, None)])
    details = {
        "name": name,
        "environment": environment,
        "value_version": ended[0],
        "versions": versions.get(secret_id, 0),
    }
    event = audit.Event("secret.environment_removed", "secret", str(secret_id), details)
    await audit.append(connection, tenant_id, call, [event])
    return None
