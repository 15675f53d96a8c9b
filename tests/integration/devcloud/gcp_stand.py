"""A running Google Cloud stand-in with the real clients of everybody involved."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import google.auth.impersonated_credentials
import google_crc32c
import grpc
import pytest
import requests
from google.api_core.exceptions import GoogleAPICallError
from google.auth.transport.requests import Request
from google.cloud import kms_v1
from google.cloud.kms_v1.services.key_management_service import transports
from google.oauth2.credentials import Credentials

if TYPE_CHECKING:
    from collections.abc import Callable

    from devcloud.gcp.control import GcpControl

AAD = b"tenant=t1;key=k1"
SCOPES = ["https://www.googleapis.com/auth/cloudkms"]
_HEADERS = {"Metadata-Flavor": "Google"}
_TIMEOUT = 10.0


@dataclass(slots=True)
class GcpStand:
    """Clients are closed with the stand."""

    info: dict[str, Any]
    control: GcpControl
    _open: list[Callable[[], None]] = field(default_factory=list)

    @property
    def key(self) -> str:
        return str(self.info["gcp_key"])

    @property
    def account(self) -> str:
        return str(self.info["gcp_service_account"])

    @property
    def operator(self) -> str:
        return str(self.info["gcp_principal"])

    @property
    def ca(self) -> bytes:
        with open(self.info["gcp_ca_file"], "rb") as file:  # noqa: PTH123
            return file.read()

    def session(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        session.verify = self.info["gcp_ca_file"]
        self._open.append(session.close)
        return session

    def ambient_token(self, **params: str) -> str:
        """The operator's own token, as its machine hands it out."""
        answer = self.session().get(
            f"http://{self.info['gcp_metadata_host']}/computeMetadata/v1/"
            "instance/service-accounts/default/token",
            headers=_HEADERS,
            params=params,
            timeout=_TIMEOUT,
        )
        return str(answer.json()["access_token"])

    def impersonate(
        self, email: str | None = None, *, source: str | None = None, lifetime: int = 900
    ) -> Any:
        """Google's own credentials class, its token already fetched. Raises RefreshError."""
        email = email or self.account
        # Untyped libraries: called as Any, so that strict checking accepts it.
        impersonated: Any = google.auth.impersonated_credentials.Credentials
        credentials = impersonated(
            source_credentials=token_credentials(source or self.ambient_token()),
            target_principal=email,
            target_scopes=SCOPES,
            lifetime=lifetime,
            iam_endpoint_override=f"{self.info['gcp_iam_endpoint_url']}/v1/projects/-/"
            f"serviceAccounts/{email}:generateAccessToken",
        )
        credentials.refresh(Request(self.session()))
        return credentials

    def token(self, email: str | None = None) -> str:
        return str(self.impersonate(email).token)

    def kms(self, token: str | None = None) -> kms_v1.KeyManagementServiceClient:
        transport = transports.KeyManagementServiceGrpcTransport(
            host=self.info["gcp_kms_endpoint"],
            credentials=token_credentials(token or self.token()),
            ssl_channel_credentials=grpc.ssl_channel_credentials(self.ca),
        )
        self._open.append(transport.close)
        return kms_v1.KeyManagementServiceClient(transport=transport)

    def encrypt(
        self,
        client: kms_v1.KeyManagementServiceClient,
        plaintext: bytes = b"x" * 32,
        *,
        name: str | None = None,
        aad: bytes = AAD,
    ) -> kms_v1.EncryptResponse:
        return client.encrypt(
            request={
                "name": name or self.key,
                "plaintext": plaintext,
                "additional_authenticated_data": aad,
                "plaintext_crc32c": google_crc32c.value(plaintext),
                "additional_authenticated_data_crc32c": google_crc32c.value(aad),
            },
            retry=None,
            timeout=_TIMEOUT,
        )

    def decrypt(
        self,
        client: kms_v1.KeyManagementServiceClient,
        ciphertext: bytes,
        *,
        name: str | None = None,
        aad: bytes = AAD,
    ) -> kms_v1.DecryptResponse:
        return client.decrypt(
            request={
                "name": name or self.key,
                "ciphertext": ciphertext,
                "additional_authenticated_data": aad,
                "ciphertext_crc32c": google_crc32c.value(ciphertext),
            },
            retry=None,
            timeout=_TIMEOUT,
        )

    def close(self) -> None:
        for one in self._open:
            one()


def token_credentials(token: str) -> Any:
    """The real credentials class for a token one has."""
    kind: Any = Credentials
    return kind(token)


def refused(call: Callable[[], Any]) -> GoogleAPICallError:
    """The error with which the real client ends."""
    with pytest.raises(GoogleAPICallError) as caught:
        call()
    return caught.value


def code(error: GoogleAPICallError) -> str:
    """The canonical code's name."""
    assert error.grpc_status_code is not None
    return error.grpc_status_code.name
