"""Where the command line finds the stack, and whom it does not trust with its credentials."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.connection import DEFAULT_DATA_DIR, Stack, StackNotFoundError

NOWHERE = Path("/nonexistent/coffer")
WHOLE = {
    "COFFER_BASE_URL": "https://coffer.example/",
    "COFFER_API_KEY": "tk_live_x",
    "COFFER_ADMIN_JWT": "ey.j.x",
    "COFFER_STEP_UP": "ey.s.x",
    "COFFER_DATABASE_URL": "postgresql://me@/db",
}


def test_the_environment_names_everything() -> None:
    stack = Stack.locate(None, WHOLE)
    assert stack.base_url() == "https://coffer.example"
    assert stack.api_key() == "tk_live_x"
    assert stack.admin_jwt() == "ey.j.x"
    assert stack.step_up() == "ey.s.x"
    assert stack.database_url() == "postgresql://me@/db"


def test_a_data_dir_that_was_named_wins_over_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in WHOLE.items():
        monkeypatch.setenv(name, value)
    stack = Stack.locate(NOWHERE)
    with pytest.raises(StackNotFoundError, match="/nonexistent/coffer"):
        stack.base_url()
    with pytest.raises(StackNotFoundError, match="coffer up"):
        stack.database_url()


@pytest.mark.parametrize(
    ("ask", "variable"),
    [
        ("api_key", "COFFER_API_KEY"),
        ("admin_jwt", "COFFER_ADMIN_JWT"),
        ("step_up", "COFFER_STEP_UP"),
    ],
)
def test_a_local_credential_is_never_sent_to_a_base_url_of_the_environment(
    ask: str, variable: str
) -> None:
    stack = Stack.locate(None, {"COFFER_BASE_URL": "https://stranger.example"})
    with pytest.raises(StackNotFoundError, match=variable):
        getattr(stack, ask)()


@pytest.mark.parametrize(
    "url",
    [
        "http://coffer.example",
        "HTTP://coffer.example:8080/",
        "http://10.0.0.1:8080",
        "http://localhost.example",
        "http://127.0.0.1@coffer.example",
        "http://coffer.example#@127.0.0.1",
        "coffer.example:8080",
        "ftp://localhost",
        "https://",
        "http://[::1",
    ],
)
def test_nothing_is_sent_where_others_can_read_it(url: str) -> None:
    with pytest.raises(StackNotFoundError, match="https://"):
        Stack.locate(None, {"COFFER_BASE_URL": url}).base_url()


@pytest.mark.parametrize(
    "url",
    ["http://localhost:8080", "http://127.0.0.1:8080", "http://127.8.0.1", "http://[::1]:8080"],
)
def test_this_machine_is_reached_without_tls(url: str) -> None:
    assert Stack.locate(None, {"COFFER_BASE_URL": url}).base_url() == url


def test_another_tenants_token_is_not_asked_of_a_stranger() -> None:
    with pytest.raises(StackNotFoundError, match="--tenant"):
        Stack.locate(None, WHOLE).admin_jwt("acme")


@pytest.mark.parametrize("ask", ["base_url", "api_key", "admin_jwt", "database_url", "issuer"])
def test_what_is_not_found_is_told_with_what_to_do(ask: str) -> None:
    stack = Stack(NOWHERE, {})
    with pytest.raises(StackNotFoundError) as fault:
        getattr(stack, ask)()
    assert "coffer up" in str(fault.value)
    assert "--data-dir" in str(fault.value)


def test_a_secret_file_that_cannot_be_read_is_named() -> None:
    stack = Stack.locate(None, WHOLE | {"COFFER_API_KEY_FILE": "/nonexistent/key"})
    with pytest.raises(StackNotFoundError, match="COFFER_API_KEY_FILE"):
        stack.api_key()


def test_nothing_said_means_the_usual_directory() -> None:
    assert Stack.locate(None, {}).data_dir == DEFAULT_DATA_DIR


def test_an_id_needs_no_look_up() -> None:
    given = "1A0EB63A-370A-4B4B-90EF-09FDD8B11B78"
    assert Stack(NOWHERE, {}).tenant_id(given) == given.lower()
