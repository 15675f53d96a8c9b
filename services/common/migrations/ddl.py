"""The few phrases that every migration is written in.

Three kinds of roles keep tenants apart in the database itself:

- `coffer_owner` owns the tables and cannot log in. Row-level security is forced, so that even it sees
  no row.
- `coffer_functions` owns the SECURITY DEFINER functions and cannot log in. Policies and grants give it
  just what those functions need.
- one login role for each service, that owns nothing and is held to the transaction's tenant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import sqlalchemy as sa
from alembic import op

if TYPE_CHECKING:
    from collections.abc import Sequence

OWNER: Final = "coffer_owner"
FUNCTIONS: Final = "coffer_functions"

TENANT: Final = "nullif(current_setting('coffer.tenant_id', true), '')::uuid"
"""The transaction's tenant. Once set the setting is '' and not NULL after a transaction, hence nullif."""


def as_owner(*statements: str) -> None:
    """Run DDL so that `coffer_owner` owns what it makes."""
    _run_as(OWNER, statements)


def as_functions(*statements: str) -> None:
    """Run DDL so that `coffer_functions` owns what it makes."""
    _run_as(FUNCTIONS, statements)


def isolate(table: str) -> None:
    """Force row-level security on `table` (schema.name): only rows of the transaction's tenant."""
    as_owner(
        f"alter table {table} enable row level security",
        f"alter table {table} force row level security",
        f"create policy tenant on {table} using (tenant_id = {TENANT}) with check (tenant_id = {TENANT})",
    )


def index(name: str, table: str, what: str, *, unique: bool = False) -> None:
    """Make the index `name` on `table` (schema.name) over `what`, while others go on writing.

    Not in a transaction, so it comes first in a revision: what is before it would be committed with it, and
    a revision that failed begins anew. One that was left half-made is made again.
    """
    kind = "unique index" if unique else "index"
    _concurrently(
        f"drop index concurrently if exists {table.partition('.')[0]}.{name}",
        f"create {kind} concurrently {name} on {table} {what}",
    )


def drop_index(name: str) -> None:
    """Drop the index `name` (schema.name) while others go on; as `index`, not in a transaction."""
    _concurrently(f"drop index concurrently if exists {name}")


def _concurrently(*statements: str) -> None:
    """Nobody has to wait for who waits here: so it may take as long as the longest transaction of others."""
    with op.get_context().autocommit_block():
        op.execute("set lock_timeout = 0")
        op.execute(f"set role {OWNER}")
        for statement in statements:
            op.execute(statement)
        op.execute("reset role")
        op.execute("reset lock_timeout")


def one_by_one(*statements: str) -> None:
    """Run DDL as `coffer_owner`, each statement a transaction: what it locks is free again at once.

    Each must be one that may run twice, since a revision that failed begins anew.
    """
    with op.get_context().autocommit_block():
        op.execute(f"set role {OWNER}")
        for statement in statements:
            op.execute(statement)
        op.execute("reset role")


def backfill(statement: str) -> None:
    """Run an UPDATE of a bounded number of rows for each tenant, until it finds none; each a transaction.

    It must not find again what it has updated. It runs as the owner, held to the tenant by row-level
    security, as everybody is.
    """
    with op.get_context().autocommit_block():
        connection = op.get_bind()
        op.execute("set role coffer_cli")
        tenants = (
            connection.execute(sa.text("select tenant_id from tenancy.tenant")).scalars().all()
        )
        op.execute(f"set role {OWNER}")
        for tenant in tenants:
            held = sa.text("select set_config('coffer.tenant_id', :tenant, false)")
            connection.execute(held, {"tenant": str(tenant)})
            while connection.execute(sa.text(statement)).rowcount:
                pass
        op.execute("reset coffer.tenant_id")
        op.execute("reset role")


def grant(table: str, role: str, rights: str) -> None:
    """Give `role` the `rights` (such as `select, insert`) on `table`, within its policies."""
    as_owner(f"grant {rights} on {table} to {role}")


def admit(table: str, role: str, rights: str) -> None:
    """Give `role` the `rights` on `table` across tenants: for background roles and functions only."""
    name = role.removeprefix("coffer_")
    as_owner(
        f"grant {rights} on {table} to {role}",
        f"create policy {name} on {table} to {role} using (true) with check (true)",
    )


def idempotency_table(schema: str, role: str, cleaner: str) -> None:
    """Make `<schema>.idempotency`, the rows of requests that brought an idempotency key, for `role`.

    A row is claimed (neither `reply` nor `refusal`) or kept (one of them): services.common.idempotency.
    `cleaner` may remove what is older than 24 hours, of all tenants, and sees nothing of it.
    """
    table = f"{schema}.idempotency"
    as_owner(
        f"""
        create table {table} (
            tenant_id uuid not null,
            key text not null check (length(key) between 1 and 255),
            fingerprint bytea not null,
            owner uuid not null,
            claimed_until timestamptz not null,
            created_at timestamptz not null default clock_timestamp(),
            reply bytea,
            refusal bytea,
            primary key (tenant_id, key),
            check (reply is null or refusal is null)
        )
        """,
        f"create index idempotency_age on {table} (created_at)",
    )
    isolate(table)
    grant(table, role, "select, insert, update, delete")
    admit(table, FUNCTIONS, "select, update, delete")  # who locks rows needs the right to update
    define(
        f"{schema}.clear_idempotency(p_limit integer)",
        f"""
        returns integer language sql as $$
            with gone as (
                delete from {table} i using (
                    select o.tenant_id, o.key from {table} o
                    where o.created_at <= now() - interval '24 hours'
                    order by o.created_at limit p_limit for update skip locked
                ) as old
                where i.tenant_id = old.tenant_id and i.key = old.key
                returning 1
            )
            select count(*)::integer from gone
        $$
        """,  # noqa: S608 - constants
        callers=(cleaner,),
    )


def define(signature: str, body: str, *, callers: Sequence[str]) -> None:
    """Make a SECURITY DEFINER function that only `callers` may execute.

    `signature` is `schema.name(parameter type, ...)`; `body` is everything from `returns` on.
    """
    arguments = signature[signature.index("(") + 1 : signature.rindex(")")]
    types = ", ".join(part.split(maxsplit=1)[1] for part in arguments.split(", ") if part)
    name = f"{signature[: signature.index('(')]}({types})"
    as_functions(
        f"create function {signature} {body}",
        f"alter function {name} security definer",
        f"alter function {name} set search_path = pg_catalog, pg_temp",
        f"revoke all on function {name} from public",
        *(f"grant execute on function {name} to {caller}" for caller in callers),
    )


def _run_as(role: str, statements: Sequence[str]) -> None:
    op.execute(f"set local role {role}")
    for statement in statements:
        op.execute(statement)
    op.execute("reset role")
