"""Hot statements find every row by its key: on an empty database, a full one, and one never analyzed.

A plan is kept for the life of a connection, so one that was made for an empty table must serve a full one.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from services.common.idempotency import store as idempotency
from services.secrets.store import (
    accesses,
    changes,
    creates,
    data_keys,
    erasing,
    overdue,
    purges,
    reads,
    updates,
    verifying,
    versions,
)
from tests.fixtures.database import fresh_database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fixtures.database import TestServer

STATEMENTS = {
    "read a value": accesses._READ,
    "may still be read": accesses._STILL,
    "room in the plan": creates._LOCK_USAGE,
    "create": creates._INSERT,
    "new value": updates._PUT,
    "hold a secret": changes._LOCK,
    "name taken": changes._NAMED,
    "delete": changes._DELETE,
    "purge": overdue._TAKE,
    "its keys": purges._LOCK_KEYS,
    "its values": purges._ERASE,
    "oldest values": erasing._OLDEST,
    "their keys": erasing._LOCK_KEYS,
    "erase them": erasing._ERASE,
    "value there": versions._THERE,
    "standing": reads._STANDING,
    "history": versions._HISTORY,
    "old value": versions._STORED,
    "secret and environment": versions._LOCK,
    "end of a value": versions._END,
    "environment": reads._ENVIRONMENT,
    "one secret": reads._GET,
    "one secret and its environments": reads._DETAIL,
    "stale keys": data_keys._STALE,
    "swap": data_keys._SWAP,
    "verify": verifying._SAMPLE,
    "kept replies": idempotency._COMPLETE.format(schema="secrets"),
}
KINDS = {
    **dict.fromkeys(
        ("tenant", "nil", "secret", "data_key", "after", "until", "first", "last"),
        "uuid",
    ),
    "wrapped": "bytea",
}
FILL = """
do $$ declare t uuid := gen_random_uuid(); e uuid := gen_random_uuid();
begin
    insert into tenancy.tenant (tenant_id, slug, name, plan) values (t, 'full', 'full', 'enterprise');
    insert into secrets.environment (tenant_id, id, name, display_name, is_default)
    values (t, e, 'production', 'Production', true);
    insert into secrets.usage values (t, 2000);
    insert into secrets.idempotency (tenant_id, key, fingerprint, owner, claimed_until)
    select t, 'k' || n, '', t, now() from generate_series(1, 2000) n;
    insert into secrets.data_key select t, md5('k' || n)::uuid, 1, decode(repeat('00', 68), 'hex')
    from generate_series(1, 2000) n;
    insert into secrets.secret (tenant_id, id, name, secret_type, base_environment_id, created_at,
        updated_at)
    select t, md5('s' || n)::uuid, 'S' || n, 'string', e, now(), now() from generate_series(1, 2000) n;
    insert into secrets.secret_environment (tenant_id, secret_id, environment_id, value_version,
        updated_at)
    select t, md5('s' || n)::uuid, e, 1, now() from generate_series(1, 2000) n;
    insert into secrets.value_version (tenant_id, secret_id, environment_id, value_version,
        data_key_id, value, created_at)
    select t, md5('s' || n)::uuid, e, 1, md5('k' || n)::uuid, 'x', now()
    from generate_series(1, 2000) n;
end $$
"""
CROWD = """
do $$ begin
    set local session_replication_role = replica;
    insert into secrets.environment (tenant_id, id, name, display_name, is_default)
    select md5('t' || n)::uuid, gen_random_uuid(), 'production', 'Production', true
    from generate_series(1, 1000) n;
    insert into secrets.idempotency (tenant_id, key, fingerprint, owner, claimed_until)
    select md5('t' || mod(n, 1000))::uuid, 'k' || n, '', gen_random_uuid(), now()
    from generate_series(1, 3000) n;
    insert into secrets.data_key
    select md5('t' || mod(n, 1000))::uuid, md5('ck' || n)::uuid, 1, decode(repeat('00', 68), 'hex')
    from generate_series(1, 3000) n;
    insert into secrets.secret (tenant_id, id, name, secret_type, base_environment_id, created_at,
        updated_at)
    select md5('t' || mod(n, 1000))::uuid, md5('cs' || n)::uuid, 'S' || n, 'string', gen_random_uuid(),
        now(), now() from generate_series(1, 3000) n;
    insert into secrets.secret_environment (tenant_id, secret_id, environment_id, value_version,
        updated_at)
    select md5('t' || mod(n, 1000))::uuid, md5('cs' || n)::uuid, gen_random_uuid(), 1, now()
    from generate_series(1, 3000) n;
    insert into secrets.value_version (tenant_id, secret_id, environment_id, value_version,
        data_key_id, value, created_at)
    select md5('t' || mod(n, 1000))::uuid, md5('cs' || n)::uuid, gen_random_uuid(), 1,
        md5('ck' || n)::uuid, 'x', now() from generate_series(1, 3000) n;
