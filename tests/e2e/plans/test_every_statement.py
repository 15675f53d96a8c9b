"""Whatever a service asks of the database is found by the tenant, also when tables are large.

So one tenant's cost is not another's, and the same schema distributes by tenant. What is looked at is not a
list of statements: it is what the services really send in a day's work, as the server plans it, with what
is inside of its functions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
import pytest

from services.common.migrations.runner import PLANS
from tests.e2e.plans.crowd import settle_among
from tests.e2e.plans.day import a_day
from tests.e2e.plans.listening import LISTENING, Heard, heard, listen
from tests.e2e.plans.node_trees import Look, looks, sorted_rows
from tests.fixtures.stack import RunningStack, running_stack

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SETTINGS = {"COFFER_SECRETS_PURGE_SECONDS": "0.3", "COFFER_REWRAP_DISPATCH_SECONDS": "0.3"}
ACROSS_TENANTS = {
    "tenancy.api_key_sha256_key": "who a caller is: the one look-up that finds out the tenant",
    "rewrap.lease_live": "which leases are alive: the dispatcher, every few seconds",
    "secrets.secret_overdue": "what was deleted long ago: the purge, once a minute",
    "secrets.environment_closed": "deletions that were cut off: the same",
    "secrets.idempotency_age": "replies of yesterday: the same",
    "kms.idempotency_age": "the same",
    "rewrap.idempotency_age": "the same",
}
"""The indexes that may be walked without the tenant, and what for."""
NOT_FIRST = {
    "secrets.value_version_data_key": "few values of a key, many of a tenant: never planned as the latter",
    "secrets.secret_overdue": "what the purge found there, once more, held to one tenant",
}
"""Those in which the tenant is not the first column. It must be in the condition."""
FEW = (
    "kms.binding",
    "kms.master_key",
    "secrets.collection",
    "secrets.environment",
    "tenancy.api_key",
)
"""Of these a tenant has few enough to go through them for something else."""
LARGEST_SORT = 1_000
HOT_TABLES = (
    "audit.event",
    "audit.head",
    "kms.master_key",
    "rewrap.lane",
    "rewrap.lease",
    "secrets.data_key",
    "secrets.idempotency",
    "secrets.secret",
    "secrets.value_version",
    "tenancy.api_key",
)
FUNCTIONS = (
    "audit.append",
    "kms.hold_active",
    "rewrap.end_pass",
    "rewrap.issue_lease",
    "rewrap.lease_report",
    "rewrap.record_batch",
    "rewrap.record_verified",
    "secrets.census",
)
"""That these are reached shows that we listened."""


@pytest.fixture(scope="module")
def stack() -> Iterator[RunningStack]:
    with running_stack(SETTINGS) as made:
        yield made


@pytest.fixture(scope="module")
def plans(stack: RunningStack) -> list[Heard]:
    """Of a day in a large house."""
    first = stack.tenant()
    a_day(stack, first)
    settle_among(stack, first)
    listen(stack)
    a_day(stack, stack.tenant())
    return heard(stack)


@pytest.fixture(scope="module")
def tables(stack: RunningStack) -> dict[int, str]:
    """Those that hold tenants' rows."""
    rows = stack.rows(
        "select c.oid::bigint, format('%I.%I', n.nspname, c.relname) from pg_class c"
        " join pg_namespace n on n.oid = c.relnamespace"
        " join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id'"
        " where c.relkind = 'r' and not a.attisdropped"
    )
    return {int(oid): str(name) for oid, name in rows}


@dataclass(frozen=True, slots=True)
class Index:
    """An index as the catalogue has it; columns from 1."""

    name: str
    tenant: int | None
    columns: int

    def serves(self, look: Look) -> bool:
        """Whether a look by it is one that begins with the tenant, or may be another."""
        if self.tenant in look.columns:
            return self.tenant == 1 or self.name in NOT_FIRST
        return self.name in ACROSS_TENANTS

    def searches(self, look: Look) -> bool:
        """Whether a look by it goes through all rows of a tenant, again and again or for one of them."""
        is_whole = look.bound == {self.tenant} and self.columns > 1
        return is_whole and (look.repeated or look.sifted)


