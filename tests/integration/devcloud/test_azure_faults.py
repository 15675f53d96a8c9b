"""The weather a client of Azure has to live with, TLS connections, and the record of calls."""

from __future__ import annotations

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.core.pipeline.transport import AioHttpTransport
from azure.core.rest import HttpRequest
from azure.identity.aio import ClientSecretCredential
from azure.keyvault.keys.aio import KeyClient

from devcloud.azure.control import AzureControl
from devcloud.control_client import ControlError
from devcloud.faults import FaultKind
from tests.integration.devcloud.azure_stand import (
    API_VERSION,
    DATA_KEY,
    AzureStand,
    encoded,
    refused,
)

if TYPE_CHECKING:
    from devcloud.azure.server import AzureServer

SCOPE = "https://vault.azure.net/.default"


def test_throttling_says_when_to_come_back_and_ends(azure: AzureStand) -> None:
    azure.wrapped()
    azure.control.throttle(azure.key, "WrapKey", times=1)
    answer = azure.wrap()
    refused(answer, 429, "Throttled")
    assert answer.headers["Retry-After"] == "1"
    azure.wrapped()


def test_an_internal_error_is_a_500(azure: AzureStand) -> None:
    azure.control.break_answers(FaultKind.INTERNAL, azure.key)
    refused(azure.wrap(), 500, "InternalError")


def test_garbage_is_no_json(azure: AzureStand) -> None:
    azure.control.break_answers(FaultKind.GARBAGE, azure.key, "WrapKey")
    answer = azure.wrap()
    assert answer.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        answer.json()


def test_a_corrupt_unwrap_gives_other_bytes_in_good_form(azure: AzureStand) -> None:
    wrapped = azure.wrapped()
    azure.control.break_answers(FaultKind.CORRUPT, azure.key)
    opened = azure.unwrap(wrapped).json()
    assert len(opened["value"]) == len(encoded(DATA_KEY))
    assert opened["value"] != encoded(DATA_KEY)


def test_a_dropped_connection_is_no_answer_and_is_recorded(azure: AzureStand) -> None:
    azure.wrapped()
    azure.control.break_answers(FaultKind.DROP, azure.key, times=1)
    with pytest.raises((ServiceRequestError, ServiceResponseError)):
        azure.wrap()
    azure.wrapped()
    outcomes = [c.outcome for c in azure.control.calls() if c.resource == azure.key]
    assert outcomes == ["Unauthorized", "ok", "aborted", "ok"]


def test_a_slow_vault_delays_its_own_callers_only(azure: AzureStand) -> None:
    azure.wrapped()
    other = azure.control.create_customer()
    quick = azure.client(azure.secret_credential(tenant_id=other.tenant_id), other.vault_url)
    impatient = azure.client(read_timeout=1)
    azure.control.slow(azure.key, 60, "WrapKey")

    def hang() -> None:
        with pytest.raises((ServiceRequestError, ServiceResponseError)):
            azure.wrap(client=impatient)

    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(hang)
        answered = 0
        while not hanging.done():
            assert azure.wrap(other.key, quick).status_code == 200
            answered += 1
        hanging.result()
    assert answered >= 5
    (tally,) = [
        t for t in azure.control.tallies() if (t.operation, t.resource) == ("WrapKey", azure.key)
    ]
    assert tally.in_flight == 1


@pytest.mark.parametrize("operation", ["Token", "OpenIdConfiguration"])
def test_the_login_has_weather_of_its_own_per_tenant(azure: AzureStand, operation: str) -> None:
    for kind in (FaultKind.THROTTLE, FaultKind.INTERNAL, FaultKind.GARBAGE, FaultKind.DROP):
        azure.control.break_answers(kind, azure.tenant, operation, times=1)
        with pytest.raises((ClientAuthenticationError, ServiceRequestError, ServiceResponseError)):
            azure.secret_credential().get_token(SCOPE)
    assert azure.control.faults() == ()
    other = azure.control.create_customer()
    azure.control.break_answers(FaultKind.INTERNAL, azure.tenant)
    azure.secret_credential(tenant_id=other.tenant_id).get_token(SCOPE)


