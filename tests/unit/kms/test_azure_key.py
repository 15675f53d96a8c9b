"""What a vault's answers must be, before anything of them is stored or used."""

from __future__ import annotations

import json
import socket
import uuid
from typing import Any

import pytest
from aiohttp import ClientConnectorDNSError
from azure.core.credentials import AccessTokenInfo
from azure.core.exceptions import HttpResponseError, ServiceRequestError

from services.kms.cloud_settings import AzureSettings
from services.kms.model import KeyFacts, KmsTarget, Reason, WrapError, Wrapped
from services.kms.providers.azure import AzureProvider, errors, sdk
from services.kms.providers.azure.clouds import VaultKey
from services.kms.providers.azure.credentials import Credentials, Identities
from services.kms.providers.azure.errors import (
    NO_SUCH_HOST,
    Action,
    IdentityKind,
    Parties,
)
from services.kms.providers.azure.key import AzureKey
from services.kms.providers.azure.login import Login, _Token
from services.kms.providers.azure.network import Network
from services.kms.providers.azure.sessions import Ask, session_key
from services.kms.validation import OPERATOR, Rules
from tests.fakes.kms_keys import CountingMeter

VAULT = "https://acme.vault.azure.net/keys"
VERSION, OTHER = "0" * 32, "1" * 32
KEY = VaultKey("acme.vault.azure.net", "coffer")
FACTS = KeyFacts(uuid.UUID(int=1), uuid.UUID(int=2))
MASTER_KEY, BLOB = bytes(range(32)), bytes(256)


class Vault:
    """Answers what it is told to, and remembers what it was asked."""

    def __init__(self, kid: str, data: bytes) -> None:
        self._answer = (kid, data)
        self.asked: list[tuple[Action, str, bytes]] = []

    async def __call__(self, ask: Ask) -> tuple[str, bytes]:
        self.asked.append((ask.action, ask.kid, ask.data))
        return self._answer

    @property
    def key(self) -> AzureKey:
        parties = Parties(KEY, IdentityKind.FEDERATED, "t", "app", True)
        return AzureKey(self, session_key(uuid.UUID(int=1), parties), parties)


async def reason(call: Any) -> Reason:
    with pytest.raises(WrapError) as caught:
        await call
    return caught.value.reason


async def test_the_version_that_answered_is_recorded_and_named_again() -> None:
    vault = Vault(f"{VAULT}/coffer/{VERSION}", BLOB)
    wrapped = await vault.key.wrap(FACTS, MASTER_KEY)
    assert wrapped == Wrapped(BLOB, f"{VAULT}/coffer/{VERSION}")
    opening = Vault(f"{VAULT}/coffer/{VERSION}", MASTER_KEY)
    assert await opening.key.unwrap(FACTS, wrapped) == MASTER_KEY
    assert vault.asked == [(Action.WRAP, f"{VAULT}/coffer", MASTER_KEY)]
    assert opening.asked == [(Action.UNWRAP, f"{VAULT}/coffer/{VERSION}", BLOB)]


@pytest.mark.parametrize(
    "kid",
    [
        f"{VAULT}/other/{VERSION}",
        f"https://other.vault.azure.net/keys/coffer/{VERSION}",
        f"https://evil.example/keys/coffer/{VERSION}",
        f"{VAULT}/coffer",
        "",
    ],
)
async def test_a_wrap_by_anything_else_than_the_asked_key_is_not_taken(kid: str) -> None:
    assert await reason(Vault(kid, BLOB).key.wrap(FACTS, MASTER_KEY)) is Reason.ROUNDTRIP_MISMATCH


async def test_what_no_rsa_key_wraps_to_is_not_taken() -> None:
    for size in (1, 32, 255, 257):
        vault = Vault(f"{VAULT}/coffer/{VERSION}", bytes(size))
        assert await reason(vault.key.wrap(FACTS, MASTER_KEY)) is Reason.UNREACHABLE


