"""The audit log through the front door, and the head that kms signs, through the whole stack."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.fixtures.command_line import Coffer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fixtures.stack import RunningStack
    from tests.fixtures.tenant_user import TenantUser

LOGS = "/v1/audit-logs"
ROW = {
    "id", "action", "resource_type", "resource_id", "actor", "details", "ip_address", "created_at",
}  # fmt: skip


@pytest.fixture
def busy(tenant: TenantUser) -> TenantUser:
    """A tenant of which something is known: three secrets, one of them read."""
    for name in ("A", "B", "C"):
        tenant.create(name, "value")
    tenant.value("B")
    return tenant


def feed(tenant: TenantUser, **query: Any) -> list[Any]:
    """Every row of the feed, as a client goes through it."""
    rows: list[Any] = []
    while True:
        body = tenant.get(f"{LOGS}/events", limit=2, **query)
        assert set(body["meta"]) == {"next_cursor", "limit", "request_id"}
        assert body["meta"]["limit"] == 2
        rows += body["data"]
        if body["meta"]["next_cursor"] is None:
            return rows
        query["cursor"] = body["meta"]["next_cursor"]


def test_rows_have_the_members_of_the_contract_newest_first(busy: TenantUser) -> None:
    body = busy.get(LOGS, action_prefix="secret.")
    assert [row["action"] for row in body["data"]] == ["secret.accessed"] + ["secret.created"] * 3
    assert {frozenset(row) for row in body["data"]} == {frozenset(ROW)}
    assert (body["meta"]["total"], body["meta"]["total_pages"]) == (4, 1)
    accessed, *created = body["data"]
    assert accessed["actor"] == "consumer:dev"
    assert {row["actor"].partition(":")[0] for row in created} == {"api_key"}
    assert [row["details"]["name"] for row in created] == ["C", "B", "A"]
    everything = busy.get(LOGS, per_page=100)["data"]
    assert busy.get(LOGS, per_page=2, page=2)["data"] == everything[2:4]
    past = busy.get(LOGS, page=99)
    assert (past["data"], past["meta"]["total"]) == ([], len(everything))


def test_the_feed_is_the_list_the_other_way_round_and_goes_on_from_any_row(
    busy: TenantUser,
) -> None:
    rows = feed(busy)
    assert {frozenset(row) for row in rows} == {frozenset(ROW | {"cursor"})}
    newest_first = busy.get(LOGS, per_page=100)["data"]
    assert [{name: row[name] for name in ROW} for row in rows] == newest_first[::-1]
    assert feed(busy, cursor=rows[1]["cursor"]) == rows[2:]
    created = feed(busy, action="secret.created", resource_type="secret")
    assert created == [row for row in rows if row["action"] == "secret.created"]


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        ("", {"per_page": 101}, "per_page"),
        ("/events", {"limit": 0}, "limit"),
        ("/events", {"cursor": "x"}, "cursor"),
        ("/events", {"page": 1}, "page"),
        ("/verify", {"from": 0}, "from"),
        ("/verify", {"from": 10**6}, "from"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(
    tenant: TenantUser, path: str, query: dict[str, Any], field: str
) -> None:
    answer = tenant.call("GET", f"{LOGS}{path}", params=query)
    assert answer.status_code == 400, answer.text
    assert field in answer.json()["error"]["fields"]


def test_a_chain_holds_until_somebody_changes_it(busy: TenantUser) -> None:
    count = busy.get(LOGS)["meta"]["total"]
    found = busy.get(f"{LOGS}/verify")["data"]
    assert set(found) == {"ok", "events", "head", "first_broken"}
    assert (found["ok"], found["events"], found["first_broken"]) == (True, count, None)
    with psycopg.connect(busy.stack.stack.admin_dsn) as connection:
        connection.execute("set session_replication_role = replica")
        connection.execute(
            "update audit.event set actor = 'nobody' where tenant_id = %s and seq = 2", (busy.id,)
        )
    broken = busy.get(f"{LOGS}/verify")["data"]
    assert (broken["ok"], broken["first_broken"]) == (False, 2)
    assert busy.get(f"{LOGS}/verify", **{"from": 3})["data"]["ok"]


def test_kms_signs_heads_for_the_operator_and_an_export_proves_itself_offline(
    stack: RunningStack, busy: TenantUser, tmp_path: Path
) -> None:
    certificate, key, ca = stack.identity_files("operator")
    coffer = Coffer(
        {
            "COFFER_BASE_URL": str(stack.http.base_url),
            "COFFER_API_KEY": busy.api_key,
            "COFFER_DATABASE_URL": stack.stack.admin_dsn,
            "COFFER_KMS_TARGET": stack.stack.address("kms"),
            "COFFER_OPERATOR_TLS_CERT_FILE": str(certificate),
            "COFFER_OPERATOR_TLS_KEY_FILE": str(key),
            "COFFER_OPERATOR_TLS_CA_FILE": str(ca),
        }
    )
    kept, keys, out = (tmp_path / name for name in ("kept", "keys", "export"))
    kept.write_text(json.dumps(coffer.json("audit", "head", "--tenant", busy.slug)))
    keys.write_text(stack.http.get("/.well-known/coffer-signing-keys").text)
    busy.create("D", "value")
    command = ("audit", "export", "--tenant", busy.slug, "--signed-head", "--out", str(out))
    result = coffer(*command)
    assert result.exit_code == 0, result.output
    whole = ("audit", "check", str(out), "--keys", str(keys), "--head", str(kept))
    found = Coffer({}).json(*whole)
    assert (found["signed_head_checked"], found["kept_head_checked"]) == (True, True)
    assert found["head"]["hash"] == busy.get(f"{LOGS}/verify")["data"]["head"]
    listed = coffer.json("audit", "list", "--action-prefix", "secret.")
    assert listed["meta"]["total"] == 5
    assert "secret.created" in coffer("audit", "list").stdout
    unknown = coffer("audit", "head", "--tenant", "11111111-2222-4333-8444-555555555555")
    assert unknown.exit_code == 4
    coffer.environ |= {
        "COFFER_OPERATOR_TLS_CERT_FILE": str(stack.identity_files("gateway")[0]),
        "COFFER_OPERATOR_TLS_KEY_FILE": str(stack.identity_files("gateway")[1]),
    }
    assert coffer("audit", "head", "--tenant", busy.id).exit_code == 4, "the operator alone"
