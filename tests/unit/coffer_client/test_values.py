"""What breaks when a value shows where it must not, or an error is taken for another."""

from __future__ import annotations

import inspect
import pickle
import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from coffer.secrets.v1 import secrets_pb2
from google.rpc import error_details_pb2, status_pb2

import coffer_client
from coffer_client import (
    CertificateNotUsableError,
    CertificateSecret,
    ClientClosedError,
    ClientTls,
    CofferClient,
    CofferClientError,
    RequestNotValidError,
    ServerFaultError,
    SyncCofferClient,
    Wanted,
    messages,
)
from coffer_client.asking import Asker
from coffer_client.tls import Identity

if TYPE_CHECKING:
    from collections.abc import Callable

    from coffer_client.asking import Ask

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


@pytest.mark.parametrize(
    "none", [{"ca_data": ""}, {"ca_file": ""}, {"ca_file": "ca", "ca_data": ""}]
)
def test_an_empty_ca_is_not_taken_for_those_of_the_system(none: dict[str, str]) -> None:
    parts = secrets_pb2.AccessSecretResponse.Certificate(content="x")
    parts.normal_form.private_key = HIDDEN
    found = messages.secret(secrets_pb2.AccessSecretResponse(name="C", certificate=parts))
    assert isinstance(found, CertificateSecret)
    with pytest.raises(ValueError, match=f"{[*none][-1]} is empty"):
        found.ssl_context(**none)


def test_what_cannot_be_sent_is_refused_without_showing_it() -> None:
    asker = Asker("t", "key")
    refused: list[tuple[str, Callable[[str], object]]] = [
        ("value", lambda bad: asker.create_string("S", bad, None, None)),
        ("name", lambda bad: asker.create_string(bad, "x", None, None)),
        ("description", lambda bad: asker.create_string("S", "x", None, None, description=bad)),
        ("value", lambda bad: _put(asker, value=bad)),
        ("id", lambda bad: _put(asker, secret_id=bad)),
        ("environment", lambda bad: asker.access(Wanted("S", bad))),
        ("name", lambda bad: asker.access(Wanted(bad))),
        ("items[1].name", lambda bad: asker.batches(["S", bad])),
        ("tenant_id", lambda bad: SyncCofferClient("host:1", tls=TLS, tenant_id=bad)),
    ]
    for field, ask in refused:
        for bad in (f"{HIDDEN}\ud800", HIDDEN.encode(), f"{HIDDEN}\xff".encode("latin-1")):
            with pytest.raises(RequestNotValidError) as found:
                ask(bad)  # type: ignore[arg-type]
            assert [*found.value.fields] == [field]
            assert field in str(found.value)
            assert HIDDEN not in repr(found.value) + str(found.value.fields)
            assert (
                found.value.__context__ is None
            )  # an encoder's error holds what it could not encode


def _put(asker: Asker, secret_id: str = "id", value: str = "x", key: str | None = None) -> Ask:
    return asker.put_value(secret_id, value, environment=None, if_match=None, idempotency_key=key)


@pytest.mark.parametrize("kind", [CofferClient, SyncCofferClient])
@pytest.mark.parametrize("bad", ["", "\n", f"{HIDDEN} ", f"{HIDDEN}\nb", f"{HIDDEN}é"])
def test_an_api_key_that_is_no_header_is_refused_at_once(
    kind: type[CofferClient | SyncCofferClient], bad: str
) -> None:
    with pytest.raises(RequestNotValidError, match="api_key") as found:
        kind("host:1", tls=TLS, tenant_id="t", api_key=bad)
    assert HIDDEN not in repr(found.value)
    for setting in ("target", "server_name"):
        wrong: dict[str, Any] = {"target": "host:1", "tls": TLS, "tenant_id": "t", setting: bad}
        with pytest.raises(RequestNotValidError, match=setting):
            kind(**(wrong if bad != f"{HIDDEN}é" else wrong | {setting: "\ud800"}))


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_newline_of_the_file_that_held_the_api_key_is_not_sent(end: str) -> None:
    with SyncCofferClient("host:1", tls=TLS, tenant_id="t", api_key=f"key{end}") as coffer:
        sent = coffer._asker.create_string("S", "x", None, None)
    assert ("authorization", "Bearer key") in sent.metadata


@pytest.mark.parametrize("bad", ["", "a\nb", "é", "\ud800", "a" * 256])
def test_an_idempotency_key_that_is_no_header_is_not_replaced(bad: str) -> None:
    with pytest.raises(RequestNotValidError, match="idempotency_key"):
        _put(Asker("t", "key"), key=bad)


def test_ids_are_told_from_names() -> None:
    some = uuid.uuid4()
    for given in (some, str(some)):
        assert messages.access("t", Wanted(given)).secret_id == str(some)
    assert messages.access("t", Wanted("DB_PASSWORD")).name == "DB_PASSWORD"
    for asked in (
        messages.access("t", Wanted(str(some), by_name=True)),
        messages.batch("t", [Wanted(str(some), by_name=True)]).items[0],
    ):
        assert (asked.name, asked.secret_id) == (str(some), "")
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


ERRORS = [
    found
    for found in vars(coffer_client).values()
    if isinstance(found, type) and issubclass(found, CofferClientError)
]


@pytest.mark.parametrize("kind", ERRORS)
def test_every_error_survives_the_way_to_another_process(kind: type[CofferClientError]) -> None:
    made = kind() if kind is ClientClosedError else kind("Why.", request_id="r", retry_after=1)
    again = pickle.loads(pickle.dumps(made))
    assert type(again) is kind
    assert (str(again), vars(again)) == (str(made), vars(made))


def test_every_error_has_a_code_of_its_own() -> None:
    codes = [found.code for found in ERRORS if found is not CofferClientError]
    twice = {code for code in codes if codes.count(code) > 1}
    assert twice == {"not_found"}  # a deleted secret is one that is not found
