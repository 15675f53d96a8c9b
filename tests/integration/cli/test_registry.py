"""The commands that write the tenant registry, on a real database."""

from __future__ import annotations

import hashlib
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from cli import tenancy
from cli.exits import Exit
from cli.local.demo_tenant import ensure_demo_tenant

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fixtures.command_line import Coffer
    from tests.fixtures.database import TestDatabase


def test_a_tenant_is_made_once_and_listed(registry: Coffer) -> None:
    made = registry.json("tenant", "create", "acme", "--name", "Acme Inc", "--plan", "pro")
    again = registry("tenant", "create", "acme")
    assert again.exit_code == Exit.REFUSED
    assert "taken" in again.stderr
    listed = registry.json("tenant", "list")
    assert [(row["id"], row["name"], row["max_secrets"]) for row in listed] == [
        (made["id"], "Acme Inc", 1000)
    ]
    assert made["id"] in registry("tenant", "list").stdout


@pytest.mark.parametrize(
    "arguments", [("-acme",), ("Acme",), ("a" * 64,), ("acme", "--plan", "gold")]
)
def test_a_tenant_that_breaks_the_rules_is_refused(
    registry: Coffer, arguments: tuple[str, ...]
) -> None:
    result = (
        registry("tenant", "create", "--", *arguments)
        if arguments[0][0] == "-"
        else registry("tenant", "create", *arguments)
    )
    assert result.exit_code == Exit.REFUSED
    assert registry.json("tenant", "list") == []


def test_an_api_key_is_shown_once_and_only_its_hash_is_stored(
    registry: Coffer, database: TestDatabase
) -> None:
    tenant = registry.json("tenant", "create", "acme")["id"]
    result = registry("apikey", "create", "--tenant", "acme", "--name", "ci")
    token = result.stdout.strip()
    assert token.startswith("tk_live_")
    stored = database.rows("select tenant_id::text, sha256, expires_at from tenancy.api_key")
    assert stored[0][:2] == (tenant, hashlib.sha256(token.encode()).digest())
    expires = stored[0][2]
    assert isinstance(expires, datetime)
    assert timedelta(days=89) < expires - datetime.now(UTC) <= timedelta(days=90)
    with psycopg.connect(database.dsn("coffer_secrets")) as connection:
        digest = hashlib.sha256(token.encode()).digest()
        found = connection.execute(
            "select tenant_id::text from tenancy.find_api_key(%s)", (digest,)
        )
        assert found.fetchone() == (tenant,)


def test_a_revoked_key_is_found_no_more(registry: Coffer, database: TestDatabase) -> None:
    registry.json("tenant", "create", "acme")
    registry("apikey", "create", "--tenant", "acme", "--name", "ci", "--never-expires")
    key = registry.json("apikey", "list", "--tenant", "acme")[0]
    assert key["expires_at"] is None
    assert registry("apikey", "revoke", "--tenant", "acme", key["key_id"]).stdout == "revoked\n"
    again = registry("apikey", "revoke", "--tenant", "acme", key["key_id"])
    assert (again.exit_code, again.stdout) == (0, "was revoked before\n")
    sha256 = database.rows("select sha256 from tenancy.api_key")[0][0]
    assert database.rows("select 1 from tenancy.find_api_key(%s)", (sha256,)) == []


def test_a_scope_that_does_not_exist_is_refused(registry: Coffer) -> None:
    registry.json("tenant", "create", "acme")
    result = registry("apikey", "create", "--tenant", "acme", "--name", "x", "--scope", "all")
    assert result.exit_code == Exit.REFUSED
    assert "secrets:read" in result.stderr


def test_a_key_of_another_tenant_is_not_revoked(registry: Coffer) -> None:
    registry.json("tenant", "create", "acme")
    registry.json("tenant", "create", "other")
    registry("apikey", "create", "--tenant", "acme", "--name", "ci")
    key = registry.json("apikey", "list", "--tenant", "acme")[0]["key_id"]
    assert registry("apikey", "revoke", "--tenant", "other", key).exit_code == Exit.REFUSED
    assert registry.json("apikey", "list", "--tenant", "acme")[0]["revoked_at"] is None


def test_a_grant_is_made_once_listed_and_deleted(registry: Coffer) -> None:
    registry.json("tenant", "create", "acme")
    arguments = ("grant", "create", "--tenant", "acme", "billing", "--environment", "production")
    made = registry.json(*arguments)
    assert registry.json(*arguments) == made
    listed = registry.json("grant", "list", "--tenant", "acme")
    assert len(listed) == 1
    assert listed[0]["environment_names"] == ["production"]
    assert listed[0]["collection_ids"] is None
    assert registry("grant", "delete", "--tenant", "acme", made["id"]).exit_code == 0
    again = registry("grant", "delete", "--tenant", "acme", made["id"])
    assert again.exit_code == Exit.REFUSED
    assert registry("grant", "list", "--tenant", "acme").stdout == "no grants\n"


