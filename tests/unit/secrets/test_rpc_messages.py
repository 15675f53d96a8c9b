"""Messages to values and back: no field is forgotten."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest
from coffer.secrets.v1 import secrets_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from services.common.errors import ValidationError
from services.common.identity import Call
from services.secrets.certificates import normal_form
from services.secrets.model import (
    Answer,
    Environment,
    EnvironmentValue,
    SealedAnswer,
    SealedValue,
    SecretRow,
    WrappedKey,
)
from services.secrets.rpc import replies, requests

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.descriptor import Descriptor

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
    deleted_at=MOMENT,
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


def test_a_key_alone_shows_null_for_all_that_only_a_certificate_has() -> None:
    known: dict[str, object] = {
        "has_private_key": True,
        "has_passphrase": False,
        "dns_names": [],
        "ip_addresses": [],
        "key_algorithm": "EC",
        "key_size": 256,
        "chain_length": 0,
        "warnings": [],
    }
    row = replace(ROW, certificate_type="key", metadata=dict.fromkeys(ROW.metadata or {}) | known)
    found = replies.secret(row).metadata
    filled = {field.name for field, _ in found.ListFields()}
    assert filled == {"has_private_key", "key_algorithm", "key_size", "chain_length"}
    assert found.chain_length == 0


def _answered(**fields: bytes) -> secrets_pb2.AccessSecretResponse:
    sealed = SealedAnswer(
        secret_id=uuid4(),
        name="N",
        secret_type="certificate",
        environment=Environment(uuid4(), "production", is_default=True),
        value_version=3,
        certificate_type="pfx",
        certificate_expires_at=MOMENT,
        expires_at=MOMENT,
        strict_expiry_enforcement=False,
        value=SealedValue(WrappedKey(uuid4(), b"", 1), {}),
    )
    return replies.answer(Answer(sealed, fields))  # type: ignore[arg-type]


def test_every_part_of_a_certificate_is_given_out() -> None:
    form = normal_form.write([b"leaf", b"issuer", b"root"], b"key")
    found = _answered(
        content=b"c", private_key="ö".encode(), passphrase=b"p", normal_form=form
    ).certificate
    for message in (found, found.normal_form):
        filled = {field.name for field, _ in message.ListFields()}
        assert filled == {field.name for field in message.DESCRIPTOR.fields}
    assert (found.content, found.private_key, found.passphrase) == ("c", "ö", "p")
    parts = found.normal_form
    assert parts.certificate + parts.chain + parts.private_key == form.decode()
    assert parts.chain.count("BEGIN CERTIFICATE") == 2


def test_a_value_of_before_there_was_a_normal_form_has_none() -> None:
    found = _answered(content=b"c").certificate
    assert found.content == "c"
    assert not found.HasField("normal_form")


def test_whatever_is_secret_is_marked_so_in_the_contract() -> None:
    """Generic clients and proxies that print messages go by it."""
    wanted = {"value", "certificate_content", "content", "private_key", "passphrase", "chain"}
    public = {"has_private_key", "has_passphrase"}
    for message in secrets_pb2.DESCRIPTOR.message_types_by_name.values():
        for inner in (message, *_nested(message)):
            for field in inner.fields:
                is_secret = field.name in wanted or inner.name == "NormalForm"
                if field.name not in public and field.message_type is None:
                    assert field.GetOptions().debug_redact == is_secret, field.full_name


def _nested(message: Descriptor) -> Iterator[Descriptor]:
    for inner in message.nested_types:
        yield inner
        yield from _nested(inner)


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
