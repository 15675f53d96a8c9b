"""Secrets as they are shown: never a value, so no key is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from services.secrets.model import (
    DEFAULT_ENVIRONMENT,
    Environment,
    EnvironmentValue,
    Page,
    SecretRow,
    Standing,
)

if TYPE_CHECKING:
    from uuid import UUID

    from services.common.database import Connection
    from services.secrets.model import Listing

# What a secret expires by; as the index secret_expiry has it.
_EXPIRY: Final = "coalesce(s.expires_at, s.certificate_expires_at)"
_ROW: Final = """
select s.id, s.name, s.description, e.name, s.secret_type, s.collection_id,
    coalesce(s.expires_at, s.certificate_expires_at), s.strict_expiry_enforcement,
    s.created_at, s.updated_at, s.certificate_type, s.metadata,
    (select count(*) from secrets.secret_environment v where v.tenant_id = s.tenant_id
        and v.secret_id = s.id and v.deleted_at is null),
    (select v.value_version from secrets.secret_environment v where v.tenant_id = s.tenant_id
        and v.secret_id = s.id and v.environment_id = s.base_environment_id)
from secrets.secret s
join secrets.environment e on e.tenant_id = s.tenant_id and e.id = s.base_environment_id
"""
_LIVE: Final = "where s.tenant_id = %(tenant)s and s.deleted_at is null"
_GET: Final = f"{_ROW} {_LIVE} and s.id = %(secret)s"
# Another environment's certificate expires when it does, unless the secret has an expiry of its own.
_ENVIRONMENTS: Final = """
select e.name, v.value_version, v.updated_at,
    coalesce(v.expires_at_override, case when s.expires_at is null
        then nullif(c.certificate_expires_at, s.certificate_expires_at) end)
from secrets.secret_environment v
join secrets.secret s on s.tenant_id = v.tenant_id and s.id = v.secret_id
join secrets.environment e on e.tenant_id = v.tenant_id and e.id = v.environment_id
left join secrets.value_version c on c.tenant_id = v.tenant_id and c.secret_id = v.secret_id
    and c.environment_id = v.environment_id and c.value_version = v.value_version
where v.tenant_id = %(tenant)s and v.secret_id = %(secret)s and v.deleted_at is null
order by e.name collate "C"
"""
_FILTERS: Final = {
    "secret_type": "s.secret_type = %(secret_type)s",
    "collection_id": "s.collection_id = %(collection_id)s",
    "environment": """exists (select from secrets.secret_environment v
        join secrets.environment f on f.tenant_id = v.tenant_id and f.id = v.environment_id
        where v.tenant_id = s.tenant_id and v.secret_id = s.id and v.deleted_at is null
          and f.name = %(environment)s)""",
    # Not LIKE: nothing in the text is a pattern.
    "search": "strpos(s.name, %(search)s) > 0",
    "expires_before": f"{_EXPIRY} < %(expires_before)s",
}
_ORDERS: Final = {
    "name": 's.name collate "C"',
    "created_at": "s.created_at",
    "base_environment": 'e.name collate "C"',
    "expires_at": _EXPIRY,
}
_STANDING: Final = """
select s.name, s.secret_type, e.id, e.name, e.is_default, coalesce(v.value_version, 0)
from secrets.secret s
left join secrets.environment e on e.tenant_id = s.tenant_id
    and case when %(environment)s::text is null then e.id = s.base_environment_id
        else e.name = %(environment)s::text end
left join secrets.secret_environment v on v.tenant_id = s.tenant_id and v.secret_id = s.id
    and v.environment_id = e.id
where s.tenant_id = %(tenant)s and s.id = %(secret)s and s.deleted_at is null
"""
_ENVIRONMENT: Final = """
select id, name, is_default from secrets.environment
where tenant_id = %(tenant)s
  and case when %(name)s::text is null then is_default else name = %(name)s::text end
"""
_FIRST_ENVIRONMENT: Final = """
insert into secrets.environment (tenant_id, id, name, display_name, is_default)
values (%(tenant)s, gen_random_uuid(), %(default)s, initcap(%(default)s), true)
on conflict do nothing
"""


async def environment(
    connection: Connection, tenant_id: UUID, name: str | None
) -> Environment | None:
    """As `ports.Secrets.environment`. Two first uses at once make one environment."""
    parameters = {"tenant": tenant_id, "name": name, "default": DEFAULT_ENVIRONMENT}
    for is_last in (False, True):
        row = await (await connection.execute(_ENVIRONMENT, parameters, prepare=True)).fetchone()
        if row is not None:
            return Environment(*row)
        if is_last or name not in {None, DEFAULT_ENVIRONMENT}:
            break
        await connection.execute(_FIRST_ENVIRONMENT, parameters)
    return None


async def get(
    connection: Connection, tenant_id: UUID, secret_id: UUID
) -> tuple[SecretRow, tuple[EnvironmentValue, ...]] | None:
    """As `ports.Secrets.get`."""
    parameters = {"tenant": tenant_id, "secret": secret_id}
    row = await (await connection.execute(_GET, parameters, prepare=True)).fetchone()
    if row is None:
        return None
    cursor = await connection.execute(_ENVIRONMENTS, parameters, prepare=True)
    return _row(row), tuple([EnvironmentValue(*found) async for found in cursor])


async def list_(connection: Connection, tenant_id: UUID, listing: Listing) -> Page:
    """As `ports.Secrets.list`: no expiry counts as later than any, ids break ties."""
    counting, paging, parameters = queries(tenant_id, listing)
    total = await (await connection.execute(cast("Any", counting), parameters)).fetchone()
    cursor = await connection.execute(cast("Any", paging), parameters, prepare=False)
    rows = tuple([_row(row) async for row in cursor])
    return Page(rows, total[0] if total else 0)


def queries(tenant_id: UUID, listing: Listing) -> tuple[str, str, dict[str, Any]]:
    """How many rows there are in all, and those of the page; and the parameters of both."""
    parameters = {name: getattr(listing, name) for name in _FILTERS} | {
        "tenant": tenant_id,
    }
    filters = [text for name, text in _FILTERS.items() if parameters[name] is not None]
    where = " and ".join([_LIVE, *filters])
    direction = "desc" if listing.descending else "asc"
    order = f"order by {_ORDERS[listing.sort]} {direction}, s.id {direction}"
    # Constants of this module and two numbers; what the client sent is in the parameters. The numbers are
    # not: a plan for any limit would sort all that the tenant has. Such a statement's plan is not kept.
    size, skipped = int(listing.per_page), int((listing.page - 1) * listing.per_page)
    counting = f"select count(*) from secrets.secret s {where}"  # noqa: S608
    return counting, f"{_ROW} {where} {order} limit {size} offset {skipped}", parameters


async def standing(
    connection: Connection, tenant_id: UUID, secret_id: UUID, name: str | None
) -> Standing | None:
    """As `ports.Secrets.standing`."""
    parameters = {"tenant": tenant_id, "secret": secret_id, "environment": name}
    row = await (await connection.execute(_STANDING, parameters, prepare=True)).fetchone()
    if row is None:
        return None
    found = None if row[2] is None else Environment(*row[2:5])
    return Standing(row[0], row[1], found, row[5])


def _row(row: tuple[Any, ...]) -> SecretRow:
    (
        secret_id, name, description, base, kind, collection_id, expires_at, strict,
        created_at, updated_at, certificate_type, metadata, environments, version,
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
    )
