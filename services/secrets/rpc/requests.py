"""From messages to the values of the model. No message is ever logged: it may hold a value."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from services.common.errors import ValidationError
from services.secrets import model
from services.secrets.changing import ChangeRequest
from services.secrets.leases import RewrapOrder
from services.secrets.listing import ListRequest
from services.secrets.naming import is_environment_name, is_name, normalise, parse_id
from services.secrets.rpc.members import optional_moment
from services.secrets.verifying import VerifyOrder
from services.secrets.versions import HistoryRequest, RestoreRequest

if TYPE_CHECKING:
    from coffer.secrets.v1 import secrets_pb2, versions_pb2
    from google.protobuf.message import Message

    from services.common.errors import CofferError
    from services.common.identity import Call

_ID_BYTES: Final = 16
MAX_ITEMS: Final = 100
"""Of one batch."""
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


def list_secrets(request: secrets_pb2.ListSecretsRequest) -> ListRequest:
    """What is asked for. Raises ValidationError for a time that is none."""
    return ListRequest(
        page=_optional(request, "page"),
        per_page=_optional(request, "per_page"),
        sort=_optional(request, "sort"),
        order=_optional(request, "order"),
        secret_type=_optional(request, "secret_type"),
        collection_id=_optional(request, "collection_id"),
        environment=_optional(request, "environment"),
        search=_optional(request, "search"),
        expires_before=optional_moment(request, "expires_before"),
        cursor=_optional(request, "cursor"),
        limit=_optional(request, "limit"),
        deleted=request.deleted,
    )


def update_secret(request: secrets_pb2.UpdateSecretRequest) -> ChangeRequest:
    """What is asked for. Raises ValidationError for a time that is none."""
    return ChangeRequest(
        id=request.id,
        mask=tuple(request.update_mask.paths),
        name=_optional(request, "name"),
        description=_optional(request, "description"),
        collection_id=_optional(request, "collection_id"),
        expires_at=optional_moment(request, "expires_at"),
        strict_expiry_enforcement=_optional(request, "strict_expiry_enforcement"),
    )


def list_versions(request: versions_pb2.ListSecretVersionsRequest) -> HistoryRequest:
    """What is asked for."""
    return HistoryRequest(
        id=request.id,
        environment=_optional(request, "environment"),
        page=_optional(request, "page"),
        per_page=_optional(request, "per_page"),
    )


def restore_version(request: versions_pb2.RestoreSecretVersionRequest) -> RestoreRequest:
    """What is asked for."""
    return RestoreRequest(
        id=request.id,
        value_version=request.value_version,
        environment=_optional(request, "environment"),
        if_match=_optional(request, "if_match"),
    )


def access(request: secrets_pb2.AccessSecretRequest, call: Call) -> tuple[UUID, model.Question]:
    """Which tenant's value is asked for. Raises ValidationError."""
    faults: dict[str, list[str]] = {}
    tenant_id = _tenant(request.tenant_id, faults)
    question = _question(request, call, faults)
    if faults or tenant_id is None:
        raise _not_valid(faults)
    return tenant_id, question


def batch_access(
    request: secrets_pb2.BatchAccessSecretsRequest, call: Call
) -> tuple[UUID, list[model.Question | CofferError]]:
    """Which tenant's values are asked for; an item that asks for none is the error that it ends with.

    Raises ValidationError for what is wrong with the whole.
    """
    faults: dict[str, list[str]] = {}
    tenant_id = _tenant(request.tenant_id, faults)
    if not 1 <= len(request.items) <= MAX_ITEMS:
        faults["items"] = [f"Must be 1 to {MAX_ITEMS}."]
    if faults or tenant_id is None:
        raise _not_valid(faults)
    questions: list[model.Question | CofferError] = []
    for item in request.items:
        wrong: dict[str, list[str]] = {}
        question = _question(item, call, wrong)
        questions.append(_not_valid(wrong) if wrong else question)
    return tenant_id, questions


def _tenant(text: str, faults: dict[str, list[str]]) -> UUID | None:
    tenant_id = parse_id(text)
    if tenant_id is None:
        faults["tenant_id"] = ["Must be a UUID."]
    return tenant_id


def _question(
    item: secrets_pb2.AccessSecretRequest | secrets_pb2.BatchAccessSecretsRequest.Item,
    call: Call,
    faults: dict[str, list[str]],
) -> model.Question:
    """Which value is asked for. Use it only when it added no faults."""
    secret_id = parse_id(item.secret_id) if item.HasField("secret_id") else None
    name = normalise(item.name) if item.HasField("name") else None
    if item.WhichOneof("secret") is None:
        faults["secret_id"] = ["One of secret_id and name is required."]
    elif secret_id is None and name is None:
        faults["secret_id"] = ["Must be a UUID."]
    elif name is not None and not is_name(name):
        faults["name"] = ["No secret can have this name."]
    environment = _optional(item, "environment")
    if environment is not None and not is_environment_name(environment):
        faults["environment"] = ["No environment can have this name."]
    version = _optional(item, "value_version")
    if version is not None and version < 1:
        faults["value_version"] = ["Must be 1 or more."]
    return model.Question(
        call=call,
        consumer=call.consumer or "",
        secret_id=secret_id,
        name=name,
        environment=environment,
        value_version=version,
    )


def _not_valid(faults: dict[str, list[str]]) -> ValidationError:
    said = " ".join(f"{field}: {found[0]}" for field, found in faults.items())
    return ValidationError(said, fields=faults)


def rewrap(request: secrets_pb2.RewrapBatchRequest) -> RewrapOrder:
    """Which batch is asked for. Raises ValidationError."""
    return RewrapOrder(
        **_lane(request),
        limit=1 if request.pass_over else request.limit,
        pass_over=request.pass_over,
    )


def verify(request: secrets_pb2.VerifyBatchRequest) -> VerifyOrder:
    """Which batch is asked for. Raises ValidationError."""
    return VerifyOrder(
        **_lane(request),
        limit=1 if request.pass_over else request.limit,
        last=request.last,
        pass_over=request.pass_over,
    )


def _lane(
    request: secrets_pb2.RewrapBatchRequest | secrets_pb2.VerifyBatchRequest,
) -> dict[str, Any]:
    """The part of a lane, and what it is of."""
    tenant_id = parse_id(request.tenant_id)
    if tenant_id is None:
        raise ValidationError.of("tenant_id", "Must be a UUID.")
    if len(request.after) not in {0, _ID_BYTES}:
        raise ValidationError.of("after", "Must be 16 bytes or none.")
    if len(request.until) != _ID_BYTES:
        raise ValidationError.of("until", "Must be 16 bytes.")
    if request.lane > _MAX_LANE:
        raise ValidationError.of("lane", f"Must be at most {_MAX_LANE}.")
    return {
        "tenant_id": tenant_id,
        "lease_id": request.lease_id,
        "fence": request.fence,
        "lane": request.lane,
        "target_version": request.target_version,
        "after": UUID(bytes=request.after) if request.after else None,
        "until": UUID(bytes=request.until),
    }


def _create(request: Any, payload: model.SentPayload) -> model.CreateRequest:
    return model.CreateRequest(
        name=request.name,
        payload=payload,
        secret_type=_optional(request, "secret_type"),
        description=_optional(request, "description"),
        environment=_optional(request, "environment"),
        collection_id=_optional(request, "collection_id"),
        expires_at=optional_moment(request, "expires_at"),
        strict_expiry_enforcement=request.strict_expiry_enforcement,
    )


def _optional(request: Message, field: str) -> Any:
    return getattr(request, field) if request.HasField(field) else None
