"""What breaks when a person looks for something among many secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from cli.exits import Exit
from tests.fakes.cli_gateway import identifier, page, refusal, secret

if TYPE_CHECKING:
    from tests.fakes.cli_gateway import Gateway
    from tests.fixtures.command_line import Coffer

LIST = "GET /v1/secrets"


def queries(gateway: Gateway) -> list[dict[str, list[str]]]:
    return [
        parse_qs(urlsplit(request.path).query, keep_blank_values=True)
        for request in gateway.requests
        if request.path.startswith("/v1/secrets?")
    ]


def test_every_filter_reaches_the_api_and_a_collection_goes_by_name(
    coffer: Coffer, gateway: Gateway
) -> None:
    gateway.answers["GET /v1/collections"] = page({"id": identifier(7), "name": "billing"})
    gateway.answers[LIST] = page()
    coffer.json(
        "secrets", "list", "--search", "TLS", "--type", "certificate", "--collection", "billing",
        "--environment", "staging", "--expires-before", "2027-01-01T00:00:00Z", "--deleted",
        "--sort", "expires_at", "--order", "desc", "--page", "2", "--per-page", "5",
    )  # fmt: skip
    (asked,) = queries(gateway)
    assert asked == {
        "search": ["TLS"], "secret_type": ["certificate"], "collection_id": [identifier(7)],
        "environment": ["staging"], "expires_before": ["2027-01-01T00:00:00Z"], "deleted": ["true"],
        "sort": ["expires_at"], "order": ["desc"], "page": ["2"], "per_page": ["5"],
    }  # fmt: skip


def test_all_of_them_are_walked_by_cursor_with_the_same_filters(
    coffer: Coffer, gateway: Gateway
) -> None:
    gateway.answers[LIST] = [
        (200, {"data": [secret("A")], "meta": {"next_cursor": "b/=", "limit": 100}}),
        (200, {"data": [secret("B", 2)], "meta": {"next_cursor": None, "limit": 100}}),
    ]
    found = coffer.json("secrets", "list", "--all", "--search", "x")
    assert [row["name"] for row in found["data"]] == ["A", "B"]
    assert [asked["cursor"] for asked in queries(gateway)] == [[""], ["b/="]]
    assert all(asked["search"] == ["x"] and "page" not in asked for asked in queries(gateway))
    assert coffer("secrets", "list", "--all", "--page", "2").exit_code == Exit.USAGE


def test_a_page_that_is_not_all_is_not_taken_for_all(coffer: Coffer, gateway: Gateway) -> None:
    gateway.answers[LIST] = page(secret("A"), total=57, total_pages=3)
    result = coffer("secrets", "list")
    assert "page 1 of 3, 57 in all" in result.stderr
    assert "57" not in result.stdout


def test_deleted_ones_are_shown_with_when_that_was(coffer: Coffer, gateway: Gateway) -> None:
    gateway.answers[LIST] = page(secret("A", deleted_at="2026-11-01T00:00:00.000Z"))
    assert "2026-11-01T00:00:00.000Z" in coffer("secrets", "list", "--deleted").stdout


@pytest.mark.parametrize("asked", ["Stripe key", " Stripe  key "])
def test_a_name_typed_with_blanks_finds_how_it_was_stored(
    coffer: Coffer, gateway: Gateway, asked: str
) -> None:
    row = secret("Stripe_key")
    gateway.answers[LIST] = page(row)
    gateway.answers[f"GET /v1/secrets/{row['id']}"] = (200, {"data": row | {"environments": []}})
    assert coffer.json("secrets", "get", asked)["name"] == "Stripe_key"


def test_a_name_of_hexadecimal_digits_is_not_taken_for_an_id(
    coffer: Coffer, gateway: Gateway
) -> None:
    name = "00112233445566778899aabbccddeeff"
    row = secret(name)
    gateway.answers[LIST] = page(row)
    gateway.answers[f"GET /v1/secrets/{row['id']}"] = (200, {"data": row | {"environments": []}})
    assert coffer.json("secrets", "get", name)["name"] == name


def test_a_busy_service_is_waited_for_and_that_is_said(coffer: Coffer, gateway: Gateway) -> None:
    busy = (429, refusal("rate_limited", "Too many."), {"Retry-After": "0"})
    gateway.answers[LIST] = [busy, page(secret("A"))]
    result = coffer("secrets", "list", "--json")
    assert result.exit_code == Exit.OK
    assert "rate_limited" in result.stderr
    gateway.answers[LIST] = busy
    assert coffer("secrets", "list", "--no-wait").stderr.count("rate_limited") == 1
