"""Pages of secrets: order by code point, literal search, filters, bounds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from coffer.secrets.v1 import secrets_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from tests.fakes import certificates
from tests.integration.secrets.stand import outcomes

if TYPE_CHECKING:
    from tests.integration.secrets.stand import Client, Stand

NAMES = ["b", "a", "B", "_", "a.b", "Z9", "a_b", "aXb"]


async def _listed(client: Client, **fields: object) -> list[str]:
    return [row.name for row in (await client.list(**fields)).secrets]


async def test_names_are_sorted_by_code_point_both_ways(stand: Stand) -> None:
    client = stand.tenant()
    await outcomes([client.create(name) for name in NAMES])
    assert await _listed(client) == sorted(NAMES)
    assert await _listed(client, order="desc") == sorted(NAMES, reverse=True)


@pytest.mark.parametrize("sort", ["name", "created_at", "base_environment", "expires_at"])
async def test_pages_in_any_order_show_every_row_once(stand: Stand, sort: str) -> None:
    client = stand.tenant()
    await outcomes([client.create(f"S{number}") for number in range(23)])
    seen: list[str] = []
    for page in (1, 2, 3, 4):
        reply = await client.list(page=page, per_page=10, sort=sort)
        assert (reply.page.total, reply.page.total_pages, reply.page.page) == (23, 3, page)
        seen.extend(row.name for row in reply.secrets)
    assert sorted(seen) == sorted(f"S{number}" for number in range(23))


async def test_search_takes_nothing_for_a_pattern(stand: Stand) -> None:
    client = stand.tenant()
    await outcomes([client.create(name) for name in NAMES])
    assert await _listed(client, search="a_b") == ["a_b"]
    assert await _listed(client, search="%") == []
    assert await _listed(client, search="\\") == []
    assert await _listed(client, search=".") == ["a.b"]
    assert await _listed(client, search="'; drop table secrets.secret; --") == []


async def test_an_empty_list_has_no_pages(stand: Stand) -> None:
    reply = await stand.tenant().list()
    assert (reply.page.total, reply.page.total_pages, reply.page.per_page) == (0, 0, 20)


async def test_the_total_of_a_filtered_list_is_told_by_every_page(stand: Stand) -> None:
    client = stand.tenant()
    await outcomes([client.create(f"{'AB'[number % 2]}{number}") for number in range(10)])
    for page, rows in ((1, 2), (2, 2), (3, 1), (4, 0), (9, 0)):
        reply = await client.list(search="A", per_page=2, page=page)
        assert (len(reply.secrets), reply.page.total, reply.page.total_pages) == (rows, 5, 3)
    reply = await client.list(search="A", per_page=5)
    assert (len(reply.secrets), reply.page.total) == (5, 5)
    assert (await client.list(search="none")).page.total == 0


async def test_filters_narrow_together(stand: Stand) -> None:
    client = stand.tenant()
    collection = uuid4()
    stand.database.execute(
        "insert into secrets.collection (tenant_id, id, name) values (%s, %s, 'c')",
        (client.tenant_id, collection),
    )
    stand.database.execute(
        "insert into secrets.environment (tenant_id, id, name, display_name)"
        " values (%s, %s, 'staging', 'Staging')",
        (client.tenant_id, uuid4()),
    )
    soon, later = Timestamp(), Timestamp()
    soon.FromDatetime(datetime.now(UTC) + timedelta(days=1))
    later.FromDatetime(datetime.now(UTC) + timedelta(days=9))
    await client.create("PLAIN")
    await client.create("IN", collection_id=str(collection), expires_at=soon)
    staged = await client.create("STAGED", environment="staging", expires_at=later)
    await client.put(staged.id, "x", environment="staging")
    made = await client.create("BOTH")
    await client.put(made.id, "x", environment="staging")
    assert staged.base_environment == "staging"
    assert await _listed(client, collection_id=str(collection)) == ["IN"]
    assert await _listed(client, environment="staging") == ["BOTH", "STAGED"]
    assert await _listed(client, environment="staging", search="ST") == ["STAGED"]
    assert await _listed(client, environment="nowhere") == []
    assert await _listed(client, expires_before=later) == ["IN"]
    assert await _listed(client, secret_type="certificate") == []
    assert (await _listed(client, sort="expires_at"))[:2] == ["IN", "STAGED"]


async def test_a_certificates_row_shows_its_metadata_and_a_strings_has_none(stand: Stand) -> None:
    client = stand.tenant()
    issued = certificates.issue(dns=["example.com"])
    request = secrets_pb2.CreateCertificateRequest(name="TLS", certificate_content=issued.pem)
    await client.call("CreateCertificate", request)
    await client.create("PLAIN")
    plain, tls = (await client.list()).secrets
    assert list(tls.metadata.dns_names) == ["example.com"]
    assert tls.certificate_type == "pem"
    assert not plain.HasField("metadata")
    assert not plain.HasField("certificate_type")


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
async def test_an_expiry_at_the_edge_of_time_breaks_no_page_in_any_time_zone(
    stand: Stand, zone: str
) -> None:
    stand.database.execute(
        f"do $$ begin execute format('alter database %%I set timezone = %%L', current_database(),"
        f" '{zone}'); end $$"
    )
    # Connections made before keep the zone that they began with.
    stand.database.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and usename = 'coffer_secrets'"
    )
    client = stand.tenant()
    stand.database.grant_consumer(client.tenant_id, "dev")
    edges = {"LAST": "9999-12-31T23:59:59.999Z", "FIRST": "0001-01-01T00:00:00Z"}
    for name, moment in edges.items():
        edge = Timestamp()
        edge.FromJsonString(moment)
        await client.create(name, expires_at=edge)
        answer = await stand.access(client.tenant_id, name=name)
        assert answer.expires_at == edge
    listed = await client.list(sort="expires_at")
    assert [row.expires_at.ToJsonString() for row in listed.secrets] == [
        edges["FIRST"],
        edges["LAST"],
    ]
