"""Between this package's values and the messages of `coffer.secrets.v1`. No message is ever logged."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, cast
from uuid import UUID

from coffer.secrets.v1 import secrets_pb2
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2
from grpc import StatusCode
from grpc_status import rpc_status

from coffer_client.errors import (
    CofferClientError,
    DeadlineExceededError,
    RequestNotValidError,
    ServerFaultError,
    TooLargeError,
    UnavailableError,
    class_of,
)
from coffer_client.model import (
    CertificateSecret,
    NormalForm,
    SecretWarning,
    StoredValue,
    StringSecret,
    Wanted,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from google.rpc import status_pb2

    from coffer_client.model import Secret

_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_NANOSECONDS: Final = 1e9
_OVER_SIZE: Final = "larger than max"
"""gRPC's own words, also of a message that it did not send; the code alone can mean a full server."""
_UNREACHED: Final = (StatusCode.UNAVAILABLE, StatusCode.CANCELLED)


def _which(wanted: Wanted) -> dict[str, Any]:
    secret = wanted.secret
    is_uuid = isinstance(secret, UUID) or _UUID.fullmatch(secret) is not None
    is_id = is_uuid and not wanted.by_name
    return {
        "secret_id" if is_id else "name": str(secret),
        "environment": wanted.environment,
        "value_version": wanted.value_version,
    }


def access(tenant_id: str, wanted: Wanted) -> secrets_pb2.AccessSecretRequest:
    """One value."""
    return secrets_pb2.AccessSecretRequest(tenant_id=tenant_id, **_which(wanted))


def batch(tenant_id: str, wanted: Sequence[Wanted]) -> secrets_pb2.BatchAccessSecretsRequest:
    """Several values."""
    items = [secrets_pb2.BatchAccessSecretsRequest.Item(**_which(one)) for one in wanted]
    return secrets_pb2.BatchAccessSecretsRequest(tenant_id=tenant_id, items=items)


def create_string(
    name: str, value: str, expires_at: datetime | None, others: Mapping[str, Any]
) -> secrets_pb2.CreateSecretRequest:
    """A new secret. `expires_at` knows its offset. Raises ValueError."""
    return secrets_pb2.CreateSecretRequest(
        name=name, value=value, expires_at=_stamp(expires_at), **others
    )


def put_value(
    secret_id: str | UUID, value: str, environment: str | None, if_match: int | None
) -> secrets_pb2.PutSecretValueRequest:
    """A new value."""
    return secrets_pb2.PutSecretValueRequest(
        id=str(secret_id), value=value, environment=environment, if_match=if_match
    )


def secret(reply: secrets_pb2.AccessSecretResponse) -> Secret:
    """The value that was answered."""
    common: dict[str, Any] = {
        "id": reply.secret_id,
        "name": reply.name,
        "environment": reply.environment,
        "value_version": reply.value_version,
        "expires_at": _moment(reply),
        "warnings": tuple(SecretWarning(one.code, one.message) for one in reply.warnings),
    }
    if reply.WhichOneof("content") == "value":
        return StringSecret(**common, value=reply.value)
    held = reply.certificate
    return CertificateSecret(
        **common,
        certificate_type=held.certificate_type,
        content=held.content,
        private_key=_optional(held, "private_key"),
        passphrase=_optional(held, "passphrase"),
        normal_form=_normal_form(held),
    )


def results(
    reply: secrets_pb2.BatchAccessSecretsResponse, request_id: str
) -> list[Secret | CofferClientError]:
    """The value or the error of each item."""
    return [
        secret(one.secret)
        if one.WhichOneof("result") == "secret"
        else error_in(one.error, request_id)
        for one in reply.results
    ]


def created(reply: secrets_pb2.CreateSecretResponse) -> StoredValue:
    """The secret that was made."""
    made = reply.secret
    return StoredValue(made.id, made.name, made.base_environment, made.value_version)


def stored(reply: secrets_pb2.PutSecretValueResponse) -> StoredValue:
    """The value that was stored."""
    return StoredValue(reply.id, reply.name, reply.environment, reply.value_version)


def error_of(call: Any, request_id: str) -> CofferClientError:
    """What a failed call means; `call` is gRPC's exception. What is not Coffer's becomes a fitting error."""
    try:
        status = rpc_status.from_call(call)
    except ValueError:  # its details do not belong to its code or message
        status = None
    if status is not None and (found := _coffers(status, request_id)) is not None:
        return found
    code, text = call.code(), call.details()
    if code is StatusCode.RESOURCE_EXHAUSTED and _OVER_SIZE in (text or ""):
        return TooLargeError(f"Larger than a call may be: {text}", request_id=request_id)
    if code in _UNREACHED:
        return UnavailableError(f"Coffer cannot be reached: {text}", request_id=request_id)
    if code is StatusCode.DEADLINE_EXCEEDED:
        return DeadlineExceededError("No answer came in time.", request_id=request_id)
    return ServerFaultError(f"Not an answer of Coffer's: {code.name}.", request_id=request_id)


def not_sendable(request_id: str) -> RequestNotValidError:
    """What gRPC gave back unsent."""
    return RequestNotValidError("gRPC cannot send this request.", request_id=request_id)


def error_in(status: status_pb2.Status, request_id: str) -> CofferClientError:
    """What the status of one item means."""
    return _coffers(status, request_id) or ServerFaultError(
        "Not an answer of Coffer's.", request_id=request_id
    )


def _coffers(status: status_pb2.Status, request_id: str) -> CofferClientError | None:
    info = error_details_pb2.ErrorInfo()
    bad = error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    retry_after: float | None = None
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(bad)
        if detail.Unpack(retry):
            retry_after = retry.retry_delay.seconds + retry.retry_delay.nanos / _NANOSECONDS
    if not info.domain.startswith("coffer."):
        return None
    fields: dict[str, list[str]] = {}
    for violation in bad.field_violations:
        fields.setdefault(violation.field, []).append(violation.description)
    code, reason = info.reason.lower(), info.metadata.get("reason")
    return class_of(code, reason)(
        status.message,
        code=code,
        reason=reason,
        hint=info.metadata.get("hint"),
        fields=fields,
        retry_after=retry_after,
        request_id=request_id,
    )


def _normal_form(held: secrets_pb2.AccessSecretResponse.Certificate) -> NormalForm | None:
    if not held.HasField("normal_form"):
        return None
    form = held.normal_form
    return NormalForm(form.certificate, form.chain, _optional(form, "private_key"))


def _optional(message: Any, field: str) -> str | None:
    return cast("str", getattr(message, field)) if message.HasField(field) else None


def _moment(reply: secrets_pb2.AccessSecretResponse) -> datetime | None:
    return reply.expires_at.ToDatetime(UTC) if reply.HasField("expires_at") else None


def _stamp(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    if moment.utcoffset() is None:
        raise ValueError("expires_at needs an offset, such as datetime.now(UTC)")
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp
