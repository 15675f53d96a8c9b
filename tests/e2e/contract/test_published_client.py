"""What breaks for those who use a published client of this API and change nothing but its base URL.

KnoxCall's SDK for Python, as it is on the package index. Its other languages send and read the same (they
were read, not run). Where the wire contract says something else than the SDK's own server, the contract is
right, and the difference is in docs/api.md.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import knoxcall
import pytest

from tests.fakes import certificates

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fixtures.stack import RunningStack
    from tests.fixtures.tenant_user import TenantUser


@pytest.fixture
def client(tenant: TenantUser) -> Iterator[Any]:
    """The client, told where we are and with what key; it asks for nothing else."""
    with knoxcall.KnoxCall(
        api_key=tenant.api_key, base_url=str(tenant.stack.http.base_url), retry_max_attempts=1
    ) as made:
        yield made


def test_secrets_are_made_found_changed_and_deleted(client: Any, tenant: TenantUser) -> None:
    secret = client.secrets.create(name="Stripe key", secret_type="api_key", value="sk one")
    assert secret["shortcode_name"] == "Stripe_key"
    assert client.secrets.set_value(secret["id"], value="sk two")["value_version"] == 2
    assert tenant.value("Stripe_key") == "sk two"
    updated = client.secrets.update(
        secret["id"], description="billing", expires_at="2099-01-01T00:00:00Z"
    )
    assert updated["expires_at"] == "2099-01-01T00:00:00.000Z"
    (place,) = client.secrets.get(secret["id"])["environments"]
    assert (place["environment_name"], place["value_version"]) == ("production", 2)
    for number in range(3):
        client.secrets.create(name=f"n{number}", secret_type="custom", value="x")
    assert client.secrets.list(per_page=2)["meta"]["total_pages"] == 2
    assert [row["name"] for row in client.secrets.iterate(per_page=2)] == [
        "Stripe_key", "n0", "n1", "n2",
    ]  # fmt: skip
    client.secrets.delete(secret["id"])
    with pytest.raises(knoxcall.NotFoundError) as refused:
        client.secrets.get(secret["id"])
    assert refused.value.code == "not_found"


def test_a_certificate_is_read(client: Any) -> None:
    issued = certificates.issue("example.com")
    secret = client.secrets.create_certificate(
        name="mTLS client",
        certificate_content=issued.pem,
        private_key=issued.key_pem,
    )
    assert secret["certificate_type"] == "pem"
    assert secret["metadata"]["has_private_key"] is True


def test_what_is_sent_twice_with_one_key_is_done_once(client: Any, tenant: TenantUser) -> None:
    key = f"mine-{uuid.uuid4()}"
    first, second = (
        client.secrets.create(name="once", secret_type="custom", value="x", idempotency_key=key)
        for _ in range(2)
    )
    assert first == second
    assert set(tenant.rows()) == {"once"}


def test_environments_are_kept(client: Any) -> None:
    environment = client.environments.create(name="staging", color="#f59e0b")
    assert environment["display_name"] == "staging"
    client.environments.update(environment["id"], display_name="Staging")
    assert [row["name"] for row in client.environments.list()] == ["production", "staging"]
    client.environments.delete(environment["id"])
    assert [row["name"] for row in client.environments.list()] == ["production"]


def test_api_keys_are_made_listed_and_revoked(client: Any, stack: RunningStack) -> None:
    for by in ("key_id", "id"):  # the clients' own documents say either
        key = client.api_keys.create(name="ci", rate_limit_requests=1000, rate_limit_window_sec=60)
        with knoxcall.KnoxCall(
            api_key=key["api_key"], base_url=str(stack.http.base_url), retry_max_attempts=1
        ) as other:
            assert other.account.get()["id"] == client.account.get()["id"]
            assert key["key_id"] in {row["key_id"] for row in client.api_keys.iterate()}
            client.api_keys.revoke(key[by])
            with pytest.raises(knoxcall.AuthenticationError):
                other.account.get()


def test_account_and_usage_are_read(client: Any, tenant: TenantUser) -> None:
    account = client.account.get()
    assert (account["id"], account["slug"]) == (tenant.id, tenant.slug)
    usage = client.account.get_usage()
    assert usage["api_calls"]["used"] >= 1
    assert type(usage["api_calls"]["percentage"]) is int
    assert usage["resources"]["secrets"] == {"used": 0, "limit": None}


async def test_the_feed_of_events_is_read_to_its_end(tenant: TenantUser) -> None:
    for number in range(5):
        tenant.create(f"n{number}", "x")
    made: Any = knoxcall.KnoxCall(
        sync=False, api_key=tenant.api_key, base_url=str(tenant.stack.http.base_url)
    )
    async with made as client:
        events = [
            event
            async for event in client.audit_logs.iterate_events(limit=2, action_prefix="secret.")
        ]
        listed = await client.audit_logs.list(action="secret.created", per_page=100)
    assert [event["details"]["name"] for event in events] == [f"n{n}" for n in range(5)]
    assert [row["id"] for row in listed["data"]] == [event["id"] for event in reversed(events)]


def test_a_refusal_names_the_field_in_the_sentence_that_the_client_shows(client: Any) -> None:
    with pytest.raises(knoxcall.KnoxCallError, match=r"name: .*value: "):
        client.secrets.create(name="a/b", secret_type="custom", value="")
