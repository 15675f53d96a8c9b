"""The table of errors against the wire contract and against gRPC."""

from __future__ import annotations

import grpc
import pytest
from google.rpc import code_pb2

from services.common import errors
from services.common.errors import CODES, CofferError
from services.common.rpc.status import parse_status, to_status

CONTRACT = {
    400: "validation_error static_credentials_rejected kms_verify_failed unsupported_type",
    401: "unauthenticated",
    403: "forbidden insufficient_scope step_up_required step_up_expired plan_limit",
    404: "not_found no_kms_config",
    405: "method_not_allowed",
    409: "conflict idempotency_conflict not_sealed key_active key_in_use rewrap_running invalid_state",
    410: "key_revoked",
    412: "version_mismatch",
    413: "payload_too_large",
    415: "unsupported_media_type",
    429: "rate_limited",
    500: "internal_error",
    502: "unseal_failed",
    503: "tenant_sealed unavailable",
    504: "timeout",
}


def test_every_code_of_the_contract_has_its_status_and_no_other_code_exists() -> None:
    expected = {code: status for status, codes in CONTRACT.items() for code in codes.split()}
    assert {code: travel.http_status for code, travel in CODES.items()} == expected


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_a_canonical_grpc_code(code: str) -> None:
    name = CODES[code].grpc_code
    assert name in grpc.StatusCode.__members__
    assert code_pb2.Code.Value(name)


def _all(kind: type[CofferError]) -> list[type[CofferError]]:
    return [kind, *(deeper for below in kind.__subclasses__() for deeper in _all(below))]


@pytest.mark.parametrize(
    "kind", [kind for kind in _all(CofferError) if kind.__module__ == errors.__name__]
)
def test_every_kind_of_error_has_a_code_of_the_contract(kind: type[CofferError]) -> None:
    assert kind.code in CODES


class _EverythingError(CofferError):
    code = "kms_verify_failed"


def test_an_error_arrives_as_it_was_sent() -> None:
    sent = _EverythingError(
        "No.",
        fields={"config.region": ["wrong", "very wrong"], "provider": ["unknown"]},
        reason="access_denied",
        hint="Grant it.",
        retry_after=7,
        provider="aws",
        http_status=409,
    )
    got = parse_status(to_status(sent, "coffer.kms"))
    assert got is not None
    for member in ("code", "message", "fields", "reason", "hint", "retry_after", "provider"):
        assert getattr(got, member) == getattr(sent, member), member
    assert got.http_status == 409
