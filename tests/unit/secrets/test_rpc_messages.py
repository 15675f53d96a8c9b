"""Messages to values and back: no field is forgotten."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from coffer.secrets.v1 import secrets_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from services.common.errors import ValidationError
from services.common.identity import Call
from services.secrets.model import EnvironmentValue, SecretRow
from services.secrets.rpc import replies, requests

MOMENT = datetime(2026, 3, 15, 12, 0, 0, 123000, tzinfo=UTC)
ROW = SecretRow(
    id=uuid4(),
    name="N",
    description="d",
    base_environment="production",
    environment_count=2,
    secret_type="certificate",
    collection_id=uuid4(),
    expires_at=MOMENT,
    strict_expiry_enforcement=True,
    value_version=3,
    created_at=MOMENT,
    updated_at=MOMENT,
    certificate_type="pem",
    metadata={
        "subject": "CN=a",
        "issuer": "CN=b",
        "expires_at": "2026-03-15T12:00:00.000Z",
        "has_private_key": True,
        "has_passphrase": True,
        "not_before": "2025-03-15T12:00:00.000Z",
        "serial_number": "01",
        "sha256_fingerprint": "ab",
        "dns_names": ["a"],
        "ip_addresses": ["127.0.0.1"],
        "key_algorithm": "RSA",
        "key_size": 2048,
        "signature_algorithm": "s",
        "is_ca": True,
        "chain_length": 1,
        "warnings": [{"code": "expired", "message": "m"}],
    },
)


@pytest.mark.parametrize(
    "message",
    [
        replies.created_secret(ROW),
        replies.created_certificate(ROW),
        replies.secret(ROW),
        replies.detail(ROW, [EnvironmentValue("production", 3, MOMENT, MOMENT)]),
        replies.secret(ROW).metadata,
    ],
    ids=lambda message: str(message.DESCRIPTOR.name),
)
def test_every_field_of_a_row_is_filled(message: secrets_pb2.Secret) -> None:
    filled = {field.name for field, _ in message.ListFields()}
    assert filled == {field.name for field in message.DESCRIPTOR.fields}


def test_what_could_not_be_read_is_absent() -> None:
    unread = dict.fromkeys(ROW.metadata or {}) | {"has_private_key": False, "warnings": []}
    row = SecretRow(**{name: getattr(ROW, name) for name in ROW.__slots__} | {"metadata": unread})
    message = replies.secret(row)
    assert message.HasField("metadata")
    assert not message.metadata.HasField("expires_at")
    assert not message.metadata.HasField("subject")


def test_a_time_beyond_rfc_3339_is_refused_by_name() -> None:
    request = secrets_pb2.CreateSecretRequest(name="N", expires_at=Timestamp(seconds=10**12))
    with pytest.raises(ValidationError) as caught:
        requests.create_secret(request)
    assert set(caught.value.fields) == {"expires_at"}


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"tenant_id": "x", "name": "N"}, "tenant_id"),
        ({}, "secret_id"),
        ({"secret_id": "x"}, "secret_id"),
        ({"name": "/"}, "name"),
        ({"name": "N", "environment": "A B"}, "environment"),
        ({"name": "N", "value_version": 0}, "value_version"),
    ],
)
def test_a_question_that_cannot_be_answered_is_refused(
    fields: dict[str, object], wrong: str
) -> None:
    sent = {"tenant_id": str(uuid4())} | fields
    request = secrets_pb2.AccessSecretRequest(**sent)  # type: ignore[arg-type]
    with pytest.raises(ValidationError) as caught:
        requests.access(request, Call("consumer:dev", "r", consumer="dev"))
    assert set(caught.value.fields) == {wrong}


def test_an_order_keeps_an_absent_cursor_apart_from_the_lowest_one() -> None:
    request = secrets_pb2.RewrapBatchRequest(
        tenant_id=str(uuid4()), until=bytes(16), limit=1, after=b""
    )
    assert requests.rewrap(request).after is None
    request.after = bytes(16)
    assert requests.rewrap(request).after == UUID(int=0)
    request.after = b"short"
    with pytest.raises(ValidationError):
        requests.rewrap(request)
