"""What breaks when somebody presses TAB."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fakes.cli_gateway import page, secret
from tests.fixtures.command_line import run

if TYPE_CHECKING:
    from tests.fakes.cli_gateway import Gateway
    from tests.fixtures.command_line import Coffer


def offered(coffer: Coffer, line: str) -> list[str]:
    """What bash would offer at the end of this line; nothing may be said beside."""
    environ = {
        "_COFFER_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split(" ")) - 1),
    }
    result = run([], coffer.environ | environ)
    assert result.exit_code == 0
    assert result.stderr == ""
    return result.stdout.split()


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("coffer secrets get DB", ["DB_PASSWORD", "DB_USER"]),
        ("coffer secrets get ", ["DB_PASSWORD", "DB_USER", "OLD_DB"]),
        ("coffer secrets remove-environment X ", ["production", "staging"]),
        ("coffer secrets set X --environment s", ["staging"]),
        ("coffer secrets list --collection b", ["billing"]),
        ("coffer collections delete ", ["billing"]),
        ("coffer environments update p", ["production"]),
        ("coffer secrets hist", ["history"]),
    ],
)
def test_names_are_offered(coffer: Coffer, gateway: Gateway, line: str, found: list[str]) -> None:
    gateway.answers |= {
        "GET /v1/secrets": page(secret("DB_USER"), secret("DB_PASSWORD", 2), secret("OLD_DB", 3)),
        "GET /v1/environments": page({"name": "production"}, {"name": "staging"}),
        "GET /v1/collections": page({"name": "billing"}),
    }
    assert offered(coffer, line) == found


def test_deleted_ones_are_offered_for_restoring_only(coffer: Coffer, gateway: Gateway) -> None:
    gateway.answers["GET /v1/secrets"] = page(secret("GONE"))
    assert offered(coffer, "coffer secrets undelete G") == ["GONE"]
    assert "deleted=true" in gateway.requests[0].path


def test_trouble_is_silent(coffer: Coffer, gateway: Gateway) -> None:
    assert offered(coffer, "coffer secrets get ") == []
    gateway.answers["GET /v1/secrets"] = (200, {"data": [{}]})
    assert offered(coffer, "coffer secrets get ") == []
    coffer.environ["COFFER_BASE_URL"] = "http://127.0.0.1:1"
    assert offered(coffer, "coffer secrets get ") == []
    coffer.environ.clear()
    assert offered(coffer, "coffer secrets get ") == []
