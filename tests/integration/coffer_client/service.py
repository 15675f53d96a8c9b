"""A service that fails as it is told to, over real gRPC and mutual TLS."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc
from coffer.secrets.v1 import secrets_pb2, secrets_pb2_grpc
from grpc_status import rpc_status

from services.common.rpc.status import to_status

if TYPE_CHECKING:
    from services.common.errors import CofferError
    from services.common.settings import TlsFiles


@dataclass
class Failing(secrets_pb2_grpc.SecretsServiceServicer):
    """Answers with `errors`, one after the other, then with a value."""

    errors: list[CofferError] = field(default_factory=list)
    keys: list[Any] = field(default_factory=list)
    """The idempotency key of each call."""
    peers: list[str] = field(default_factory=list)
    """Who called, by the certificate."""

    async def AccessSecret(
        self, request: secrets_pb2.AccessSecretRequest, context: Any
    ) -> secrets_pb2.AccessSecretResponse:
        await self._meet(context)
        return secrets_pb2.AccessSecretResponse(name=request.name, value="x", value_version=1)

    async def CreateSecret(
        self, request: secrets_pb2.CreateSecretRequest, context: Any
    ) -> secrets_pb2.CreateSecretResponse:
        await self._meet(context)
        return secrets_pb2.CreateSecretResponse(
            secret=secrets_pb2.CreatedSecret(id="1", name=request.name)
        )

    async def _meet(self, context: Any) -> None:
        metadata = dict(context.invocation_metadata())
        self.keys.append(metadata.get("idempotency-key"))
        self.peers += [uri.decode() for uri in context.auth_context()["peer_spiffe_id"]]
        if self.errors:
            status = to_status(self.errors.pop(0), "coffer.secrets")
            await context.abort_with_status(rpc_status.to_status(status))


def failing_service() -> Failing:
    """One that does not fail yet."""
    return Failing()  # type: ignore[abstract]


async def start(failing: Failing, tls: TlsFiles, port: int = 0) -> tuple[grpc.aio.Server, int]:
    """A server and its port."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    secrets_pb2_grpc.add_SecretsServiceServicer_to_server(failing, server)
    credentials = grpc.ssl_server_credentials(
        [(tls.key.read_bytes(), tls.certificate.read_bytes())], tls.ca.read_bytes(), True
    )
    bound = server.add_secure_port(f"127.0.0.1:{port}", credentials)
    await server.start()
    return server, bound
