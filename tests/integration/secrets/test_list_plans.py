"""A part of a long list is found by walking an index, in every order, never by sorting all there is."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from services.common.database import LOOK
from services.secrets.listing import ListRequest, listing
from services.secrets.store import lists
from tests.fixtures.database import fresh_database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fixtures.database import TestServer

TENANT = UUID("5f4a3c1e-0000-4000-8000-000000000001")
MANY = f"""
do $$ declare t uuid := '{TENANT}'; e uuid := gen_random_uuid();
begin
    insert into tenancy.tenant (tenant_id, slug, name, plan) values (t, 'big', 'big', 'enterprise');
    insert into secrets.environment (tenant_id, id, name, display_name, is_default)
    values (t, e, 'production', 'Production', true);
    insert into secrets.secret (tenant_id, id, name, secret_type, base_environment_id, created_at,
        updated_at, expires_at)
    select t, gen_random_uuid(), 'S' || n, 'string', e, now() - n * interval '1 second', now(),
        case when n < 2000 then now() + n * interval '1 day' end
    from generate_series(1, 5000) n;
end $$
"""
# Beside tenants that have a few each: of average size, the big one would have few, too.
CROWD = """
insert into tenancy.tenant (tenant_id, slug, name, plan)
select md5('t' || n)::uuid, 't' || n, 't', 'enterprise' from generate_series(1, 500) n;
insert into secrets.environment (tenant_id, id, name, display_name, is_default)
select md5('t' || n)::uuid, md5('e' || n)::uuid, 'production', 'Production', true
from generate_series(1, 500) n;
insert into secrets.secret (tenant_id, id, name, secret_type, base_environment_id, created_at,
    updated_at)
select md5('t' || n)::uuid, gen_random_uuid(), 'S' || m, 'string', md5('e' || n)::uuid, now(), now()
from generate_series(1, 500) n, generate_series(1, 10) m;
"""
SOON = datetime(2035, 1, 1, tzinfo=UTC)
STATES = {"never analyzed": (MANY,), "analyzed": (MANY, CROWD, "analyze")}
INDEXES = {
    "name": "secret_live_name",
    "created_at": "secret_created",
    "expires_at": "secret_expires",
}


@pytest.fixture(scope="module", params=STATES, ids=list(STATES))
def connection(
    postgres: TestServer, request: pytest.FixtureRequest
) -> Iterator[psycopg.Connection[Any]]:
    """As the service connects, with the settings of its login role. Nobody writes here."""
    with fresh_database(postgres) as database:
        for statement in STATES[request.param]:
            database.execute(statement)
        with psycopg.connect(database.dsn("coffer_secrets")) as connection:
            connection.execute(LOOK.encode(), (str(TENANT),))
            yield connection


def part_of(connection: psycopg.Connection[Any], asked: ListRequest) -> list[dict[str, Any]]:
    """The nodes of the plan that finds the part's ids."""
    return [*_nodes(_part(plan_of(connection, asked)))]


def plan_of(
    connection: psycopg.Connection[Any], asked: ListRequest, options: str = "format json"
) -> dict[str, Any]:
    """Of a prepared statement: a bare `explain` plans for its parameters, whatever the role says."""
    query, parameters = lists.query(TENANT, listing(asked))
    names = list(parameters)
    text = re.sub(r"%\((\w+)\)s", lambda found: f"${names.index(found[1]) + 1}", query)
    connection.execute(f"prepare finding as {text}".encode())
    literals = sql.SQL(", ").join(map(sql.Literal, parameters.values()))
    explain = f"explain ({options}) execute finding"
    cursor = connection.execute(sql.SQL("{}({})").format(sql.SQL(explain), literals))
    ((plan,),) = cursor.fetchall()
    connection.execute("deallocate finding")
    return cast("dict[str, Any]", plan[0]["Plan"])


def _part(plan: dict[str, Any]) -> dict[str, Any]:
    return next(node for node in _nodes(plan) if node.get("Subplan Name") == "CTE part")


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("sort", INDEXES)
def test_a_page_walks_the_index_of_its_order(
    connection: psycopg.Connection[Any], sort: str, order: str
) -> None:
    nodes = part_of(connection, ListRequest(sort=sort, order=order))
    assert INDEXES[sort] in {node.get("Index Name") for node in nodes}
    assert "Sort" not in {node["Node Type"] for node in nodes}


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("sort", INDEXES)
def test_a_piece_begins_where_the_one_before_ended(
    connection: psycopg.Connection[Any], sort: str, order: str
) -> None:
    asked = ListRequest(sort=sort, order=order, cursor="")
    query, parameters = lists.query(TENANT, listing(asked))
    found = connection.execute(query.encode(), parameters).fetchall()
    cursor = listing(asked).next_cursor(lists.page_of(found, listing(asked)).rows[-1])
    nodes = part_of(connection, ListRequest(sort=sort, order=order, cursor=cursor))
    (walk,) = [node for node in nodes if node.get("Index Name") == INDEXES[sort]]
    assert walk["Index Cond"].count(" AND ") >= 1, walk
    assert "Sort" not in {node["Node Type"] for node in nodes}


def test_those_to_renew_are_not_looked_for_among_all(connection: psycopg.Connection[Any]) -> None:
    nodes = part_of(connection, ListRequest(sort="expires_at", expires_before=SOON))
    (walk,) = [node for node in nodes if node.get("Index Name") == "secret_expires"]
    assert " < " in walk["Index Cond"], walk


def test_all_live_secrets_are_not_counted_for_a_page(connection: psycopg.Connection[Any]) -> None:
    nodes = [*_nodes(plan_of(connection, ListRequest(), "analyze, timing off, format json"))]
    looked_at = [node for node in nodes if node.get("Relation Name") == "secret"]
    assert sum(node["Actual Rows"] * node["Actual Loops"] for node in looked_at) <= 3 * 20
    assert "usage" in {node.get("Relation Name") for node in nodes}


@pytest.mark.parametrize("search", ["S4999", "S"], ids=["one", "most"])
def test_a_search_looks_at_all_names_once(connection: psycopg.Connection[Any], search: str) -> None:
    """A page that is not full tells the total; a full one is found without looking at all."""
    asked = ListRequest(search=search)
    nodes = [*_nodes(plan_of(connection, asked, "analyze, timing off, format json"))]
    passed = [
        (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
        for node in nodes
        if node.get("Relation Name") == "secret"
    ]
    assert sum(passed) <= 5000 + 3 * 20
