"""A team's day at the command line, against the real stack: what breaks is what they would notice first.

Threat: any of it shows a value. Every value here is searched for in all that was printed and logged.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from cli.exits import Exit
from tests.fakes.certificates import chain
from tests.fixtures.command_line import Coffer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fixtures.tenant_user import TenantUser

VALUES = [f"kan4rienvogel-{number}" for number in range(4)]
LATER = "2036-01-31T00:00:00.000Z"


@pytest.fixture
def coffer(tenant: TenantUser, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Coffer]:
    """The tenant's own; what it printed and what the stack logged is searched at the end."""
    for name in [name for name in os.environ if name.startswith("COFFER_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    base_url = tenant.stack.stack.credentials.base_url
    made = Coffer({"COFFER_BASE_URL": base_url, "COFFER_API_KEY": tenant.api_key})
    yield made
    shown = "\n".join([*made.printed, tenant.stack.logs()])
    assert [value for value in VALUES if value in shown] == []


def refused(coffer: Coffer, *arguments: str, stdin: str | None = None) -> str:
    """What a refusal says."""
    result = coffer(*arguments, stdin=stdin)
    assert result.exit_code == Exit.REFUSED, result.output
    return result.stderr


def names(page: dict[str, Any]) -> list[str]:
    return [row["name"] for row in page["data"]]


def value(tenant: TenantUser, **which: Any) -> str:
    return tenant.stack.access(tenant.id, **which).value


def test_values_are_set_versioned_and_restored(coffer: Coffer, tenant: TenantUser) -> None:
    coffer.json("environments", "create", "staging", "--color", "#f59e0b")
    made = coffer.json("secrets", "create", "DB PASSWORD", "--strict", stdin=VALUES[0])
    assert (made["name"], made["strict_expiry_enforcement"]) == ("DB_PASSWORD", True)
    staged = ("--environment", "staging")
    assert (
        coffer.json("secrets", "set", "DB_PASSWORD", *staged, stdin=VALUES[1])["value_version"] == 1
    )
    second = ("secrets", "set", "DB_PASSWORD", "--if-match", "1")
    assert coffer.json(*second, stdin=VALUES[2])["value_version"] == 2
    assert "version_mismatch" in refused(coffer, *second, stdin=VALUES[3])
    assert coffer.json("secrets", "restore", "DB PASSWORD", "1")["value_version"] == 3
    assert value(tenant, name="DB_PASSWORD") == VALUES[0]
    assert value(tenant, name="DB_PASSWORD", environment="staging") == VALUES[1]
    history = coffer.json("secrets", "history", "DB_PASSWORD")["data"]
    assert [(row["value_version"], row["is_current"]) for row in history] == [
        (3, True), (2, False), (1, False),
    ]  # fmt: skip
    assert "staging" in coffer("secrets", "get", "DB_PASSWORD").stdout
    assert "conflict" in refused(coffer, "environments", "delete", "staging", "--yes")
    coffer.json("secrets", "remove-environment", "DB_PASSWORD", "staging", "--yes")
    coffer.json("environments", "delete", "staging", "--yes")
    assert names(coffer.json("environments", "list")) == ["production"]


def test_secrets_are_grouped_found_and_changed(coffer: Coffer) -> None:
    collection = coffer.json("collections", "create", "billing", "--description", "d")
    for name in ("A", "B", "C"):
        coffer.json("secrets", "create", name, "--collection", "billing", stdin=VALUES[0])
    coffer.json("secrets", "update", "B", "--no-collection", "--name", "Bee", "--no-strict")
    soon = coffer.json("secrets", "update", "C", "--expires-at", LATER, "--description", "last")
    assert (soon["expires_at"], soon["description"]) == (LATER, "last")
    listing = ("secrets", "list", "--all")
    assert names(coffer.json(*listing)) == ["A", "Bee", "C"]
    assert names(coffer.json(*listing, "--collection", "billing", "--order", "desc")) == ["C", "A"]
    assert names(coffer.json(*listing, "--search", "ee")) == ["Bee"]
    before = ("--expires-before", "2036-02-01T00:00:00Z", "--sort", "expires_at")
    assert names(coffer.json(*listing, *before)) == ["C"]
    assert coffer.json("secrets", "update", "C", "--no-expiry")["expires_at"] is None
    assert "page 1 of 2, 3 in all" in coffer("secrets", "list", "--per-page", "2").stderr
    renamed = coffer.json("collections", "update", "billing", "--name", "pay", "--no-description")
    assert (renamed["description"], renamed["secret_count"]) == (None, 2)
    assert coffer.json("collections", "get", "pay")["id"] == collection["id"]
    coffer.json("collections", "delete", "pay", "--yes")
    assert coffer.json("collections", "list")["data"] == []
    assert coffer.json("secrets", "get", "A")["collection_id"] is None


def test_what_was_deleted_comes_back(coffer: Coffer, tenant: TenantUser) -> None:
    ids = []
    for one in VALUES[:2]:
        ids.append(coffer.json("secrets", "create", "TOKEN", stdin=one)["id"])
        assert coffer("secrets", "delete", "TOKEN", "--yes").exit_code == Exit.OK
    assert "no secret TOKEN" in refused(coffer, "secrets", "get", "TOKEN")
    assert len(coffer.json("secrets", "list", "--deleted")["data"]) == 2
    told = refused(coffer, "secrets", "undelete", "TOKEN")
    assert all(one in told for one in ids)
    coffer.json("secrets", "undelete", ids[0])
    assert value(tenant, name="TOKEN") == VALUES[0]
    assert "conflict" in refused(coffer, "secrets", "undelete", "TOKEN")


def test_what_lost_its_base_comes_back_to_the_named_one(coffer: Coffer, tenant: TenantUser) -> None:
    coffer.json("environments", "create", "staging")
    coffer.json("secrets", "create", "TOKEN", "--environment", "staging", stdin=VALUES[0])
    coffer.json("secrets", "set", "TOKEN", "--environment", "production", stdin=VALUES[1])
    assert coffer("secrets", "delete", "TOKEN", "--yes").exit_code == Exit.OK
    coffer.json("environments", "delete", "staging", "--yes")
    told = refused(coffer, "secrets", "undelete", "TOKEN")
    assert "staging was deleted" in told
    assert "production" in told
    row = coffer.json("secrets", "undelete", "TOKEN", "--base-environment", "production")
    assert row["base_environment"] == "production"
    assert value(tenant, name="TOKEN") == VALUES[1]


def test_a_certificate_is_replaced_before_it_expires(
    coffer: Coffer, tenant: TenantUser, tmp_path: Path
) -> None:
    made = chain()
    for name, text in (
        ("crt", made.leaf.pem),
        ("ca", made.intermediate.pem),
        ("key", made.leaf.key_pem),
    ):
        (tmp_path / name).write_text(text)
    coffer.json("secrets", "import-certificate", "TLS", "crt", "--key", "key")
    files = ("--certificate-file", "crt", "--certificate-file", "ca", "--key-file", "key")
    assert coffer.json("secrets", "set", "TLS", *files, "--if-match", "1")["value_version"] == 2
    found = tenant.stack.access(tenant.id, name="TLS").certificate
    assert found.content == made.leaf.pem + made.intermediate.pem
    history = coffer.json("secrets", "history", "TLS")["data"]
    assert [row["certificate_type"] for row in history] == ["pem", "pem"]
    assert "validation_error" in refused(coffer, "secrets", "set", "TLS", stdin=VALUES[0])


def test_a_key_is_handed_on_with_less_and_taken_back(coffer: Coffer) -> None:
    limits = ("--scope", "secrets:read", "--expires-in-days", "1", "--rate-limit", "1000/60")
    made = coffer("apikeys", "create", "ci", *limits)
    assert made.exit_code == Exit.OK, made.output
    handed = Coffer(coffer.environ | {"COFFER_API_KEY": made.stdout.strip()})
    assert handed.json("secrets", "list")["data"] == []
    assert "insufficient_scope" in refused(handed, "secrets", "create", "X", stdin=VALUES[0])
    rows = {row["name"]: row for row in coffer.json("apikeys", "list")["data"]}
    assert rows["ci"]["scopes"] == ["secrets:read"]
    assert coffer.json("apikeys", "revoke", rows["ci"]["key_id"], "--yes") == {"revoked": True}
    assert "unauthenticated" in refused(handed, "secrets", "list")
    coffer.printed += handed.printed
