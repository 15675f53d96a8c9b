"""Google's error model: a canonical code, a message, details; over gRPC and as JSON over HTTP.

Source: google.rpc.Status and ErrorInfo (AIP-193), and the JSON mapping of Google's HTTP APIs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from devcloud.http import HttpAnswer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.protobuf.message import Message

_HTTP_STATUS = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.UNAVAILABLE: 503,
}
_TYPE_PREFIX = "type.googleapis.com/"
KMS = "cloudkms.googleapis.com"
IAM_CREDENTIALS = "iamcredentials.googleapis.com"
_LOGIN_HELP = (
    " Expected OAuth 2 access token, login cookie or other valid authentication credential. See "
    "https://developers.google.com/identity/sign-in/web/devconsole-project."
)


@dataclass(frozen=True, slots=True)
class ErrorInfo:
    """google.rpc.ErrorInfo."""

    reason: str
    domain: str
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Violation:
    """The one violation of a google.rpc.PreconditionFailure."""

    type: str
    subject: str


class GoogleError(Exception):
    """A refusal as the provider words it."""

    def __init__(
        self, code: grpc.StatusCode, message: str, *details: ErrorInfo | Violation
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details


def as_status(error: GoogleError) -> status_pb2.Status:
    """What gRPC carries in `grpc-status-details-bin`."""
    return status_pb2.Status(
        code=error.code.value[0],
        message=error.message,
        details=[_packed(detail) for detail in error.details],
    )


def as_answer(error: GoogleError) -> HttpAnswer:
    """What the HTTP APIs answer."""
    status = _HTTP_STATUS[error.code]
    body: dict[str, Any] = {"code": status, "message": error.message, "status": error.code.name}
    if error.details:
        body["details"] = [_shown(detail) for detail in error.details]
    return json_answer(status, {"error": body})


def json_answer(status: int, body: Mapping[str, Any]) -> HttpAnswer:
    """A JSON answer as Google's front end sends it."""
    return HttpAnswer(
        status,
        json.dumps(body, indent=2).encode(),
        {"Content-Type": "application/json; charset=UTF-8", "Server": "ESF"},
    )


def permission_denied(permission: str, resource: str, *, domain: str) -> GoogleError:
    """One refusal whether the resource forbids or does not exist: Google does not say which."""
    if domain == KMS:
        return GoogleError(
            grpc.StatusCode.PERMISSION_DENIED,
            f"Permission '{permission}' denied on resource '{resource}' (or it may not exist).",
            ErrorInfo(
                "IAM_PERMISSION_DENIED", domain, {"permission": permission, "resource": resource}
            ),
        )
    return GoogleError(
        grpc.StatusCode.PERMISSION_DENIED,
        f"Permission '{permission}' denied on resource (or it may not exist).",
        ErrorInfo("IAM_PERMISSION_DENIED", domain, {"permission": permission}),
    )


def not_logged_in(reason: str, service: str) -> GoogleError:
    """No token, a token of nobody, or one that has run out."""
    if reason == "CREDENTIALS_MISSING":
        start = "Request is missing required authentication credential."
    else:
        start = "Request had invalid authentication credentials."
    return GoogleError(
        grpc.StatusCode.UNAUTHENTICATED,
        start + _LOGIN_HELP,
        ErrorInfo(reason, "googleapis.com", {"service": service}),
    )


def scope_insufficient(service: str) -> GoogleError:
    """The token was made for other services."""
    return GoogleError(
        grpc.StatusCode.PERMISSION_DENIED,
        "Request had insufficient authentication scopes.",
        ErrorInfo("ACCESS_TOKEN_SCOPE_INSUFFICIENT", "googleapis.com", {"service": service}),
    )


def quota_exceeded(metric: str, service: str, consumer: str) -> GoogleError:
    """The rate limit of a project."""
    return GoogleError(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        f"Quota exceeded for quota metric '{metric}' and limit '{metric} per minute' of service "
        f"'{service}' for consumer '{consumer}'.",
        ErrorInfo(
            "RATE_LIMIT_EXCEEDED",
            "googleapis.com",
            {"service": service, "consumer": consumer, "quota_limit": f"{metric} per minute"},
        ),
    )


def internal() -> GoogleError:
    """The provider's own fault."""
    return GoogleError(grpc.StatusCode.INTERNAL, "Internal error encountered.")


def _packed(detail: ErrorInfo | Violation) -> any_pb2.Any:
    message: Message
    if isinstance(detail, ErrorInfo):
        message = error_details_pb2.ErrorInfo(
            reason=detail.reason, domain=detail.domain, metadata=dict(detail.metadata)
        )
    else:
        message = error_details_pb2.PreconditionFailure(
            violations=[
                error_details_pb2.PreconditionFailure.Violation(
                    type=detail.type, subject=detail.subject
                )
            ]
        )
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed


def _shown(detail: ErrorInfo | Violation) -> dict[str, Any]:
    if isinstance(detail, ErrorInfo):
        return {
            "@type": f"{_TYPE_PREFIX}google.rpc.ErrorInfo",
            "reason": detail.reason,
            "domain": detail.domain,
            "metadata": dict(detail.metadata),
        }
    return {
        "@type": f"{_TYPE_PREFIX}google.rpc.PreconditionFailure",
        "violations": [{"type": detail.type, "subject": detail.subject}],
    }
