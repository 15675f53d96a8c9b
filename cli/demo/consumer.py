"""A program that was granted the tenant's values: it fetches them by AccessSecret, over mutual TLS."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import grpc
from coffer.secrets.v1 import secrets_pb2, secrets_pb2_grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from services.common.settings import authorities

if TYPE_CHECKING:
    from cli.local.credentials import Credentials

DEADLINE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why no value was handed out: the gRPC code's name, and the ErrorInfo's reason if there is one."""

    code: str
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.code} {self.reason}".strip()


class Consumer:
    """A channel to secrets under a consumer's certificate. Safe for use by several threads."""

    def __init__(self, credentials: Credentials) -> None:
        """Reads the certificate files; connects when first used. Raises OSError."""
        tls = grpc.ssl_channel_credentials(
            root_certificates=authorities(Path(credentials.ca_file)),
            private_key=Path(credentials.client_key_file).read_bytes(),
            certificate_chain=Path(credentials.client_cert_file).read_bytes(),
        )
        options = (("grpc.enable_http_proxy", 0),)
        self._channel = grpc.secure_channel(credentials.grpc.secrets, tls, options)
        self._secrets = secrets_pb2_grpc.SecretsServiceStub(self._channel)
        self._tenant_id = credentials.tenant_id

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def access(self, name: str) -> secrets_pb2.AccessSecretResponse:
        """The value of a secret in its base environment. Raises grpc.RpcError."""
        request = secrets_pb2.AccessSecretRequest(tenant_id=self._tenant_id, name=name)
        return self._secrets.AccessSecret(request, timeout=DEADLINE_SECONDS)

    def refusal(self, name: str) -> Refusal | None:
        """Ask for a value: None when it was handed out, else why not."""
        try:
            self.access(name)
        except grpc.RpcError as error:
            return _refusal(error)
        return None


def _refusal(error: grpc.RpcError) -> Refusal:
    name = error.code().name
    status = rpc_status.from_call(error)
    for detail in status.details if status is not None else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return Refusal(name, info.reason)
    return Refusal(name)
