"""Values as granted consumers read them, and the record of each access."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

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
    from uuid import UUID

    from services.common.database import Database
    from services.secrets.model import FieldName, Question

# Empty text stands for null, as in `creates`. A tenant that is unknown or suspended grants nothing.
_READ: Final = """
with question as materialized (
    select q.n, q.consumer, nullif(q.environment, '') as environment,
        nullif(q.version, '')::bigint as version,
        coalesce(nullif(q.secret_id, '')::uuid, (select s.id from secrets.secret s
            where s.tenant_id = %(tenant)b and s.name = q.name and s.deleted_at is null)
        ) as secret_id
    from unnest(%(consumer)b::text[], %(secret_id)b::text[], %(name)b::text[],
        %(environment)b::text[], %(version)b::text[])
    with ordinality as q (consumer, secret_id, name, environment, version, n)
), answer as (
    select q.n, s.id, s.name, s.secret_type, e.id as environment_id, e.name as environment,
        e.is_default, v.value_version, v.certificate_type,
        case when v.value_version = base.value_version and s.base_environment_id = e.id
            then s.metadata ->> 'expires_at' end as certificate_expires_at,
        coalesce(c.expires_at_override, s.expires_at) as expires_at,
        s.strict_expiry_enforcement, k.id as data_key_id, k.wrapped, k.key_version,
        v.value, v.content, v.private_key, v.passphrase
    from question q
    join secrets.secret s on s.tenant_id = %(tenant)b and s.id = q.secret_id
        and s.deleted_at is null
    join secrets.environment e on e.tenant_id = %(tenant)b and e.id = case
        when q.environment is null then s.base_environment_id
        else (select f.id from secrets.environment f
              where f.tenant_id = %(tenant)b and f.name = q.environment) end
    join secrets.secret_environment c on c.tenant_id = %(tenant)b and c.secret_id = s.id
        and c.environment_id = e.id and c.deleted_at is null
    join secrets.secret_environment base on base.tenant_id = %(tenant)b and base.secret_id = s.id
        and base.environment_id = s.base_environment_id
    join secrets.value_version v on v.tenant_id = %(tenant)b and v.secret_id = s.id
        and v.environment_id = e.id and v.value_version = coalesce(q.version, c.value_version)
    join secrets.data_key k on k.tenant_id = %(tenant)b and k.id = v.data_key_id
    where exists (select from tenancy.consumer_grant g
        where g.tenant_id = %(tenant)b and g.consumer = q.consumer
          and (g.collection_ids is null or s.collection_id = any (g.collection_ids))
          and (g.environment_names is null or e.name = any (g.environment_names)))
)
select exists (select from tenancy.consumer_grant g
        where g.tenant_id = %(tenant)b and g.consumer = q.consumer)
    and exists (select from tenancy.tenant(%(tenant)b) t where t.status = 'active'),
    a.id, a.name, a.secret_type, a.environment_id, a.environment, a.is_default, a.value_version,
    a.certificate_type, a.certificate_expires_at, a.expires_at, a.strict_expiry_enforcement,
    a.data_key_id, a.wrapped, a.key_version, a.value, a.content, a.private_key, a.passphrase
from question q left join answer a using (n) order by q.n
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
            "secret_id": [str(question.secret_id or "") for question in questions],
            "name": [question.name or "" for question in questions],
            "environment": [question.environment or "" for question in questions],
            "version": [
                "" if question.value_version is None else str(question.value_version)
                for question in questions
            ],
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


def _answer(granted: bool, secret_id: UUID | None, *row: Any) -> SealedAnswer | Withheld:
    if not granted:
        return Withheld.NO_GRANT
    if secret_id is None:
        return Withheld.NOT_FOUND
    (
        name, kind, environment_id, environment, is_default, value_version, certificate_type,
        certificate_expires_at, expires_at, strict, data_key_id, wrapped, key_version, *sealed,
    ) = row  # fmt: skip
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
