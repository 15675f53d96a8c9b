"""What AWS's codes mean: which of them may seal a tenant, and what they tell its administrator."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.kms.model import Reason
from services.kms.providers.aws.errors import Action, AwsFault, Parties, reason_of, wrap_error
from services.kms.providers.aws.key_stores import STATE_CODE, mention_of

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


def test_a_key_named_by_its_alias_is_granted_by_its_own_arn() -> None:
    """IAM knows no aliases in a policy's Resource: following the hint to the letter would grant nothing."""
    alias = "arn:aws:kms:eu-central-1:222222222222:alias/coffer"
    denied = AwsFault("AccessDeniedException", 400)
    hint = wrap_error(denied, Action.ENCRYPT, replace(PARTIES, key_ref=alias)).hint
    assert f"the key behind {alias} (its key ARN, not the alias)" in hint
    assert "alias" not in wrap_error(denied, Action.DECRYPT, PARTIES).hint


STORE_MESSAGES = (
    "AWS KMS rejected the request because the external key store proxy did not respond in time. Retry.",
    "AWS KMS cannot communicate with the external key store proxy. Verify that it is active.",
    "The external key store proxy rejected the request because it could not authenticate AWS KMS.",
    "The external key store proxy is in an unhealthy state.",
    "The request was rejected due to a very high request rate.",
    "The ciphertext that the external key store proxy submitted for decryption is corrupted.",
    "The custom key store that arn:aws:kms:eu-central-1:2:key/x is in is not connected.",
    "The CloudHSM cluster has no active HSMs.",
    "arn:aws:kms:eu-central-1:2:key/x is unavailable.",
)
OWNERS_MESSAGES = {
    "arn:aws:kms:eu-central-1:2:key/x is pending deletion.": Reason.KEY_DISABLED,
    "arn:aws:kms:eu-central-1:2:alias/proxy-unavailable is pending import.": Reason.KEY_DISABLED,
    "The external key store proxy rejected the request because the external key is not enabled in the"
    " external key manager.": Reason.KEY_DISABLED,
    "The external key store proxy rejected the request because it could not find the external"
    " key.": Reason.KEY_NOT_FOUND,
    "The external key store proxy denied access to the operation.": Reason.ACCESS_DENIED,
}


@pytest.mark.parametrize("message", STORE_MESSAGES)
def test_a_key_store_that_does_not_answer_seals_nobody(message: str) -> None:
    fault = AwsFault(STATE_CODE, 400, mention_of(STATE_CODE, message))
    error = wrap_error(fault, Action.DECRYPT, PARTIES)
    assert error.reason is Reason.UNREACHABLE
    assert "key store" in error.hint
    assert "a retry is safe" in error.hint


@pytest.mark.parametrize("message", OWNERS_MESSAGES)
def test_what_the_owner_of_a_key_did_counts_also_in_an_external_store(message: str) -> None:
    fault = AwsFault(STATE_CODE, 400, mention_of(STATE_CODE, message))
    error = wrap_error(fault, Action.DECRYPT, PARTIES)
    assert error.reason is OWNERS_MESSAGES[message]
    for part in ("kms:Decrypt", PARTIES.key_ref, "role/r"):
        assert part in error.hint


def test_a_message_counts_under_no_other_code() -> None:
    assert mention_of("AccessDeniedException", "external key store proxy") is None
