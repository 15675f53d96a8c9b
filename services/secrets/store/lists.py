"""Lists of secrets, by pages and in pieces.

First the ids of a part are found, along an index where the order has one: `secret_live_name`,
`secret_created`, `secret_expires`. Only then is anything counted or fetched for them, so that what is passed
over costs an index entry each. By base environment there is no index: environments are few, and all secrets
of the tenant are sorted. All in one statement: the rows and their total are of one moment.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final, cast

from services.secrets.cursors import MARK_BYTES
from services.secrets.listing import RESTORABLE_DAYS, Filters, Page, Piece
from services.secrets.store.reads import BASE, COLUMNS, row_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from services.common.database import Connection
    from services.secrets.listing import Listing

RESTORABLE: Final = f"deleted_at > now() - interval '{RESTORABLE_DAYS} days'"
"""Of a deleted secret: not purged yet, nor about to be."""
# What a secret expires by, as the index secret_expires has it. Not coalesce(): the planner takes that for
# something that may leak, and row-level security then keeps it out of the index's conditions.
_EXPIRY: Final = """
    (case when s.expires_at is not null then s.expires_at
        when s.certificate_expires_at is not null then s.certificate_expires_at
        else 'infinity'::timestamptz end)
"""
_STATES: Final = {
    False: "s.tenant_id = %(tenant)s and s.deleted_at is null",
    True: f"s.tenant_id = %(tenant)s and s.{RESTORABLE}",
}
_FILTERS: Final = {
    "secret_type": "s.secret_type = %(secret_type)s",
    "collection_id": "s.collection_id = %(collection_id)s",
    "environment": """exists (select from secrets.secret_environment v
        where v.tenant_id = s.tenant_id and v.secret_id = s.id and v.deleted_at is null
          and v.environment_id = (select f.id from secrets.environment f
            where f.tenant_id = %(tenant)s and f.name = %(environment)s))""",
    # Not LIKE: nothing in the text is a pattern.
    "search": "strpos(s.name, %(search)s) > 0",
    "expires_before": f"{_EXPIRY} < %(expires_before)s and {_EXPIRY} > '-infinity'",
}
_KEYS: Final = {
    "name": ("s.name", "%(key)s::text"),
    "created_at": ("s.created_at", "%(key)s::timestamptz"),
    "base_environment": ('(e.name collate "C")', "%(key)s::text"),
    "expires_at": (_EXPIRY, "%(key)s::timestamptz"),
}
"""What each order sorts by, and the same of the row that a piece goes on after."""
_ALWAYS: Final = {
    "created_at": "s.created_at > '-infinity'",
    "expires_at": f"{_EXPIRY} > '-infinity'",
}
"""Conditions of indexes that only lists are to use; every row meets them."""
# What the order by base environment depends on beside the secrets.
_ENVIRONMENTS: Final = f"""
select substr(sha256(convert_to(coalesce(string_agg(e.id || e.name, ' ' order by e.id), ''),
    'UTF8')), 1, {MARK_BYTES})
from secrets.environment e where e.tenant_id = %(tenant)s
"""  # noqa: S608 - a constant
_LIVE_SECRETS: Final = """
select coalesce((select live_secrets from secrets.usage where tenant_id = %(tenant)s), 0)
"""


async def list_(connection: Connection, tenant_id: UUID, listing: Listing) -> Page:
    """As `ports.Secrets.list`: no expiry counts as later than any, ids break ties."""
    finding, parameters = query(tenant_id, listing)
    cursor = await connection.execute(cast("Any", finding), parameters, prepare=False)
    return page_of(await cursor.fetchall(), listing)


def page_of(found: Sequence[tuple[Any, ...]], listing: Listing) -> Page:
    """What the rows of `query` say. There is one at least, without a number when no secret was found."""
    total, environments = found[0][:2]
    rows = tuple([row_of(row) for _, _, number, *row in found if number is not None])
    if not isinstance(listing.part, Piece):
        return Page(rows, total)
    limit = listing.part.limit
    return Page(rows[:limit], has_more=len(rows) > limit, environments=environments)


def query(tenant_id: UUID, listing: Listing) -> tuple[str, dict[str, Any]]:
    """The rows of the part, each with how many there are in all if that is asked; and the parameters."""
    filters = listing.filters
    parameters: dict[str, Any] = {"tenant": tenant_id}
    where = [_STATES[filters.deleted]]
    for field in fields(Filters):
        value = getattr(filters, field.name)
        if field.name in _FILTERS and value is not None:
            parameters[field.name] = value
            where.append(_FILTERS[field.name])
    filtered = " and ".join(where)
    if listing.sort in _ALWAYS:
        where.append(_ALWAYS[listing.sort])
    key, after = _KEYS[listing.sort]
    direction, beyond = ("desc", "<") if listing.descending else ("asc", ">")
    part = listing.part
    if isinstance(part, Piece):
        size, skipped = part.limit + 1, 0
        if part.after is not None:
            where.append(f"({key}, s.id) {beyond} ({after}, %(after)s::uuid)")
            parameters |= {"key": part.after.key, "after": part.after.id}
    else:
        size, skipped = part.per_page, part.offset
    in_pieces = isinstance(listing.part, Piece)
    total = "null" if in_pieces else _total(filters, filtered, size, skipped)
    mark = f"({_ENVIRONMENTS})" if in_pieces and listing.by_environment else "''::bytea"
    # Constants of this module and two numbers; what the client sent is in the parameters. The numbers are
    # not: a plan for any limit would sort all that the tenant has. Such a statement's plan is not kept.
    base = BASE if listing.sort == "base_environment" else ""
    finding = f"""
    with part as materialized (
        select s.tenant_id, s.id from secrets.secret s {base} where {" and ".join(where)}
        order by {key} {direction}, s.id {direction} limit {int(size)} offset {int(skipped)}
    )
    select {total}, {mark}, shown.* from (select) nothing left join (
        select row_number() over (order by {key} {direction}, s.id {direction}) as number, {COLUMNS}
        from part join secrets.secret s using (tenant_id, id) {BASE}
    ) shown on true
    order by shown.number
    """  # noqa: S608
    return finding, parameters


def _total(filters: Filters, filtered: str, size: int, skipped: int) -> str:
    """The count of all live secrets is kept; any other is made, unless the page is the last and tells it."""
    if filters.is_none:
        return f"({_LIVE_SECRETS})"
    return f"""
    (select case when here.rows < {size} and (here.rows > 0 or {skipped} = 0)
            then {skipped} + here.rows
        else (select count(*) from secrets.secret s where {filtered}) end
    from (select count(*) as rows from part) here)
    """  # noqa: S608
