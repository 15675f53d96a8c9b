"""The commands that speak to the gateway, over real HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cli.exits import Exit
from tests.fakes.cli_gateway import lease, refusal

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.cli_gateway import Gateway
    from tests.fixtures.command_line import Coffer

KMS = "/admin/tenant-kms"
ROW: dict[str, Any] = {
    "id": "1ce4e937-592c-4bcd-a78c-0b4999a25f0b",
    "name": "DB_PASSWORD",
    "secret_type": "string",
    "base_environment": "production",
    "value_version": 1,
    "expires_at": None,
    "updated_at": "2026-03-15T12:00:00.000Z",
    "created_at": "2026-03-15T12:00:00.000Z",
}
PAGE = {"data": [ROW], "meta": {"total": 1, "page": 1, "per_page": 20, "total_pages": 1}}


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_a_value_is_read_from_standard_input_without_its_line_end(
    coffer: Coffer, gateway: Gateway, end: str
) -> None:
    gateway.answers["POST /v1/secrets"] = (201, {"data": ROW})
    made = coffer.json("secrets", "create", "DB_PASSWORD", stdin=f"hunter2\nline{end}")
    assert made["id"] == ROW["id"]
    assert gateway.bodies == [{"name": "DB_PASSWORD", "value": "hunter2\nline"}]
    assert gateway.requests[0].headers["authorization"] == "Bearer tk_live_x"


def test_a_value_in_a_file_is_taken_byte_for_byte(
    coffer: Coffer, gateway: Gateway, tmp_path: Path
) -> None:
    file = tmp_path / "value"
    file.write_bytes("schlüssel\n".encode())
    gateway.answers["POST /v1/secrets"] = (201, {"data": ROW})
    coffer.json("secrets", "create", "DB_PASSWORD", "--value-file", str(file))
    coffer.json("secrets", "create", "DB_PASSWORD", "--value-file", "-", stdin="x\n")
    assert [body and body["value"] for body in gateway.bodies] == ["schlüssel\n", "x\n"]


def test_an_empty_or_unreadable_value_is_not_sent(
    coffer: Coffer, gateway: Gateway, tmp_path: Path
) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    for arguments in ((), ("--value-file", "/nonexistent"), ("--value-file", str(binary))):
        result = coffer("secrets", "create", "X", *arguments, stdin="")
        assert result.exit_code == Exit.FAILED
        assert result.stderr
    assert gateway.requests == []


def test_a_secret_is_found_by_its_whole_name_over_all_pages(
    coffer: Coffer, gateway: Gateway
) -> None:
    near = ROW | {"name": "A_DB_PASSWORD", "id": "0"}
    meta = {"total": 2, "page": 1, "per_page": 1, "total_pages": 2}
    gateway.answers["GET /v1/secrets"] = [
        (200, {"data": [near], "meta": meta}),
        (200, {"data": [ROW], "meta": meta}),
    ]
    gateway.answers[f"GET /v1/secrets/{ROW['id']}"] = (200, {"data": ROW | {"environments": []}})
    assert coffer.json("secrets", "get", "DB_PASSWORD")["id"] == ROW["id"]


def test_an_unknown_secret_is_refused(coffer: Coffer, gateway: Gateway) -> None:
    gateway.answers["GET /v1/secrets"] = (200, PAGE)
    result = coffer("secrets", "get", "db_password")
    assert result.exit_code == Exit.REFUSED
    assert "db_password" in result.stderr


def test_nothing_is_deleted_without_a_yes(coffer: Coffer, gateway: Gateway) -> None:
    gateway.answers["GET /v1/secrets"] = (200, PAGE)
    gateway.answers[f"DELETE /v1/secrets/{ROW['id']}"] = (200, {"data": {"deleted": True}})
    assert coffer("secrets", "delete", "DB_PASSWORD", stdin="n\n").exit_code == Exit.FAILED
    assert coffer("secrets", "delete", "DB_PASSWORD", stdin="").exit_code == Exit.FAILED
    assert [request.method for request in gateway.requests] == ["GET", "GET"]
    assert coffer.json("secrets", "delete", "DB_PASSWORD", "--yes") == {"deleted": True}


def test_a_list_is_a_table_for_people_and_the_answer_for_scripts(
    coffer: Coffer, gateway: Gateway
) -> None:
    gateway.answers["GET /v1/secrets"] = (200, PAGE)
    assert coffer.json("secrets", "list", "--search", "DB") == PAGE
    assert "search=DB" in gateway.requests[0].path
    table = coffer("secrets", "list").stdout
    assert all(text in table for text in ("DB_PASSWORD", "production", str(ROW["id"])))


@pytest.mark.parametrize(
    ("state", "code"),
    [("completed", Exit.OK), ("failed", Exit.FAILED), ("superseded", Exit.FAILED)],
)
def test_watching_ends_with_the_rewraps_outcome(
    coffer: Coffer, gateway: Gateway, state: str, code: Exit
) -> None:
    gateway.answers[f"GET {KMS}/rewraps"] = (200, {"rewraps": [lease()]})
    gateway.answers[f"GET {KMS}/rewraps/42"] = (200, lease(state=state, done=100))
    result = coffer("rewraps", "watch")
    assert result.exit_code == code
    assert state in result.stdout
    assert gateway.requests[0].headers["authorization"] == "Bearer ey.admin.x"


def test_a_script_gets_the_lease_alone_on_standard_output(coffer: Coffer, gateway: Gateway) -> None:
    done = lease(state="completed", done=100)
    gateway.answers[f"GET {KMS}/rewraps/42"] = (200, done)
    assert coffer.json("rewraps", "watch", "42") == done


def test_a_watch_that_runs_out_of_time_fails(coffer: Coffer, gateway: Gateway) -> None:
    gateway.answers[f"GET {KMS}/rewraps/42"] = (200, lease())
    result = coffer("rewraps", "watch", "42", "--timeout", "0")
    assert result.exit_code == Exit.FAILED
    assert "0 s" in result.stderr


def test_nobody_there_and_nothing_known_have_an_exit_code_of_their_own(coffer: Coffer) -> None:
    coffer.environ["COFFER_BASE_URL"] = "http://127.0.0.1:1"
    assert coffer("kms", "status").exit_code == Exit.UNREACHABLE
    coffer.environ.clear()
    result = coffer("secrets", "list")
    assert result.exit_code == Exit.UNREACHABLE
    assert "coffer up" in result.stderr


def test_keys_go_over_http_to_nobody_else(coffer: Coffer, gateway: Gateway) -> None:
    gateway.answers["GET /v1/secrets"] = (200, PAGE)
    # A proxy could read them; this one is not there.
    proxy = "http://127.0.0.1:1"
    coffer.environ |= {"HTTP_PROXY": proxy, "http_proxy": proxy}
    assert coffer("secrets", "list").exit_code == Exit.OK
    coffer.environ["COFFER_BASE_URL"] = "http://coffer.example"
    result = coffer("secrets", "list")
    assert result.exit_code == Exit.UNREACHABLE
    assert "https://" in result.stderr


def test_a_failing_server_is_no_refusal(coffer: Coffer, gateway: Gateway) -> None:
    gateway.answers["GET /v1/secrets"] = (503, refusal("tenant_sealed", "Sealed.", retry_after=30))
    result = coffer("secrets", "list", "--no-wait")
    assert result.exit_code == Exit.FAILED
    assert "retry_after: 30" in result.stderr
