"""What breaks when a value shows where it must not, or an error is taken for another."""

from __future__ import annotations

import inspect
import uuid
from datetime import datetime

import pytest
from coffer.secrets.v1 import secrets_pb2
from google.rpc import error_details_pb2, status_pb2

import coffer_client
from coffer_client import (
    CertificateNotUsableError,
    CertificateSecret,
    ClientTls,
    CofferClient,
    CofferClientError,
    ServerFaultError,
    SyncCofferClient,
    Wanted,
    messages,
)
from coffer_client.asking import Asker
from coffer_client.tls import Identity

TLS = ClientTls("a", "b", "c")
HIDDEN = "hidden-value"


def _status(code: str, **metadata: str) -> status_pb2.Status:
    status = status_pb2.Status(message="Why.")
    info = error_details_pb2.ErrorInfo(reason=code.upper(), domain="coffer.secrets")
    info.metadata.update(metadata)
    status.details.add().Pack(info)
    return status


@pytest.mark.parametrize(
    ("code", "reason", "name"),
    [
        ("not_found", "", "SecretNotFoundError"),
        ("not_found", "deleted", "SecretDeletedError"),
        ("invalid_state", "expired", "SecretExpiredError"),
        ("key_revoked", "", "KeyRevokedError"),
        ("tenant_sealed", "access_denied", "TenantSealedError"),
        ("forbidden", "", "NotGrantedError"),
        ("of_a_later_release", "", "CofferClientError"),
    ],
)
def test_each_contract_code_has_its_class(code: str, reason: str, name: str) -> None:
    found = messages.error_in(_status(code, reason=reason), "r")
    assert type(found).__name__ == name
    assert (found.code, found.message, found.request_id) == (code, "Why.", "r")


def test_a_status_of_somebody_else_is_a_fault_of_the_server() -> None:
    assert isinstance(messages.error_in(status_pb2.Status(code=2), "r"), ServerFaultError)


def test_no_value_and_no_credential_shows_in_a_repr() -> None:
    reply = secrets_pb2.AccessSecretResponse(secret_id="1", name="S", value=HIDDEN)
    assert HIDDEN not in repr(messages.secret(reply))
    parts = secrets_pb2.AccessSecretResponse.Certificate(
        content=HIDDEN, private_key=HIDDEN, passphrase=HIDDEN
    )
    parts.normal_form.private_key = HIDDEN
    found = messages.secret(secrets_pb2.AccessSecretResponse(name="C", certificate=parts))
    assert isinstance(found, CertificateSecret)
    assert HIDDEN not in repr(found)
    assert HIDDEN not in repr(found.normal_form)
    assert HIDDEN not in repr(Identity(b"certificate", HIDDEN.encode(), b"ca", ()))
    asker = Asker("t", HIDDEN)
    write = asker.create_string("S", HIDDEN, None, None)
    assert HIDDEN not in repr(asker) + repr(write)
    assert ("authorization", f"Bearer {HIDDEN}") in write.metadata
    for kind in (CofferClient, SyncCofferClient):
        assert HIDDEN not in repr(kind("host:1", tls=TLS, tenant_id="t", api_key=HIDDEN))


def test_a_certificate_without_a_key_makes_no_context() -> None:
    parts = secrets_pb2.AccessSecretResponse.Certificate(content="x")
    for has_form in (False, True):
        if has_form:
            parts.normal_form.certificate = "x"
        found = messages.secret(secrets_pb2.AccessSecretResponse(name="C", certificate=parts))
        assert isinstance(found, CertificateSecret)
        with pytest.raises(CertificateNotUsableError, match="C"):
            found.ssl_context()


def test_ids_are_told_from_names() -> None:
    some = uuid.uuid4()
    for given in (some, str(some)):
        assert messages.access("t", Wanted(given)).secret_id == str(some)
    assert messages.access("t", Wanted("DB_PASSWORD")).name == "DB_PASSWORD"
    asked = messages.access("t", Wanted("S", "staging", 3))
    assert (asked.environment, asked.value_version) == ("staging", 3)
    assert not messages.access("t", Wanted("S")).HasField("environment")


def test_each_write_has_a_key_of_its_own_and_needs_an_api_key() -> None:
    asker = Asker("t", "key")
    keys = {
        dict(asker.create_string("S", "x", None, None).metadata)["idempotency-key"] for _ in "ab"
    }
    assert len(keys) == 2
    given = asker.put_value("id", "x", environment=None, if_match=None, idempotency_key="mine")
    assert ("idempotency-key", "mine") in given.metadata
    with pytest.raises(ValueError, match="API key"):
        Asker("t").create_string("S", "x", None, None)
    with pytest.raises(ValueError, match="offset"):
        asker.create_string("S", "x", datetime(2030, 1, 1), None)  # noqa: DTZ001


def test_more_than_a_batch_are_several() -> None:
    asks = Asker("t").batches([f"S{n}" for n in range(201)])
    assert [len(ask.request.items) for ask in asks] == [100, 100, 1]


def test_both_clients_offer_the_same() -> None:
    for name in ("get", "get_many", "create_string", "put_value", "close", "__init__"):
        own, twin = (
            inspect.signature(getattr(kind, name)) for kind in (CofferClient, SyncCofferClient)
        )
        assert own == twin, name


def test_every_error_has_a_code_of_its_own() -> None:
    errors = [
        found
        for found in vars(coffer_client).values()
        if isinstance(found, type) and issubclass(found, CofferClientError)
    ]
    codes = [found.code for found in errors if found is not CofferClientError]
    twice = {code for code in codes if codes.count(code) > 1}
    assert twice == {"not_found"}  # a deleted secret is one that is not found