async def test_an_unwrap_by_another_version_or_of_another_size_is_not_taken() -> None:
    wrapped = Wrapped(BLOB, f"{VAULT}/coffer/{VERSION}")
    for kid, data in (
        (f"{VAULT}/coffer/{OTHER}", MASTER_KEY),
        (f"{VAULT}/other/{VERSION}", MASTER_KEY),
        (f"{VAULT}/coffer/{VERSION}", MASTER_KEY[:-1]),
        (f"{VAULT}/coffer/{VERSION}", MASTER_KEY + b"\0"),
    ):
        assert (
            await reason(Vault(kid, data).key.unwrap(FACTS, wrapped)) is Reason.ROUNDTRIP_MISMATCH
        )


async def test_what_another_key_of_the_vault_wrapped_is_asked_of_that_key() -> None:
    vault = Vault(f"{VAULT}/older/{OTHER}", MASTER_KEY)
    stored = Wrapped(BLOB, f"{VAULT}/older/{OTHER}")
    assert await vault.key.unwrap(FACTS, stored) == MASTER_KEY
    assert vault.asked == [(Action.UNWRAP, f"{VAULT}/older/{OTHER}", BLOB)]


@pytest.mark.parametrize(
    "text",
    ["", "A", "AA==", "AA=", "AB", "A A", "AA\n", "+/8", "_-8=", "\u00c4A", "A" * 5],
)
def test_sloppy_base64url_is_refused(text: str) -> None:
    assert sdk.from_base64url(text) is None


@pytest.mark.parametrize("data", [b"\0", b"ab", MASTER_KEY, b"\xff" * 256])
def test_strict_base64url_goes_both_ways(data: bytes) -> None:
    assert sdk.from_base64url(sdk.to_base64url(data)) == data


class Response:
    def __init__(self, status: int, body: str) -> None:
        self.status_code = status
        self.reason = "reason"
        self._body = body

    def text(self) -> str:
        return self._body


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "null",
        "{",
        '{"error": "x"}',
        '{"error": {"code": 7}}',
        '{"error": {"code": "<script>"}}',
        '{"kid": "k"}',
        '{"kid": "k", "value": "AA=="}',
        '{"kid": 7, "value": "AAAA"}',
        "[" * 100_000,
    ],
)
def test_an_answer_that_is_none_has_no_code(body: str) -> None:
    for status in (200, 403):
        with pytest.raises(sdk.AzureFailedError) as caught:
            sdk.answer_of(Action.WRAP, Response(status, body))  # type: ignore[arg-type]
        assert caught.value.fault.code == ""
        assert caught.value.fault.http_status == status


@pytest.mark.parametrize("member", ["innererror", "innerError"])
def test_the_inner_code_is_found_however_it_is_spelt(member: str) -> None:
    body = json.dumps({"error": {"code": "Forbidden", member: {"code": "KeyDisabled"}}})
    with pytest.raises(sdk.AzureFailedError) as caught:
        sdk.answer_of(Action.WRAP, Response(403, body))  # type: ignore[arg-type]
    assert caught.value.fault.detail == "KeyDisabled"


def test_only_a_name_that_is_not_there_is_told_from_silence() -> None:
    for errno, code in ((socket.EAI_NONAME, NO_SUCH_HOST), (socket.EAI_AGAIN, "")):
        cause: Any = ClientConnectorDNSError(None, socket.gaierror(errno, "x"))  # type: ignore[arg-type]
        fault = sdk.fault_of_vault(Action.WRAP, ServiceRequestError("x", error=cause))
        assert fault.code == code


def test_microsofts_number_is_all_that_is_kept_of_its_text() -> None:
    told = {
        "error": "invalid_client",
        "error_description": "AADSTS7000215: Invalid client secret provided for s3cret",
    }
    response: Any = Response(401, json.dumps(told))
    error = HttpResponseError("AADSTS7000215: s3cret", response=response)
    fault = sdk.fault_of_login(IdentityKind.CLIENT_SECRET, error)
    assert (fault.http_status, fault.code, fault.detail) == (
        401,
        "invalid_client",
        "AADSTS7000215",
    )
    assert "s3cret" not in repr(fault)


