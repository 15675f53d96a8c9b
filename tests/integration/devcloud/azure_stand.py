"""A running Azure stand-in with the real clients of everybody involved."""

from __future__ import annotations

import base64
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
from azure.core.pipeline.transport import RequestsTransport
from azure.core.rest import HttpRequest
from azure.identity import ClientSecretCredential
from azure.keyvault.keys import KeyClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from azure.core.credentials import TokenCredential
    from azure.core.rest import HttpResponse

    from devcloud.azure.control import AzureControl

API_VERSION = "7.4"
DATA_KEY = bytes(range(32))


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Rerouted(RequestsTransport):  # type: ignore[misc]  # untyped
    """Sends every vault's requests to the stand-in, which tells the vault by the Host header."""

    def __init__(self, endpoint: str, ca_file: str, read_timeout: float = 20) -> None:
        super().__init__(connection_verify=ca_file, connection_timeout=5, read_timeout=read_timeout)
        self._endpoint = endpoint

    def send(self, request: Any, **options: Any) -> Any:
        wanted = request.url
        request.headers["Host"] = urlsplit(wanted).netloc
        request.url = wanted.replace(f"https://{urlsplit(wanted).netloc}", self._endpoint, 1)
        try:
            return super().send(request, **options)
        finally:
            # The policies above verify the challenge against the vault's own name.
            request.url = wanted


@dataclass(slots=True)
class AzureStand:
    """Clients are closed with the stand."""

    info: dict[str, str]
    control: AzureControl
    _open: list[Callable[[], None]] = field(default_factory=list)
    _vault: KeyClient | None = None

    @property
    def key(self) -> str:
        return self.info["azure_key"]

    @property
    def vault_host(self) -> str:
        return urlsplit(self.key).netloc

    @property
    def client_id(self) -> str:
        return self.info["azure_client_id"]

    @property
    def tenant(self) -> str:
        return self.info["azure_tenant_id"]

    @property
    def login(self) -> dict[str, Any]:
        """What every credential of azure-identity needs to meet the stand-in."""
        return {
            "authority": self.info["azure_authority_url"],
            "disable_instance_discovery": True,
            "connection_verify": self.info["azure_ca_file"],
            "retry_total": 0,
        }

    def secret_credential(self, **changes: str) -> ClientSecretCredential:
        wanted = {
            "tenant_id": self.tenant,
            "client_id": self.client_id,
            "client_secret": self.info["azure_client_secret"],
            **changes,
        }
        credential = ClientSecretCredential(**wanted, **self.login)
        self.closing(credential)
        return credential

    def client(
        self,
        credential: TokenCredential | None = None,
        url: str | None = None,
        *,
        read_timeout: float = 20,
    ) -> KeyClient:
        client = KeyClient(
            url or self.info["azure_vault_url"],
            credential or self.secret_credential(),
            transport=Rerouted(
                self.info["azure_vault_endpoint_url"], self.info["azure_ca_file"], read_timeout
            ),
            retry_total=0,
        )
        self.closing(client)
        return client

    @property
    def vault(self) -> KeyClient:
        if self._vault is None:
            self._vault = self.client()
        return self._vault

    def wrap(self, key: str | None = None, client: KeyClient | None = None) -> HttpResponse:
        body = {"alg": "RSA-OAEP-256", "value": encoded(DATA_KEY)}
        return self.post(f"{key or self.key}/wrapkey", body, client)

    def unwrap(self, wrapped: dict[str, str], client: KeyClient | None = None) -> HttpResponse:
        body = {"alg": "RSA-OAEP-256", "value": wrapped["value"]}
        return self.post(f"{wrapped['kid']}/unwrapkey", body, client)

    def post(
        self,
        url: str,
        body: Any,
        client: KeyClient | None = None,
        params: dict[str, str] | None = None,
    ) -> HttpResponse:
        given = {"api-version": API_VERSION} if params is None else params
        request = HttpRequest("POST", url, params=given, json=body)
        return (client or self.vault).send_request(request)

    def wrapped(self) -> dict[str, str]:
        answer = self.wrap()
        assert answer.status_code == 200, answer.text()
        found: dict[str, str] = answer.json()
        return found

    @property
    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.info["azure_ca_file"])

    def raw(self, path: str, **headers: str) -> httpx.Response:
        """A GET of the vault without the SDK."""
        return httpx.get(
            f"{self.info['azure_vault_endpoint_url']}{path}",
            headers={"Host": self.vault_host, **headers},
            verify=self.trust,
            trust_env=False,
        )

    def closing(self, client: Any) -> None:
        self._open.append(client.close)

    def close(self) -> None:
        for close in self._open:
            close()


def refused(answer: HttpResponse, status: int, code: str, inner: str | None = None) -> str:
    """Assert exactly this refusal; its text."""
    error = answer.json()["error"]
    found = (answer.status_code, error["code"], error.get("innererror", {}).get("code"))
    assert found == (status, code, inner)
    return str(error["message"])
