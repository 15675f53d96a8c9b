"""Tokens must not show in what is printed, and trust in another CA must not spread to Google's own hosts."""

from __future__ import annotations

from pathlib import Path

from services.common.clock import clock
from services.kms.providers.gcp.channels import Channels
from services.kms.providers.gcp.http import Answer, session
from services.kms.providers.gcp.tokens import Impersonation, Token

SECRET = "ya29.secret"
CA = Path("/nowhere/ca.pem")


def test_a_token_is_not_shown() -> None:
    token = Token(SECRET, own=False, good_until=clock() + 60)
    answer = Answer(200, {"x": SECRET}, SECRET.encode())
    assert SECRET not in f"{token!r} {token} {answer!r} {answer}"
    assert token.good
    assert not Token(SECRET, own=False, good_until=clock()).good


def test_the_operators_ca_counts_for_the_operators_endpoints_only() -> None:
    assert Impersonation(None, CA, reuse_seconds=1.0)._ca_file is None
    assert Impersonation("https://iam.test", CA, reuse_seconds=1.0)._ca_file == CA
    assert Channels(None, CA)._ca_file is None
    assert Channels("kms.test:443", CA)._ca_file == CA


def test_nothing_but_the_bearer_token_logs_in(tmp_path: Path) -> None:
    made = session()
    assert callable(made.auth), "else requests takes a login for the host from ~/.netrc"
    assert not made.cookies
    made.close()
