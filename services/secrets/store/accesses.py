"""Values as granted consumers read them, and the record of each access.

Between reading and recording kms opens data keys, which takes seconds where the customer's cloud is slow.
So whoever records looks once more, and after its events were appended: `audit.append` holds the tenant's
head until the commit, and whatever takes an access away appends its event before it commits. So either
that one was committed before our head was taken, and is seen here; or its event comes after ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from psycopg.types.numeric import Int8

from services.common import audit
from services.secrets.expiring import is_withheld
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
    from datetime import datetime

    from services.common.database import Connection, Database
    from services.secrets.model import FieldName, Question

_NIL: Final = UUID(int=0)

# Empty text, the nil UUID and version 0 stand for null: arrays have no nulls, as in `creates`. A tenant
# that is unknown or suspended grants nothing. Of a deleted secret nothing is read but that it was one; by
# name a live one comes first, then the one that was deleted last.
#
# The shape is for the planner. Each step is one look-up by a unique key, and `limit 1` keeps it a step: there
# is no order of joins to search for, and no plan but this one, on an empty database as on a full one.
# Nothing is cast from text in a condition: a cast can fail, so row-level security keeps it out of the index.
_TENANT: Final = """
left join lateral (select true as yes from tenancy.tenant t
    where t.tenant_id = %(tenant)b and t.status = 'active' limit 1) active on true
left join lateral (select true as yes from tenancy.consumer_grant g
    where g.tenant_id = %(tenant)b and g.consumer = q.consumer limit 1) known on true
"""
_REACHED: Final = """
left join lateral (select true as yes from tenancy.consumer_grant g
    where g.tenant_id = %(tenant)b and g.consumer = q.consumer
      and (g.collection_ids is null or s.collection_id = any (g.collection_ids))
      and (g.environment_names is null or e.name = any (g.environment_names))
    limit 1) allowed on true
left join lateral (select x.value_version, x.expires_at_override from secrets.secret_environment x
    where x.tenant_id = %(tenant)b and x.secret_id = s.id and x.environment_id = e.id
      and x.deleted_at is null limit 1) c on allowed.yes and s.deleted_at is null
"""
_READ: Final = f"""
select known.yes and active.yes, s.id, s.name, s.secret_type, e.id, e.name, e.is_default,
    v.value_version, v.certificate_type, v.certificate_expires_at,
    coalesce(c.expires_at_override, s.expires_at, v.certificate_expires_at),
    s.strict_expiry_enforcement, k.id, k.wrapped, k.key_version,
    v.value, v.content, v.private_key, v.passphrase, v.normal_form,
    allowed.yes, s.deleted_at is not null
from unnest(%(consumer)b::text[], %(secret_id)b::uuid[], %(name)b::text[],
        %(environment)b::text[], %(version)b::bigint[])
    with ordinality as q (consumer, secret_id, name, environment, version, n)
{_TENANT}
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
{_REACHED}
left join lateral (select * from secrets.value_version x
    where x.tenant_id = %(tenant)b and x.secret_id = s.id and x.environment_id = e.id
      and x.value_version = case when q.version > 0 then q.version else c.value_version end
    limit 1) v on c.value_version is not null
left join lateral (select x.id, x.wrapped, x.key_version from secrets.data_key x
    where x.tenant_id = %(tenant)b and x.id = v.data_key_id limit 1) k on true
order by q.n
"""  # noqa: S608 - constants
# By the ids that were read: a secret that was renamed meanwhile is still the one that was asked for. A value
# that was stored has its data key, or its foreign key would not hold; a rewrap leaves the key its id.
_STILL: Final = f"""
select known.yes and active.yes, allowed.yes, s.deleted_at is not null,
    v.value_version is not null, s.strict_expiry_enforcement,
    coalesce(c.expires_at_override, s.expires_at, v.certificate_expires_at),
    v.certificate_expires_at
