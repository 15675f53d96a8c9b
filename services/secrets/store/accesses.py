"""Values as granted consumers read them, and the record of each access."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from psycopg.types.numeric import Int8

from services.common import audit
from services.secrets.model import (
    FIELDS,
    Environment,
    SealedAnswer,
    SealedValue,
    Withheld,
    WrappedKey,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.common.database import Database
    from services.secrets.model import FieldName, Question

_NIL: Final = UUID(int=0)

# Empty text, the nil UUID and version 0 stand for null: arrays have no nulls, as in `creates`. A tenant
# that is unknown or suspended grants nothing. Of a deleted secret nothing is read but that it was one; by
# name a live one comes first, then the one that was deleted last.
#
# The shape is for the planner. Each step is one look-up by a unique key, and `limit 1` keeps it a step: there
# is no order of joins to search for, and no plan but this one, on an empty database as on a full one.
# Nothing is cast from text in a condition: a cast can fail, so row-level security keeps it out of the index.
_READ: Final = """
select known.yes and active.yes, s.id, s.name, s.secret_type, e.id, e.name, e.is_default,
    v.value_version, v.certificate_type, v.certificate_expires_at,
    coalesce(c.expires_at_override, s.expires_at, v.certificate_expires_at),
    s.strict_expiry_enforcement, k.id, k.wrapped, k.key_version,
    v.value, v.content, v.private_key, v.passphrase, v.normal_form,
    allowed.yes, s.deleted_at is not null
from unnest(%(consumer)b::text[], %(secret_id)b::uuid[], %(name)b::text[],
        %(environment)b::text[], %(version)b::bigint[])
    with ordinality as q (consumer, secret_id, name, environment, version, n)
left join lateral (select true as yes from tenancy.tenant t
    where t.tenant_id = %(tenant)b and t.status = 'active' limit 1) active on true
left join lateral (select true as yes from tenancy.consumer_grant g
    where g.tenant_id = %(tenant)b and g.consumer = q.consumer limit 1) known on true
left join lateral (select y.id from secrets.secret y
    where y.tenant_id = %(tenant)b and y.name = q.name and y.deleted_at is null limit 1) named on true
left join lateral (select y.id from secrets.secret y
    where named.id is null and y.tenant_id = %(tenant)b and y.name = q.name
      and y.deleted_at is not null order by y.deleted_at desc limit 1) gone on true
left join lateral (select * from secrets.secret x
    where x.tenant_id = %(tenant)b and x.id = case
        when q.secret_id <> %(nil)b::uuid then q.secret_id
        when named.id is not null then named.id else gone.id end limit 1) s on known.yes
left join lateral (select x.id, x.name, x.is_default from secrets.environment x
    where x.tenant_id = %(tenant)b and x.id = case
        when q.environment = '' then s.base_environment_id
        else (select y.id from secrets.environment y
              where y.tenant_id = %(tenant)b and y.name = q.environment) end limit 1) e on true
left join lateral (select true as yes from tenancy.consumer_grant g
    where g.tenant_id = %(tenant)b and g.consumer = q.consumer
      and (g.collection_ids is null or s.collection_id = any (g.collection_ids))
      and (g.environment_names is null or e.name = any (g.environment_names))
    limit 1) allowed on true
left join lateral (select x.value_version, x.expires_at_override from secrets.secret_environment x
    where x.tenant_id = %(tenant)b and x.secret_id = s.id and x.environment_id = e.id
      and x.deleted_at is null limit 1) c on allowed.yes and s.deleted_at is null
left join lateral (select * from secrets.value_version x
    where x.tenant_id = %(tenant)b and x.secret_id = s.id and x.environment_id = e.id
      and x.value_version = case when q.version > 0 then q.version else c.value_version end
    limit 1) v on c.value_version is not null
left join lateral (select x.id, x.wrapped, x.key_version from secrets.data_key x
    where x.tenant_id = %(tenant)b and x.id = v.data_key_id limit 1) k on true
order by q.n
"""


class PostgresAccesses:
    """`ports.Accesses`: each method is one transaction held to one tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(
        self, tenant_id: UUID, questions: Sequence[Question]
    ) -> list[SealedAnswer | Withheld]:
        """As `ports.Accesses.read`."""
        parameters = {
            "tenant": tenant_id,
            "consumer": [question.consumer for question in questions],
            "nil": _NIL,
            "secret_id": [question.secret_id or _NIL for question in questions],
            "name": [question.name or "" for question in questions],
            "environment": [question.environment or "" for question in questions],
            "version": [Int8(question.value_version or 0) for question in questions],
        }
        async with self._database.tenant(tenant_id) as connection:
            cursor = connection.cursor(binary=True)
            await cursor.execute(_READ, parameters, prepare=True)
            return [_answer(*row) for row in await cursor.fetchall()]

    async def record(
        self, tenant_id: UUID, accesses: Sequence[tuple[Question, SealedAnswer]]
    ) -> None:
        """As `ports.Accesses.record`."""
        entries = [(question.call, _event(answer)) for question, answer in accesses]
        async with self._database.tenant(tenant_id) as connection:
            await audit.append_each(connection, tenant_id, entries)


def _answer(granted: bool | None, *row: Any) -> SealedAnswer | Withheld:
    if not granted:
        return Withheld.NO_GRANT
    (
        secret_id, name, kind, environment_id, environment, is_default, value_version,
        certificate_type, certificate_expires_at, expires_at, strict, data_key_id, wrapped,
        key_version, *sealed, allowed, is_deleted,
    ) = row  # fmt: skip
    if allowed and is_deleted:
        return Withheld.DELETED
    if not allowed or data_key_id is None:
        return Withheld.NOT_FOUND
    fields: dict[FieldName, bytes] = {
        field: bytes(value)
        for field, value in zip(FIELDS, sealed, strict=True)
        if value is not None
    }
    return SealedAnswer(
        secret_id=secret_id,
        name=name,
        secret_type=kind,
        environment=Environment(environment_id, environment, is_default),
        value_version=value_version,
        certificate_type=certificate_type,
        certificate_expires_at=certificate_expires_at,
        expires_at=expires_at,
        strict_expiry_enforcement=strict,
        value=SealedValue(WrappedKey(data_key_id, bytes(wrapped), key_version), fields),
    )


def _event(answer: SealedAnswer) -> audit.Event:
    return audit.Event(
        "secret.accessed",
        "secret",
        str(answer.secret_id),
        {
            "name": answer.name,
            "environment": answer.environment.name,
            "value_version": answer.value_version,
        },
    )