@pytest.fixture(scope="module")
def indexes(stack: RunningStack) -> dict[int, Index]:
    """Every index, and where the tenant is in it."""
    rows = stack.rows(
        "select i.indexrelid::bigint, format('%I.%I', n.nspname, c.relname), min(k.n), i.indnkeyatts"
        " from pg_index i join pg_class c on c.oid = i.indexrelid"
        " join pg_namespace n on n.oid = c.relnamespace"
        " left join (pg_attribute a cross join generate_series(1, 8) k (n))"
        "   on a.attrelid = i.indrelid and a.attname = 'tenant_id' and i.indkey[k.n - 1] = a.attnum"
        " group by 1, 2, 4"
    )
    return {oid: Index(name, tenant, columns) for oid, name, tenant, columns in rows}


def faults(one: Heard, tables: dict[int, str], indexes: dict[int, Index]) -> Iterator[str]:
    """What a plan does that costs more when other tenants have more."""
    for look in looks(one.plan):
        if look.table not in tables:
            continue
        if look.index is None:
            yield f"{tables[look.table]} from end to end in {one}"
        elif not indexes[look.index].serves(look):
            yield f"{tables[look.table]} by {indexes[look.index].name} in {one}"
        elif tables[look.table] not in FEW and indexes[look.index].searches(look):
            yield f"all of a tenant's {tables[look.table]} for something else in {one}"


def test_every_look_at_a_tenants_rows_begins_with_the_tenant(
    plans: list[Heard], tables: dict[int, str], indexes: dict[int, Index]
) -> None:
    wrong = {fault for one in plans for fault in faults(one, tables, indexes)}
    assert not wrong, "\n\n".join(sorted(wrong))
    reached = {tables[look.table] for one in plans for look in looks(one.plan)
               if look.table in tables}  # fmt: skip
    assert set(HOT_TABLES) <= reached
    inside = " ".join(one.within for one in plans)
    assert [name for name in FUNCTIONS if name not in inside] == []


def test_nothing_is_sorted_that_is_more_than_a_page(plans: list[Heard]) -> None:
    wrong = [f"{rows:g} rows in {one}" for one in plans for rows in sorted_rows(one.plan)
             if rows > LARGEST_SORT]  # fmt: skip
    assert not wrong, "\n\n".join(wrong)


@pytest.mark.parametrize(
    "statement",
    [
        "select from secrets.secret where name = 'of whom'",
        "update secrets.data_key set wrapped = '' where id = gen_random_uuid()",
        "select from rewrap.lane where lease_id = 1 order by lane",
        (
            "update secrets.data_key d set wrapped = m.fresh"
            " from (select gen_random_uuid() as id, ''::bytea as fresh from generate_series(1, 9)"
            " offset 0) m where d.tenant_id = '00000000-0000-4000-8000-000000000000' and d.id = m.id"
        ),
    ],
)
def test_who_forgets_the_tenant_or_goes_through_all_of_one_is_noticed(
    stack: RunningStack,
    plans: list[Heard],
    tables: dict[int, str],
    indexes: dict[int, Index],
    statement: str,
) -> None:
    """Row-level security adds the tenant to what a service forgets; here nobody does."""
    with psycopg.connect(stack.stack.admin_dsn) as connection:
        for name, value in LISTENING.items():
            connection.execute(f"set local {name} = '{value}'".encode())
        for setting in PLANS:
            connection.execute(f"set local {setting}".encode())
        connection.execute(statement.encode())
        connection.rollback()
    (one,) = [one for one in heard(stack, ["postgres"]) if one.statement == statement]
    assert [*faults(one, tables, indexes)]
