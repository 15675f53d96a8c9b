"""What breaks when somebody presses TAB."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fakes.cli_gateway import page, secret
from tests.fixtures.command_line import run

if TYPE_CHECKING:
    from tests.fakes.cli_gateway import Gateway
    from tests.fixtures.command_line import Coffer


SHELLS = ("bash", "zsh", "fish", "powershell")
HOSTILE = (
    "$(touch pwned)",
    "`touch pwned`",
    r"\$(touch pwned)",
    r"\`touch pwned\`",
    "x;touch pwned",
    "x$HOME",
    "x'y",
    'x"y',
    "x y",
    "x\ty",
    "x:y",
    "x*",
    "x\\",
    "x)y",
    "~",
    "--yes",
    "zürich",
    "",
)


def said(coffer: Coffer, line: str, shell: str) -> str:
    """What a shell is told for the end of this line; nothing may be said beside."""
    environ = {
        "_COFFER_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split(" ")) - 1),
        "_TYPER_COMPLETE_ARGS": line,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "_TYPER_COMPLETE_WORD_TO_COMPLETE": line.rpartition(" ")[2],
    }
    result = run([], coffer.environ | environ)
    assert result.exit_code == 0
    assert result.stderr == ""
    return result.stdout


def offered(coffer: Coffer, line: str) -> list[str]:
    """What bash would offer."""
    return said(coffer, line, "bash").split()


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


@pytest.mark.parametrize("shell", SHELLS)
def test_no_colleagues_name_runs_anything(coffer: Coffer, gateway: Gateway, shell: str) -> None:
    names = [*HOSTILE, "Billing.eu-1_a"]
    gateway.answers["GET /v1/collections"] = page(*({"name": name} for name in names))
    found = said(coffer, "coffer collections delete ", shell)
    # All of it: nothing of any other name is between, before or behind.
    expected = "_arguments '*: :((\"Billing.eu-1_a\"))'" if shell == "zsh" else "Billing.eu-1_a"
    assert found.split(":::")[0].strip() == expected
    gateway.answers["GET /v1/collections"] = page(*({"name": name} for name in HOSTILE))
    assert said(coffer, "coffer collections delete ", shell).strip() in {"", "_files"}


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
