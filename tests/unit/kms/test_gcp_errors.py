"""What Google's answers mean: which of them may seal a tenant, and what they tell its administrator."""

from __future__ import annotations

import json
from typing import Any

import grpc
import pytest
from google.api_core import exceptions
from google.rpc.error_details_pb2 import ErrorInfo, PreconditionFailure

from services.kms.model import Reason
from services.kms.providers.gcp.errors import (
    MISMATCH,
    OWN_IDENTITY,
    Action,
    GcpFault,
    Mention,
    Parties,
    attributed,
    is_stale_token,
    may_help_to_repeat,
    reason_of,
    wrap_error,
)
from services.kms.providers.gcp.faults import of_kms, of_login
from services.kms.providers.gcp.http import Answer

KEY = "projects/p/locations/eu/keyRings/r/cryptoKeys/k"
ACCOUNT, PRINCIPAL = "sa@p.iam.gserviceaccount.com", "us@op.iam.gserviceaccount.com"
PARTIES = Parties(PRINCIPAL, ACCOUNT, KEY)
KMS = (Action.ENCRYPT, Action.DECRYPT)


def from_kms(status: grpc.StatusCode, message: str = "", *details: Any) -> GcpFault:
    info = next((one for one in details if isinstance(one, ErrorInfo)), None)
    make: Any = exceptions.from_grpc_status
    return of_kms(make(status, message, details=details, error_info=info))


def violation(*kinds: str) -> PreconditionFailure:
    return PreconditionFailure(violations=[PreconditionFailure.Violation(type=k) for k in kinds])


def from_iam(http_status: int, status: str, reason: str = "") -> GcpFault:
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}]
    body = {"error": {"code": http_status, "status": status, "details": details if reason else []}}
    return of_login(Answer(http_status, {}, json.dumps(body).encode()))


@pytest.mark.parametrize(
    "status",
    ["UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL", "UNKNOWN", "ABORTED", "CANCELLED",
     "UNIMPLEMENTED", "DATA_LOSS", "UNAUTHENTICATED", "RESOURCE_EXHAUSTED"],
)  # fmt: skip
@pytest.mark.parametrize("action", list(Action))
def test_what_is_no_answer_about_the_key_does_not_count_as_one(status: str, action: Action) -> None:
    assert not reason_of(from_kms(grpc.StatusCode[status]), action).definite
    assert not reason_of(GcpFault(), action).definite


@pytest.mark.parametrize("action", KMS)
@pytest.mark.parametrize(
    ("violations", "reason"),
    [
        (("KEY_DISABLED",), Reason.KEY_DISABLED),
        (("KEY_DESTROY_SCHEDULED",), Reason.KEY_DISABLED),
        (("KEY_DESTROYED",), Reason.KEY_DISABLED),
        (("KEY_PENDING_GENERATION",), Reason.KEY_DISABLED),
        (("CRYPTO_SCHEME_MISMATCH",), Reason.KEY_UNSUITABLE),
        (("KEY_DISABLED", "EXTERNAL_PERMISSION_DENIED"), Reason.KEY_DISABLED),
        (("SOMETHING", "EXTERNAL_PERMISSION_DENIED"), Reason.ACCESS_DENIED),
        (("SOMETHING", "EXTERNAL_NOT_FOUND"), Reason.KEY_NOT_FOUND),
        (("SOMETHING", "EXTERNAL_TIMED_OUT"), Reason.UNREACHABLE),
        ((), Reason.KEY_DISABLED),
    ],
)
def test_a_precondition_is_told_by_its_violations_not_by_its_words(
    action: Action, violations: tuple[str, ...], reason: Reason
) -> None:
    status = grpc.StatusCode.FAILED_PRECONDITION
    assert reason_of(from_kms(status, "any words", violation(*violations)), action) is reason