APP, SETUP = str(uuid.UUID(int=5)), str(uuid.UUID(int=6))
TENANT = uuid.UUID(int=1)
RULES = Rules(client_secret_env_vars={TENANT: frozenset({"X"})})
FEDERATED = {"AZURE_FEDERATED_TOKEN_FILE": "/token"}


@pytest.mark.parametrize(
    ("config", "environ", "kind", "client_id", "own"),
    [
        ({}, {}, IdentityKind.MANAGED, None, True),
        ({}, {"AZURE_CLIENT_ID": APP}, IdentityKind.MANAGED, APP, True),
        ({"client_id": SETUP}, {}, IdentityKind.MANAGED, None, True),
        ({"client_id": APP}, {"AZURE_CLIENT_ID": APP}, IdentityKind.MANAGED, APP, True),
        ({"client_id": SETUP}, {"AZURE_CLIENT_ID": APP}, IdentityKind.MANAGED, APP, True),
        ({}, FEDERATED, IdentityKind.FEDERATED, SETUP, True),
        ({"client_id": SETUP.upper()}, FEDERATED, IdentityKind.FEDERATED, SETUP.upper(), True),
        ({"client_id": APP}, FEDERATED, IdentityKind.FEDERATED, APP, False),
        (
            {"client_id": APP, "client_secret_env_var": "X"},
            FEDERATED,
            IdentityKind.CLIENT_SECRET,
            APP,
            False,
        ),
    ],
)
def test_who_calls(
    config: dict[str, str | None],
    environ: dict[str, str],
    kind: IdentityKind,
    client_id: str | None,
    own: bool,
) -> None:
    parties = Identities(environ, SETUP, RULES).of(TENANT, KEY, config)
    assert (parties.kind, parties.client_id, parties.own) == (kind, client_id, own)
    assert parties.refused is None


def test_a_customer_does_not_choose_among_the_identities_of_the_host() -> None:
    identities = Identities({"AZURE_CLIENT_ID": SETUP}, None, RULES)
    chosen: dict[str, str | None] = {"client_id": APP}
    assert identities.of(TENANT, KEY, chosen).refused == errors.HOSTS_IDENTITY
    operators = identities.of(OPERATOR, KEY, chosen)
    assert (operators.client_id, operators.refused) == (APP, None)
    assert identities.of(OPERATOR, KEY, {}).client_id == SETUP


def test_a_variable_is_allowed_to_its_tenant_only() -> None:
    identities = Identities({"X": "secret"}, SETUP, RULES)
    named: dict[str, str | None] = {"client_id": APP, "client_secret_env_var": "X"}
    assert identities.of(TENANT, KEY, named).refused is None
    assert identities.of(uuid.UUID(int=9), KEY, named).refused == errors.NOT_ALLOWED
    assert identities.of(OPERATOR, KEY, named).refused is None


def test_neither_environment_nor_token_is_shown() -> None:
    network = Network(own_vaults=False, own_login=False, ca_file=None)
    made = Credentials(network, {"ACME_CLIENT_SECRET": "s3cret"}, None)
    login = Login(
        Parties(KEY, IdentityKind.CLIENT_SECRET, "t", APP, False, "ACME_CLIENT_SECRET"),
        made,
        CountingMeter(),
        reuse_seconds=30.0,
        total_seconds=10.0,
    )
    token = _Token(AccessTokenInfo("s3cret", 0), 0.0)
    assert "s3cret" not in repr((made, login, vars(login), token))


async def test_a_stored_target_outside_azure_is_asked_by_nobody() -> None:
    meter = CountingMeter()
    provider = AzureProvider(
        meter, endpoints=AzureSettings(), application_id=None, environ={}, rules=RULES
    )
    key = provider.key(uuid.UUID(int=1), KmsTarget("azure", "https://evil.example/keys/k", {}))
    assert await reason(key.wrap(FACTS, MASTER_KEY)) is Reason.INVALID_REQUEST
    assert await reason(key.unwrap(FACTS, Wrapped(BLOB))) is Reason.INVALID_REQUEST
    assert meter.counted == []
    await provider.close()
