"""A part of a long list is found by walking an index, in every order, never by sorting all there is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg
import pytest

from services.secrets.listing import ListRequest, listing
from services.secrets.store import lists
from services.secrets.store.reads import row_of
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
SOON = datetime(2035, 1, 1, tzinfo=UTC)
STATES = {"never analyzed": (MANY,), "analyzed": (MANY, "analyze")}
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
            connection.execute("select set_config('coffer.tenant_id', %s, true)", (str(TENANT),))
            yield connection


def part_of(connection: psycopg.Connection[Any], asked: ListRequest) -> list[dict[str, Any]]:
    """The nodes of the plan that finds the part's ids."""
    _, query, parameters = lists.queries(TENANT, listing(asked))
    cursor = connection.execute(f"explain (format json) {query}".encode(), parameters)
    ((plan,),) = cursor.fetchall()
    return [*_nodes(_part(plan[0]["Plan"]))]


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
    _, query, parameters = lists.queries(TENANT, listing(asked))
    row = connection.execute(query.encode(), parameters).fetchall()[-1]
    cursor = listing(asked).next_cursor(row_of(row))
    nodes = part_of(connection, ListRequest(sort=sort, order=order, cursor=cursor))
    (walk,) = [node for node in nodes if node.get("Index Name") == INDEXES[sort]]
    assert walk["Index Cond"].count(" AND ") >= 1, walk
    assert "Sort" not in {node["Node Type"] for node in nodes}


def test_those_to_renew_are_not_looked_for_among_all(connection: psycopg.Connection[Any]) -> None:
    nodes = part_of(connection, ListRequest(sort="expires_at", expires_before=SOON))
    (walk,) = [node for node in nodes if node.get("Index Name") == "secret_expires"]
    assert " < " in walk["Index Cond"], walk
    assert "Sort" not in {node["Node Type"] for node in nodes}


def test_all_live_secrets_are_not_counted_for_a_page(connection: psycopg.Connection[Any]) -> None:
    counting, _, parameters = lists.queries(TENANT, listing(ListRequest()))
    assert counting is not None
    cursor = connection.execute(f"explain (format json) {counting}".encode(), parameters)
    ((plan,),) = cursor.fetchall()
    assert {node.get("Relation Name", "usage") for node in _nodes(plan[0]["Plan"])} == {"usage"}