def test_words_count_only_where_nothing_else_tells_and_never_those_of_a_name() -> None:
    status, action = grpc.StatusCode.FAILED_PRECONDITION, Action.ENCRYPT
    unsuitable = "Resource projects/p has value MAC in field crypto_key.purpose."
    assert reason_of(from_kms(status, unsuitable), action) is Reason.KEY_UNSUITABLE
    named = f"{KEY}-of-good-purpose/cryptoKeyVersions/1 is not enabled, current state is: DISABLED."
    assert reason_of(from_kms(status, named), action) is Reason.KEY_DISABLED
    both = from_kms(status, unsuitable, violation("KEY_DISABLED"))
    assert reason_of(both, action) is Reason.KEY_DISABLED


def test_a_ciphertext_that_does_not_open_is_a_mismatch_and_a_bad_request_is_not() -> None:
    fault = from_kms(grpc.StatusCode.INVALID_ARGUMENT, "Decryption failed: the ciphertext is ...")
    assert reason_of(fault, Action.DECRYPT) is Reason.ROUNDTRIP_MISMATCH
    assert reason_of(fault, Action.ENCRYPT) is Reason.INVALID_REQUEST
    assert reason_of(fault, Action.LOGIN) is Reason.INVALID_REQUEST
    assert not may_help_to_repeat(fault, Action.DECRYPT)


def test_bytes_damaged_on_their_way_are_sent_once_more() -> None:
    words = "The checksum in field plaintext_crc32c did not match the data in field plaintext."
    fault = from_kms(grpc.StatusCode.INVALID_ARGUMENT, words)
    assert fault.mention is Mention.CHECKSUM
    for one in (fault, MISMATCH):
        assert may_help_to_repeat(one, Action.ENCRYPT)
        assert reason_of(one, Action.ENCRYPT) is Reason.ROUNDTRIP_MISMATCH


def test_a_proxys_answer_is_not_googles() -> None:
    fault = from_kms(grpc.StatusCode.PERMISSION_DENIED, "Received http2 header with status: 403")
    assert reason_of(fault, Action.ENCRYPT) is Reason.UNREACHABLE
    for page in (b"<html>Forbidden</html>", b"[]", b'{"error": "no"}', b'{"error": {"code": 403}}'):
        refused = of_login(Answer(403, {}, page))
        assert reason_of(refused, Action.LOGIN) is Reason.UNREACHABLE
    limited = of_login(Answer(429, {}, b"slow down"))
    assert reason_of(limited, Action.LOGIN) is Reason.THROTTLED
    nonsense = of_login(Answer(200, {}, b'{"error": {"status": "PERMISSION_DENIED"}}'))
    assert reason_of(nonsense, Action.LOGIN) is Reason.UNREACHABLE


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (from_iam(403, "PERMISSION_DENIED", "IAM_PERMISSION_DENIED"), Reason.ACCESS_DENIED),
        (from_iam(403, "PERMISSION_DENIED"), Reason.ACCESS_DENIED),
        (from_iam(404, "NOT_FOUND"), Reason.ACCESS_DENIED),
        (from_iam(400, "FAILED_PRECONDITION"), Reason.ACCESS_DENIED),
        (from_iam(400, "INVALID_ARGUMENT"), Reason.INVALID_REQUEST),
        (from_iam(429, "RESOURCE_EXHAUSTED"), Reason.THROTTLED),
        (from_iam(503, "UNAVAILABLE"), Reason.UNREACHABLE),
    ],
)
def test_a_refused_login_names_the_grant_and_who_needs_it(fault: GcpFault, reason: Reason) -> None:
    error = wrap_error(attributed(fault, Action.LOGIN, direct=False), Action.LOGIN, PARTIES)
    assert error.reason is reason
    for part in (Action.LOGIN, ACCOUNT, PRINCIPAL, KEY):
        assert part in error.hint
    if reason is Reason.ACCESS_DENIED:
        assert "roles/iam.serviceAccountTokenCreator" in error.hint


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("UNAUTHENTICATED", "ACCESS_TOKEN_EXPIRED"),
        ("UNAUTHENTICATED", "ACCOUNT_STATE_INVALID"),
        ("UNAUTHENTICATED", ""),
        ("PERMISSION_DENIED", "SERVICE_DISABLED"),
        ("PERMISSION_DENIED", "BILLING_DISABLED"),
        ("PERMISSION_DENIED", "CONSUMER_INVALID"),
        ("PERMISSION_DENIED", "USER_PROJECT_DENIED"),
        ("PERMISSION_DENIED", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"),
    ],
)
def test_what_is_wrong_with_our_own_identity_says_nothing_about_a_customers_key(
    status: str, reason: str
) -> None:
    fault = attributed(from_iam(403, status, reason), Action.LOGIN, direct=False)
    for one in (fault, OWN_IDENTITY):
        error = wrap_error(one, Action.LOGIN, PARTIES)
        assert error.reason is Reason.UNREACHABLE
        assert "the platform's own identity" in error.hint
        assert "a retry is safe" in error.hint