def test_every_change_is_in_the_tenants_audit_chain(
    registry: Coffer, database: TestDatabase
) -> None:
    tenant = registry.json("tenant", "create", "acme")["id"]
    registry("apikey", "create", "--tenant", "acme", "--name", "ci")
    key = registry.json("apikey", "list", "--tenant", "acme")[0]["key_id"]
    registry("apikey", "revoke", "--tenant", "acme", key)
    grant = registry.json("grant", "create", "--tenant", "acme", "billing")["id"]
    registry("grant", "delete", "--tenant", "acme", grant)
    collection, places = str(uuid.uuid4()), ["production", "staging"]
    narrow = tenancy.grant_consumer(
        database.admin_dsn, tenant, "ci", collection_ids=[collection], environment_names=places
    )
    tenancy.delete_grant(database.admin_dsn, tenant, narrow)
    events = database.rows(
        "select action, resource_id from audit.event where tenant_id = %s order by seq", (tenant,)
    )
    assert events == [
        ("tenant.created", tenant),
        ("api_key.created", key),
        ("api_key.revoked", key),
        ("grant.created", grant),
        ("grant.deleted", grant),
        ("grant.created", narrow),
        ("grant.deleted", narrow),
    ]
    grants = database.rows(
        "select details::jsonb from audit.event where resource_type = 'grant' order by seq"
    )
    wide: dict[str, object] = {
        "consumer": "billing",
        "collection_ids": None,
        "environment_names": None,
    }
    limited = {"consumer": "ci", "collection_ids": [collection], "environment_names": places}
    assert [details for (details,) in grants] == [wide, wide, limited, limited]
    actors = database.rows("select distinct actor from audit.event")
    assert all(str(actor[0]).startswith("cli:") for actor in actors)


def test_a_database_that_was_not_migrated_says_what_to_do(
    surroundings: None, database: TestDatabase
) -> None:
    database.execute("drop schema tenancy cascade")
    with pytest.raises(tenancy.RegistryUnreachableError, match="coffer migrate"):
        tenancy.list_tenants(database.admin_dsn)


def test_a_service_login_may_not_write_the_registry(database: TestDatabase) -> None:
    with pytest.raises(tenancy.TenancyError):
        tenancy.create_tenant(database.dsn("coffer_secrets"), "acme", "Acme", "pro")


def test_the_command_lines_own_login_is_enough(database: TestDatabase) -> None:
    made = tenancy.create_tenant(database.dsn("coffer_cli"), "acme", "Acme", "pro")
    assert tenancy.find_tenant(database.dsn("coffer_cli"), "acme") == made


def test_no_fault_repeats_the_databases_password(registry: Coffer) -> None:
    for url in (
        "postgresql://me:hunter2@127.0.0.1:1/db",
        "postgresql://me:hunter2@db.example/coffer",
        "nonsense hunter2",
    ):
        registry.environ["COFFER_DATABASE_URL"] = url
        for command in (("tenant", "list"), ("migrate",)):
            result = registry(*command)
            assert result.exit_code != 0
            assert "hunter2" not in result.output
            assert result.exception is None or isinstance(result.exception, SystemExit)


def test_migrating_again_changes_nothing(registry: Coffer) -> None:
    assert registry.json("migrate") == {"done": []}


@pytest.mark.parametrize("passwords", ["[]", "{", '{"coffer_kms": 1}', '{"postgres": "x"}'])
def test_role_passwords_that_are_wrong_are_refused_without_repeating_them(
    registry: Coffer, passwords: str
) -> None:
    registry.environ["COFFER_ROLE_PASSWORDS"] = passwords
    assert registry("migrate").exit_code == Exit.USAGE


def test_a_key_is_limited_at_its_making_and_later(registry: Coffer) -> None:
    registry.json("tenant", "create", "acme")
    of = ("--tenant", "acme")
    for name, limit in (("own", "600"), ("free", "none"), ("usual", "default")):
        registry("apikey", "create", *of, "--name", name, "--rate-limit", limit)
    rows = {row["name"]: row for row in registry.json("apikey", "list", *of)}
    assert {name: row["rate_limit"] for name, row in rows.items()} == {
        "own": 600,
        "free": 0,
        "usual": None,
    }
    key_id = rows["own"]["key_id"]
    for text, stored in (("5", 5), ("none", 0), ("default", None)):
        assert registry("apikey", "limit", *of, key_id, "--rate-limit", text).exit_code == Exit.OK
        found = {row["key_id"]: row for row in registry.json("apikey", "list", *of)}
        assert found[key_id]["rate_limit"] == stored
    for wrong in ("0", "1000001", "-1", "lots", "\u0663"):
        assert registry("apikey", "limit", *of, key_id, "--rate-limit", wrong).exit_code != Exit.OK
    unknown = registry("apikey", "limit", *of, "key_0", "--rate-limit", "5")
    assert unknown.exit_code == Exit.REFUSED


def test_lifting_limits_spares_those_that_a_key_has_of_its_own(database: TestDatabase) -> None:
    tenant = str(database.create_tenant("demo"))
    for name, limit in (("usual", None), ("own", 5), ("free", 0)):
        tenancy.create_api_key(database.admin_dsn, tenant, name, ["audit:read"], rate_limit=limit)
    for _ in range(2):
        tenancy.lift_rate_limits(database.admin_dsn, tenant)
    rows = {row.name: row.rate_limit for row in tenancy.list_api_keys(database.admin_dsn, tenant)}
    assert rows == {"usual": 0, "own": 5, "free": 0}
    limited = "select count(*) from audit.event where action = 'api_key.limited'"
    assert database.rows(limited) == [(1,)]


def test_the_demo_keeps_its_key_until_it_is_revoked(database: TestDatabase, tmp_path: Path) -> None:
    file = tmp_path / "demo.json"
    first = ensure_demo_tenant(tenancy, database.admin_dsn, file)
    assert ensure_demo_tenant(tenancy, database.admin_dsn, file) == first
    (row,) = tenancy.list_api_keys(database.admin_dsn, first.tenant_id)
    tenancy.revoke_api_key(database.admin_dsn, first.tenant_id, row.key_id)
    second = ensure_demo_tenant(tenancy, database.admin_dsn, file)
    assert second.tenant_id == first.tenant_id
    assert tenancy.api_key_works(database.admin_dsn, second.tenant_id, second.api_key)
    assert ensure_demo_tenant(tenancy, database.admin_dsn, file) == second