def test_vault_and_login_can_point_elsewhere(azure: AzureStand) -> None:
    azure.wrapped()
    azure.control.redirect(azure.key, "https://elsewhere.invalid/keys/coffer", "GetKey")
    token = azure.secret_credential().get_token(SCOPE).token
    answer = azure.raw("/keys/coffer?api-version=7.4", Authorization=f"Bearer {token}")
    assert answer.status_code == 307
    assert answer.headers["location"] == "https://elsewhere.invalid/keys/coffer"
    azure.control.redirect(azure.tenant, "https://elsewhere.invalid/token", "Token")
    url = f"{azure.info['azure_authority_url']}/{azure.tenant}/oauth2/v2.0/token"
    posted = httpx.post(url, data={"client_id": "x"}, verify=azure.trust, trust_env=False)
    assert (posted.status_code, posted.headers["location"]) == (
        307,
        "https://elsewhere.invalid/token",
    )


async def test_the_async_client_makes_a_round_trip(azure: AzureStand) -> None:
    credential = ClientSecretCredential(
        azure.tenant, azure.client_id, azure.info["azure_client_secret"], **azure.login
    )
    transport = ReroutedAio(azure.info["azure_vault_endpoint_url"], azure.info["azure_ca_file"])
    url = azure.info["azure_vault_url"]
    async with credential, KeyClient(url, credential, transport=transport) as client:
        body = {"alg": "RSA-OAEP-256", "value": encoded(DATA_KEY)}
        for operation in ("wrapkey", "unwrapkey"):
            request = HttpRequest(
                "POST",
                f"{azure.key}/{operation}",
                params={"api-version": API_VERSION},
                json=body,
            )
            answer = await client.send_request(request)
            assert answer.status_code == 200
            body = {**body, "value": answer.json()["value"]}
    assert body["value"] == encoded(DATA_KEY)


class ReroutedAio(AioHttpTransport):  # type: ignore[misc]  # untyped
    """As `Rerouted`, for the async client."""

    def __init__(self, endpoint: str, ca_file: str) -> None:
        super().__init__(connection_verify=ca_file, use_env_settings=False)
        self._endpoint = endpoint

    async def send(self, request: Any, **options: Any) -> Any:
        wanted = request.url
        host = urlsplit(wanted).netloc
        request.headers["Host"] = host
        request.url = wanted.replace(f"https://{host}", self._endpoint, 1)
        try:
            return await super().send(request, **options)
        finally:
            request.url = wanted


def test_who_connects_and_says_nothing_hinders_nobody(
    azure: AzureStand, azure_server: AzureServer
) -> None:
    address = urlsplit(azure_server.url)
    with (
        socket.create_connection((str(address.hostname), address.port or 0)) as silent,
        socket.create_connection((str(address.hostname), address.port or 0)) as plain,
    ):
        plain.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        azure.wrapped()
        plain.settimeout(10)
        assert not plain.recv(1024).startswith(b"HTTP/1.1 200")
        silent.settimeout(0)
        with pytest.raises(BlockingIOError):
            silent.recv(1)


def test_many_threads_share_a_client_without_harm(azure: AzureStand) -> None:
    azure.wrapped()
    azure.control.reset_ledger()

    def round_trip(_: int) -> bool:
        return bool(azure.unwrap(azure.wrapped()).json()["value"] == encoded(DATA_KEY))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(round_trip, range(40)))
    assert azure.control.count("WrapKey", azure.key) == 40
    assert azure.control.count("UnwrapKey", azure.key) == 40


def test_the_log_tells_who_did_what_and_never_a_secret(azure: AzureStand) -> None:
    azure.unwrap(azure.wrapped())
    azure.control.disable(azure.key)
    azure.wrap()
    calls = [call for call in azure.control.calls() if call.resource == azure.key]
    assert [(call.operation, call.outcome) for call in calls] == [
        ("Challenge", "Unauthorized"),
        ("WrapKey", "ok"),
        ("UnwrapKey", "ok"),
        ("WrapKey", "KeyDisabled"),
    ]
    assert {call.caller for call in calls[1:]} == {azure.client_id}
    shown = repr(azure.control.calls())
    for secret in (encoded(DATA_KEY), azure.info["azure_client_secret"], "eyJ"):
        assert secret not in shown


def test_the_control_door_is_shut_without_its_token(azure: AzureStand) -> None:
    url = azure.info["azure_control_url"]
    with AzureControl(url, "guess") as stranger, pytest.raises(ControlError):
        stranger.keys()