from unnest(%(consumer)b::text[], %(secret)b::uuid[], %(environment)b::uuid[],
        %(version)b::bigint[], %(data_key)b::uuid[])
    with ordinality as q (consumer, secret, environment, version, data_key, n)
{_TENANT}
left join lateral (select * from secrets.secret x
    where x.tenant_id = %(tenant)b and x.id = q.secret limit 1) s on known.yes
left join lateral (select x.id, x.name from secrets.environment x
    where x.tenant_id = %(tenant)b and x.id = q.environment limit 1) e on true
{_REACHED}
left join lateral (select x.value_version, x.certificate_expires_at from secrets.value_version x
    where x.tenant_id = %(tenant)b and x.secret_id = s.id and x.environment_id = e.id
      and x.value_version = q.version and x.data_key_id = q.data_key
    limit 1) v on c.value_version is not null
order by q.n
"""  # noqa: S608 - constants


class _TakenAwayError(Exception):
    """Some accesses are not allowed any more: undoes the transaction."""

    def __init__(self, found: Sequence[Withheld | None]) -> None:
        super().__init__()
        self.found = found


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
        self, tenant_id: UUID, accesses: Sequence[tuple[Question, SealedAnswer]], now: datetime
    ) -> list[Withheld | None]:
        """As `ports.Accesses.record`. Tries again without what was taken away, if anything was."""
        outcomes: list[Withheld | None] = [None] * len(accesses)
        while places := [place for place, found in enumerate(outcomes) if found is None]:
            left = [accesses[place] for place in places]
            entries = [(question.call, _event(answer)) for question, answer in left]
            try:
                async with self._database.tenant(tenant_id) as connection:
                    await audit.append_each(connection, tenant_id, entries)
                    await _require_all(connection, tenant_id, left, now)
            except _TakenAwayError as error:
                for place, found in zip(places, error.found, strict=True):
                    outcomes[place] = found
            else:
                break
        return outcomes


async def _require_all(
    connection: Connection,
    tenant_id: UUID,
    accesses: Sequence[tuple[Question, SealedAnswer]],
    now: datetime,
) -> None:
    answers = [answer for _, answer in accesses]
    parameters = {
        "tenant": tenant_id,
        "consumer": [question.consumer for question, _ in accesses],
        "secret": [answer.secret_id for answer in answers],
        "environment": [answer.environment.id for answer in answers],
        "version": [Int8(answer.value_version) for answer in answers],
        "data_key": [answer.value.key.id for answer in answers],
    }
    cursor = connection.cursor(binary=True)
    await cursor.execute(_STILL, parameters, prepare=True)
    found = [_still(now, *row) for row in await cursor.fetchall()]
    if any(withheld is not None for withheld in found):
        raise _TakenAwayError(found)


def _still(now: datetime, *row: Any) -> Withheld | None:
    *standing, strict, expires_at, certificate_expires_at = row
    withheld = _withheld(*standing)
    if withheld is not None:
        return withheld
    expired = is_withheld(
        strict=strict, expires_at=expires_at, certificate_expires_at=certificate_expires_at, now=now
    )
    return Withheld.EXPIRED if expired else None


def _withheld(
    granted: bool | None, allowed: bool | None, is_deleted: bool, is_there: bool
) -> Withheld | None:
    if not granted:
        return Withheld.NO_GRANT
    if allowed and is_deleted:
        return Withheld.DELETED
    return None if allowed and is_there else Withheld.NOT_FOUND


def _answer(granted: bool | None, *row: Any) -> SealedAnswer | Withheld:
    (
        secret_id, name, kind, environment_id, environment, is_default, value_version,
        certificate_type, certificate_expires_at, expires_at, strict, data_key_id, wrapped,
        key_version, *sealed, allowed, is_deleted,
    ) = row  # fmt: skip
    withheld = _withheld(granted, allowed, is_deleted, data_key_id is not None)
    if withheld is not None:
        return withheld
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
