"""What AWS's codes mean: which of them may seal a tenant, and what they tell its administrator."""

from __future__ import annotations

import pytest

from services.kms.model import Reason
from services.kms.providers.aws.errors import Action, AwsFault, Parties, reason_of, wrap_error

PARTIES = Parties("arn:aws:iam::1:role/us", "arn:aws:iam::2:role/r", "x", "eu-central-1", "the-key")
PAGES = ("401", "403", "404", "407", "413")


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("RequestTimeout", 400),
        ("RequestTimeoutException", 400),
        ("PriorRequestNotComplete", 400),
        ("TransactionInProgressException", 400),
        ("RequestTimeTooSkewed", 403),
        ("RequestInTheFuture", 403),
        ("SomethingNew", 408),
        ("SomethingNew", 425),
        ("SomethingNew", 429),
        ("SomethingNew", 500),
        ("BandwidthLimitExceeded", 400),
        ("ProvisionedThroughputExceededException", 400),
        ("", 0),
        *((code, int(status)) for status in PAGES for code in ("", status)),
    ],
)
def test_what_is_no_answer_about_the_key_does_not_count_as_one(code: str, status: int) -> None:
    assert not reason_of(AwsFault(code, status)).definite


def test_a_rate_limit_of_what_is_not_aws_is_still_one() -> None:
    assert reason_of(AwsFault("429", 429)) is Reason.THROTTLED


@pytest.mark.parametrize(
    ("code", "status", "reason"),
    [
        ("AccessDeniedException", 400, Reason.ACCESS_DENIED),
        ("SomethingNew", 403, Reason.ACCESS_DENIED),
        ("SomethingNew", 400, Reason.INVALID_REQUEST),
        ("DisabledException", 409, Reason.KEY_DISABLED),
        ("NotFoundException", 400, Reason.KEY_NOT_FOUND),
    ],
)
def test_an_answer_about_the_key_counts(code: str, status: int, reason: Reason) -> None:
    assert reason_of(AwsFault(code, status)) is reason
    assert reason.definite


def test_the_state_that_was_seen_is_told_and_no_other() -> None:
    disabled = wrap_error(AwsFault("DisabledException", 400), Action.DECRYPT, PARTIES).hint
    assert "is disabled" in disabled
    assert "deletion" not in disabled
    other = wrap_error(AwsFault("KMSInvalidStateException", 400), Action.DECRYPT, PARTIES).hint
    assert "pending deletion" in other
    assert "disabled" not in other
