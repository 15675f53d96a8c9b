"""`CofferError` to `google.rpc.Status` and back.

On the wire an error is the canonical code, the message, an `ErrorInfo` whose `reason` is the contract's
code in capitals and whose metadata holds `reason`, `hint`, `provider` and `http_status`, a `BadRequest`
for fields and a `RetryInfo` for `retry_after` (AIP-193).
"""

from __future__ import annotations

from typing import Final

import grpc
from google.protobuf import duration_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from services.common.errors import (
    CODES,
    CofferError,
    DeadlineError,
    InternalError,
    UnavailableError,
)

_NOT_OURS: Final[dict[grpc.StatusCode, type[DeadlineError | UnavailableError]]] = {
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineError,
    grpc.StatusCode.UNAVAILABLE: UnavailableError,
    grpc.StatusCode.CANCELLED: UnavailableError,
}


class RemoteError(CofferError):
    """An error that another service answered with; carries that service's code."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        fields: dict[str, list[str]],
        details: dict[str, str],
        retry_after: int | None,
    ) -> None:
        self.code = code
        status = details.get("http_status", "")
        super().__init__(
            message,
            fields=fields,
            reason=details.get("reason"),
            hint=details.get("hint"),
            provider=details.get("provider"),
            retry_after=retry_after,
            http_status=int(status) if status.isdigit() else None,
        )


def to_status(error: CofferError, domain: str) -> status_pb2.Status:
    """The status that says all of `error`. `domain` is such as `coffer.kms`."""
    status = status_pb2.Status(code=code_pb2.Code.Value(error.grpc_code), message=error.message)
    info = error_details_pb2.ErrorInfo(reason=error.code.upper(), domain=domain)
    for name in ("reason", "hint", "provider"):
        text = getattr(error, name)
        if text is not None:
            info.metadata[name] = text
    if error.http_status != CODES[error.code].http_status:
        info.metadata["http_status"] = str(error.http_status)
    status.details.add().Pack(info)
    if error.fields:
        violations = [
            error_details_pb2.BadRequest.FieldViolation(field=path, description=fault)
            for path, faults in error.fields.items()
            for fault in faults
        ]
        status.details.add().Pack(error_details_pb2.BadRequest(field_violations=violations))
    if error.retry_after is not None:
        delay = duration_pb2.Duration(seconds=error.retry_after)
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    return status


def parse_status(status: status_pb2.Status) -> CofferError | None:
    """The error in a status of ours, or None when it is not one of ours."""
    info = error_details_pb2.ErrorInfo()
    bad = error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    retry_after: int | None = None
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(bad)
        if detail.Unpack(retry):
            retry_after = retry.retry_delay.seconds
    code = info.reason.lower()
    if not info.domain.startswith("coffer.") or code not in CODES:
        return None
    fields: dict[str, list[str]] = {}
    for violation in bad.field_violations:
        fields.setdefault(violation.field, []).append(violation.description)
    return RemoteError(
        code, status.message, fields=fields, details=dict(info.metadata), retry_after=retry_after
    )


def from_rpc_error(error: grpc.aio.AioRpcError) -> CofferError:
    """What a client's failed call means. Never raises; what is not ours becomes a fitting error."""
    status = rpc_status.from_call(error)
    if status is not None:
        ours = parse_status(status)
        if ours is not None:
            return ours
    foreign = _NOT_OURS.get(error.code())
    return foreign() if foreign else InternalError()
