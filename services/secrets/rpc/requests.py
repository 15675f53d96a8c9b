"""From messages to the values of the model. No message is ever logged: it may hold a value."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from services.common.errors import ValidationError
from services.secrets import model
from services.secrets.leases import RewrapOrder
from services.secrets.naming import is_environment_name, is_name, normalise, parse_id

if TYPE_CHECKING:
    from coffer.secrets.v1 import secrets_pb2
    from google.protobuf.message import Message
    from google.protobuf.timestamp_pb2 import Timestamp

    from services.common.identity import Call

_ID_BYTES: Final = 16
_MAX_LANE: Final = 2**15 - 1


def create_secret(request: secrets_pb2.CreateSecretRequest) -> model.CreateRequest:
    """What is asked for. Raises ValidationError for a time that is none."""
    payload = model.SentPayload(
        value=_optional(request, "value"),
        certificate_content=_optional(request, "certificate_content"),
        private_key=_optional(request, "private_key"),
        passphrase=_optional(request, "passphrase"),
        certificate_type=_optional(request, "certificate_type"),
    )
    return _create(request, payload)


def create_certificate(request: secrets_pb2.CreateCertificateRequest) -> model.CreateRequest:
    """What is asked for. Raises ValidationError for a time that is none."""
    payload = model.SentPayload(
        certificate_content=request.certificate_content,
        private_key=_optional(request, "private_key"),
        passphrase=_optional(request, "passphrase"),
        certificate_type=_optional(request, "certificate_type"),
    )
    return replace(_create(request, payload), is_certificate=True)


def put_value(request: secrets_pb2.PutSecretValueRequest) -> model.PutRequest:
    """What is asked for."""
    payload = model.SentPayload(
        value=_optional(request, "value"),
        certificate_content=_optional(request, "certificate_content"),
        private_key=_optional(request, "private_key"),
        passphrase=_optional(request, "passphrase"),
        certificate_type=_optional(request, "certificate_type"),
    )
    return model.PutRequest(
        id=request.id,
        payload=payload,
        environment=_optional(request, "environment"),
        if_match=_optional(request, "if_match"),
    )


def list_secrets(request: secrets_pb2.ListSecretsRequest) -> model.ListRequest:
    """What is asked for. Raises ValidationError for a time that is none."""
    return model.ListRequest(
        page=_optional(request, "page"),
        per_page=_optional(request, "per_page"),
        sort=_optional(request, "sort"),
        order=_optional(request, "order"),
        secret_type=_optional(request, "secret_type"),
        collection_id=_optional(request, "collection_id"),
        environment=_optional(request, "environment"),
        search=_optional(request, "search"),
        expires_before=_time(request, "expires_before"),
    )


def access(request: secrets_pb2.AccessSecretRequest, call: Call) -> tuple[UUID, model.Question]:
    """Which tenant's value is asked for. Raises ValidationError."""
    faults: dict[str, list[str]] = {}
    tenant_id = parse_id(request.tenant_id)
    if tenant_id is None:
        faults["tenant_id"] = ["Must be a UUID."]
    secret_id = parse_id(request.secret_id) if request.HasField("secret_id") else None
    name = normalise(request.name) if request.HasField("name") else None
    if request.WhichOneof("secret") is None:
        faults["secret_id"] = ["One of secret_id and name is required."]
    elif secret_id is None and name is None:
        faults["secret_id"] = ["Must be a UUID."]
    elif name is not None and not is_name(name):
        faults["name"] = ["No secret can have this name."]
    environment = _optional(request, "environment")
    if environment is not None and not is_environment_name(environment):
        faults["environment"] = ["No environment can have this name."]
    version = _optional(request, "value_version")
    if version is not None and version < 1:
        faults["value_version"] = ["Must be 1 or more."]
    if faults or tenant_id is None:
        raise ValidationError("The request is not valid.", fields=faults)
    return tenant_id, model.Question(
        call=call,
        consumer=call.consumer or "",
        secret_id=secret_id,
        name=name,
        environment=environment,
        value_version=version,
    )


def rewrap(request: secrets_pb2.RewrapBatchRequest) -> RewrapOrder:
    """Which batch is asked for. Raises ValidationError."""
    tenant_id = parse_id(request.tenant_id)
    if tenant_id is None:
        raise ValidationError.of("tenant_id", "Must be a UUID.")
    if len(request.after) not in {0, _ID_BYTES}:
        raise ValidationError.of("after", "Must be 16 bytes or none.")
    if len(request.until) != _ID_BYTES:
        raise ValidationError.of("until", "Must be 16 bytes.")
    if request.lane > _MAX_LANE:
        raise ValidationError.of("lane", f"Must be at most {_MAX_LANE}.")
    return RewrapOrder(
        tenant_id=tenant_id,
        lease_id=request.lease_id,
        fence=request.fence,
        lane=request.lane,
        target_version=request.target_version,
        after=UUID(bytes=request.after) if request.after else None,
        until=UUID(bytes=request.until),
        limit=request.limit,
    )


def _create(request: Any, payload: model.SentPayload) -> model.CreateRequest:
    return model.CreateRequest(
        name=request.name,
        payload=payload,
        secret_type=_optional(request, "secret_type"),
        description=_optional(request, "description"),
        environment=_optional(request, "environment"),
        collection_id=_optional(request, "collection_id"),
        expires_at=_time(request, "expires_at"),
        strict_expiry_enforcement=request.strict_expiry_enforcement,
    )


def _optional(request: Message, field: str) -> Any:
    return getattr(request, field) if request.HasField(field) else None


def _time(request: Message, field: str) -> datetime | None:
    """A moment of the years 1 to 9999, which is what RFC 3339 can say."""
    if not request.HasField(field):
        return None
    sent: Timestamp = getattr(request, field)
    try:
        return sent.ToDatetime(UTC)
    except (ValueError, OverflowError):
        raise ValidationError.of(field, "Must be a date and time of the years 1 to 9999.") from None
