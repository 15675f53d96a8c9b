"""The stand-in's own SigV4 against AWS's published example."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from devcloud.aws.signature import AuthError, AuthProblem, read_authorization, verify
from devcloud.http import HttpRequest

# AWS General Reference, "Examples of the complete Signature Version 4 signing process".
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
NOW = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
EXAMPLE = HttpRequest(
    method="GET",
    target="/?Action=ListUsers&Version=2010-05-08",
    headers={
        "content-type": "application/x-www-form-urlencoded; charset=utf-8",
        "host": "iam.amazonaws.com",
        "x-amz-date": "20150830T123600Z",
        "authorization": (
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
            "SignedHeaders=content-type;host;x-amz-date, "
            "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
        ),
    },
    body=b"",
)


def check(request: HttpRequest, *, secret: str = SECRET, now: datetime = NOW) -> None:
    verify(request, read_authorization(request), secret=secret, service="iam", now=now)


def test_the_published_example_verifies() -> None:
    check(EXAMPLE)


@pytest.mark.parametrize(
    "changed",
    [
        replace(EXAMPLE, method="POST"),
        replace(EXAMPLE, target="/?Action=DeleteUser&Version=2010-05-08"),
        replace(EXAMPLE, body=b"x"),
        replace(EXAMPLE, headers={**EXAMPLE.headers, "host": "other.example"}),
        replace(EXAMPLE, headers={**EXAMPLE.headers, "x-amz-new": "unsigned"}),
        replace(EXAMPLE, headers={**EXAMPLE.headers, "x-amz-date": "20150830T123601Z"}),
    ],
)
def test_any_change_of_the_request_breaks_the_signature(changed: HttpRequest) -> None:
    with pytest.raises(AuthError) as caught:
        check(changed)
    assert caught.value.problem is AuthProblem.SIGNATURE


@pytest.mark.parametrize("minutes", [-16, 16])
def test_a_replay_after_the_clock_skew_is_refused(minutes: int) -> None:
    with pytest.raises(AuthError):
        check(EXAMPLE, now=NOW + timedelta(minutes=minutes))


def test_another_secret_does_not_verify_and_is_not_in_the_message() -> None:
    with pytest.raises(AuthError) as caught:
        check(EXAMPLE, secret="another")
    assert "another" not in caught.value.message
