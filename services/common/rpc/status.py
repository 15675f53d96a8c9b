"""`CofferError` to `google.rpc.Status` and back.

On the wire an error is the canonical code, the message, an `ErrorInfo` whose `reason` is the contract's
code in capitals and whose metadata holds `reason`, `hint`, `provider` and `http_status`, a `BadRequest`
for fields and a `RetryInfo` for `retry_after` (AIP-193).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

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

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NOT_OURS: Final[dict[grpc.StatusCode, type[DeadlineError | UnavailableError]]] = {
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineError,
    grpc.StatusCode.UNAVAILABLE: UnavailableError,
    grpc.StatusCode.CANCELLED: UnavailableError,
    # While a release is rolled out, a caller may know an rpc before the service does.
    grpc.StatusCode.UNIMPLEMENTED: UnavailableError,
}


MAX_FIELDS_BYTES: Final = 3_072
MAX_PATH_CHARACTERS: Final = 128
MAX_MESSAGE_CHARACTERS: Final = 512
"""What of an error travels. A status is metadata, sent twice (`grpc-message` too) and bounded by the
receiver; an error with a thousand faults would arrive as no error of ours at all."""


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
    """The status that says all of `error`, fields up to a bound. `domain` is such as `coffer.kms`."""
    message = error.message[:MAX_MESSAGE_CHARACTERS]
    status = status_pb2.Status(code=code_pb2.Code.Value(error.grpc_code), message=message)
    info = error_details_pb2.ErrorInfo(reason=error.code.upper(), domain=domain)
    for name in ("reason", "hint", "provider"):
        text = getattr(error, name)
        if text is not None:
            info.metadata[name] = text
    if error.http_status != CODES[error.code].http_status:
        info.metadata["http_status"] = str(error.http_status)
    status.details.add().Pack(info)
    if error.fields:
        status.details.add().Pack(_bad_request(error.fields))
    if error.retry_after is not None:
        delay = duration_pb2.Duration(seconds=error.retry_after)
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    return status


def _bad_request(fields: Mapping[str, Sequence[str]]) -> error_details_pb2.BadRequest:
    """The first faults, as many as fit; always one."""
    bad = error_details_pb2.BadRequest()
    for path, faults in fields.items():
        for fault in faults:
            field = path[:MAX_PATH_CHARACTERS]
            description = fault[:MAX_MESSAGE_CHARACTERS]
            bad.field_violations.add(field=field, description=description)
            if bad.ByteSize() > MAX_FIELDS_BYTES and len(bad.field_violations) > 1:
                bad.field_violations.pop()
                return bad
    return bad


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
    try:
        status = rpc_status.from_call(error)
    except ValueError:  # its details do not belong to its code or message
        status = None
    if status is not None:
        ours = parse_status(status)
        if ours is not None:
            return ours
    foreign = _NOT_OURS.get(error.code())
    return foreign() if foreign else InternalError()