def test_a_refused_token_is_ours_where_nobody_is_impersonated() -> None:
    status = grpc.StatusCode.UNAUTHENTICATED
    fault = from_kms(status, "", ErrorInfo(reason="ACCOUNT_STATE_INVALID"))
    assert is_stale_token(fault)
    direct = Parties(PRINCIPAL, None, KEY)
    ours = wrap_error(attributed(fault, Action.ENCRYPT, direct=True), Action.ENCRYPT, direct)
    assert "the platform's own identity" in ours.hint
    theirs = wrap_error(attributed(fault, Action.ENCRYPT, direct=False), Action.ENCRYPT, PARTIES)
    assert theirs.reason is Reason.ACCESS_DENIED
    assert f"{ACCOUNT} is disabled or deleted" in theirs.hint


@pytest.mark.parametrize("action", KMS)
def test_a_refused_use_says_what_to_grant_and_that_the_key_may_not_exist(action: Action) -> None:
    info = ErrorInfo(reason="IAM_PERMISSION_DENIED")
    error = wrap_error(from_kms(grpc.StatusCode.PERMISSION_DENIED, "denied", info), action, PARTIES)
    assert error.reason is Reason.ACCESS_DENIED
    role = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
    for part in (role, action, ACCOUNT, KEY, "no such key"):
        assert part in error.hint


def test_a_quota_project_that_may_not_be_used_is_named() -> None:
    info = ErrorInfo(reason="USER_PROJECT_DENIED")
    fault = from_kms(grpc.StatusCode.PERMISSION_DENIED, "denied", info)
    parties = Parties(PRINCIPAL, ACCOUNT, KEY, quota_project="billing-project")
    error = wrap_error(fault, Action.ENCRYPT, parties)
    assert error.reason is Reason.ACCESS_DENIED
    for part in ("serviceusage.services.use", "billing-project", ACCOUNT, "config.project_id"):
        assert part in error.hint


def test_the_state_that_was_seen_is_told_of_the_version_that_has_it() -> None:
    status, version = grpc.StatusCode.FAILED_PRECONDITION, f"{KEY}/cryptoKeyVersions/2"
    seen = Parties(PRINCIPAL, ACCOUNT, KEY, version)
    disabled = wrap_error(from_kms(status, "", violation("KEY_DISABLED")), Action.DECRYPT, seen)
    assert f"The version {version} is disabled. Enable it." in disabled.hint
    primary = wrap_error(from_kms(status, "", violation("KEY_DISABLED")), Action.ENCRYPT, PARTIES)
    assert "primary version is disabled" in primary.hint
    going = violation("KEY_DESTROY_SCHEDULED")
    assert "Restore it" in wrap_error(from_kms(status, "", going), Action.DECRYPT, seen).hint
    lost = violation("KEY_DESTROYED")
    assert "is lost" in wrap_error(from_kms(status, "", lost), Action.DECRYPT, seen).hint


def test_googles_words_never_get_out() -> None:
    for code in grpc.StatusCode:
        for action in Action:
            fault = from_kms(code, "SECRETLY SAID", violation("KEY_DISABLED"))
            error = wrap_error(attributed(fault, action, direct=False), action, PARTIES)
            assert "SECRETLY" not in f"{error!r} {error.hint} {fault!r}"
            assert "{" not in error.hint
