"""Secrets as they are shown: never a value, so no key is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from services.common import audit
from services.secrets.model import (
    DEFAULT_ENVIRONMENT,
    Environment,
    EnvironmentValue,
    SecretRow,
    Standing,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from services.common.database import Connection
    from services.common.identity import Call

COLUMNS: Final = """
    s.id, s.name, s.description, e.name, s.secret_type, s.collection_id,
    coalesce(s.expires_at, s.certificate_expires_at), s.strict_expiry_enforcement,
    s.created_at, s.updated_at, s.certificate_type, s.metadata, s.deleted_at,
    (select count(*) from secrets.secret_environment v where v.tenant_id = s.tenant_id
        and v.secret_id = s.id and v.deleted_at is null),
    (select v.value_version from secrets.secret_environment v where v.tenant_id = s.tenant_id
        and v.secret_id = s.id and v.environment_id = s.base_environment_id)
"""
"""What `row_of` takes; `s` is the secret and `e` its base environment."""
BASE: Final = """
join secrets.environment e on e.tenant_id = s.tenant_id and e.id = s.base_environment_id
"""
# Whether it is deleted is looked at afterwards: asked for here, it would let the planner take the index of
# live names for as good as the key where nothing is stored yet, and plans are kept.
_GET: Final = f"""
select {COLUMNS} from secrets.secret s {BASE}
where s.tenant_id = %(tenant)s and s.id = %(secret)s
"""  # noqa: S608 - a constant
# One statement: a secret and its environments are of one moment. Another environment's certificate expires
# when it does, unless the secret has an expiry of its own.
_DETAIL: Final = f"""
select x.names, x.versions, x.moments, x.expiries, {COLUMNS}
from secrets.secret s {BASE}
cross join lateral (
    select array_agg(n.name order by n.name collate "C") as names,
        array_agg(v.value_version order by n.name collate "C") as versions,
        array_agg(v.updated_at order by n.name collate "C") as moments,
        array_agg(coalesce(v.expires_at_override, case when s.expires_at is null
            then nullif(c.certificate_expires_at, s.certificate_expires_at) end)
            order by n.name collate "C") as expiries
    from secrets.secret_environment v
    join secrets.environment n on n.tenant_id = v.tenant_id and n.id = v.environment_id
    left join secrets.value_version c on c.tenant_id = v.tenant_id and c.secret_id = v.secret_id
        and c.environment_id = v.environment_id and c.value_version = v.value_version
    where v.tenant_id = %(tenant)s and v.secret_id = %(secret)s and v.deleted_at is null
) x
where s.tenant_id = %(tenant)s and s.id = %(secret)s
"""  # noqa: S608 - a constant
# `num_nulls`: see `updates`.
_STANDING: Final = """
select s.name, s.secret_type, e.id, e.name, e.is_default, coalesce(v.value_version, 0),
    v.value_version is not null and v.deleted_at is null
from secrets.secret s
left join secrets.environment e on e.tenant_id = s.tenant_id
    and case when %(environment)s::text is null then e.id = s.base_environment_id
        else e.name = %(environment)s::text end and e.closed_at is null
left join secrets.secret_environment v on v.tenant_id = s.tenant_id and v.secret_id = s.id
    and v.environment_id = e.id
where s.tenant_id = %(tenant)s and s.id = %(secret)s and num_nulls(s.deleted_at) = 1
"""
_ENVIRONMENT: Final = """
select id, name, is_default from secrets.environment
where tenant_id = %(tenant)s and closed_at is null
  and case when %(name)s::text is null then is_default else name = %(name)s::text end
"""
_FIRST_ENVIRONMENT: Final = """
insert into secrets.environment (tenant_id, id, name, display_name, is_default)
values (%(tenant)s, gen_random_uuid(), %(default)s, initcap(%(default)s), true)
on conflict do nothing
returning id
"""


async def environment(
    connection: Connection, tenant_id: UUID, name: str | None, call: Call
) -> Environment | None:
    """As `ports.Secrets.environment`. Two first uses at once make one environment, and one event."""
    parameters = {"tenant": tenant_id, "name": name, "default": DEFAULT_ENVIRONMENT}
    for is_last in (False, True):
        row = await (await connection.execute(_ENVIRONMENT, parameters, prepare=True)).fetchone()
        if row is not None:
            return Environment(*row)
        if is_last or name not in {None, DEFAULT_ENVIRONMENT}:
            break
        made = await (await connection.execute(_FIRST_ENVIRONMENT, parameters)).fetchone()
        if made is not None:
            details = {"name": DEFAULT_ENVIRONMENT, "is_default": True}
            event = audit.Event("environment.created", "environment", str(made[0]), details)
            await audit.append(connection, tenant_id, call, [event])
    return None


async def get(
    connection: Connection, tenant_id: UUID, secret_id: UUID
) -> tuple[SecretRow, tuple[EnvironmentValue, ...]] | None:
    """As `ports.Secrets.get`."""
    parameters = {"tenant": tenant_id, "secret": secret_id}
    row = await (await connection.execute(_DETAIL, parameters, prepare=True)).fetchone()
    if row is None:
        return None
    found = row_of(row[4:])
    if found.deleted_at is not None:
        return None
    columns = [column or () for column in row[:4]]
    return found, tuple([EnvironmentValue(*value) for value in zip(*columns, strict=True)])


async def live_row(connection: Connection, tenant_id: UUID, secret_id: UUID) -> SecretRow | None:
    """A live secret as it is shown, as of now in this transaction."""
    parameters = {"tenant": tenant_id, "secret": secret_id}
    row = await (await connection.execute(_GET, parameters, prepare=True)).fetchone()
    found = None if row is None else row_of(row)
    return None if found is None or found.deleted_at is not None else found


async def standing(
    connection: Connection, tenant_id: UUID, secret_id: UUID, name: str | None
) -> Standing | None:
    """As `ports.Secrets.standing`."""
    parameters = {"tenant": tenant_id, "secret": secret_id, "environment": name}
    row = await (await connection.execute(_STANDING, parameters, prepare=True)).fetchone()
    if row is None:
        return None
    found = None if row[2] is None else Environment(*row[2:5])
    return Standing(row[0], row[1], found, row[5], row[6])


def row_of(row: Sequence[Any]) -> SecretRow:
    """What is shown of a row of `COLUMNS`."""
    (
        secret_id, name, description, base, kind, collection_id, expires_at, strict,
        created_at, updated_at, certificate_type, metadata, deleted_at, environments, version,
    ) = row  # fmt: skip
    return SecretRow(
        id=secret_id,
        name=name,
        description=description,
        base_environment=base,
        environment_count=environments,
        secret_type=kind,
        collection_id=collection_id,
        expires_at=expires_at,
        strict_expiry_enforcement=strict,
        value_version=version,
        created_at=created_at,
        updated_at=updated_at,
        certificate_type=certificate_type,
        metadata=metadata,
        deleted_at=deleted_at,
    )