end $$
"""
"""A thousand tenants of three secrets: the plan for all takes the full one for one of these."""
STATES = {
    "empty": (),
    "never analyzed": (FILL,),
    "analyzed": (FILL, "analyze"),
    "big among small": (FILL, CROWD, "analyze"),
}


@pytest.fixture(scope="module", params=STATES, ids=list(STATES))
def connection(
    postgres: TestServer, request: pytest.FixtureRequest
) -> Iterator[psycopg.Connection[Any]]:
    """As the service connects, with the settings of its login role. Nobody writes here."""
    with fresh_database(postgres) as database:
        for statement in STATES[request.param]:
            database.execute(statement)
        with psycopg.connect(database.dsn("coffer_secrets"), autocommit=True) as connection:
            yield connection


@pytest.mark.parametrize("statement", STATEMENTS.values(), ids=list(STATEMENTS))
def test_no_hot_statement_reads_a_table_from_end_to_end(
    connection: psycopg.Connection[Any], statement: str
) -> None:
    looks = list(_looks(_plan(connection, statement)))
    assert looks
    for look in looks:
        assert look["Node Type"] != "Seq Scan", look
        assert "tenant_id" in look["Index Cond"] or look["Relation Name"] == "plan", look


@pytest.mark.parametrize(
    "name",
    [
        "read a value",
        "may still be read",
        "create",
        "old value",
        "history",
        "one secret",
        "one secret and its environments",
        "hold a secret",
        "name taken",
        "new value",
        "standing",
        "secret and environment",
        "delete",
        "its keys",
        "its values",
        "their keys",
        "erase them",
        "stale keys",
        "swap",
        "verify",
        "kept replies",
    ],
)
def test_each_look_up_of_a_value_names_the_whole_of_a_key(
    connection: psycopg.Connection[Any], name: str
) -> None:
    """Not the tenant alone: that would go through all that the tenant has. (Of environments and
    collections a tenant has few, and where there is one in all any index is as good as another.)"""
    for look in _looks(_plan(connection, STATEMENTS[name])):
        if look["Relation Name"] not in {"tenant", "usage", "environment", "collection"}:
            assert look["Index Cond"].count(" AND ") >= 1, look


def _plan(connection: psycopg.Connection[Any], statement: str) -> Any:
    """The plan that serves all calls, prepared as the driver would."""
    numbers: dict[str, int] = {}

    def number(match: re.Match[str]) -> str:
        name = match[1]
        kind = KINDS.get(name)
        shown = f"${numbers.setdefault(name, len(numbers) + 1)}"
        return f"{shown}::{kind}" if kind and not match[2] else shown + (match[2] or "")

    text = re.sub(r"%\((\w+)\)[bst](::)?", number, statement)
    connection.execute(f"prepare hot as {text}".encode())
    nulls = ", ".join(["null"] * len(numbers))
    row = connection.execute(f"explain (format json) execute hot({nulls})".encode()).fetchone()
    connection.execute("deallocate hot")
    assert row is not None
    found = row[0] if isinstance(row[0], list) else json.loads(row[0])
    return found[0]["Plan"]


def _looks(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every node that reads a table. A bitmap's condition is its index scan's."""
    if node["Node Type"] == "Bitmap Heap Scan":
        yield node | {"Index Cond": node.get("Recheck Cond", "")}
    elif "Relation Name" in node and node["Node Type"] != "ModifyTable":
        yield {"Index Cond": ""} | node
    for child in node.get("Plans", ()):
        yield from _looks(child)
