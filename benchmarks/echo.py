"""The bare rpc: AccessSecret that returns a constant. The limit of any service that is one process.

As the services it is grpc.aio on uvloop, with their channel options, mutual TLS and message types; it has
no interceptor, no policy, no database and no crypto.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import grpc
import uvloop
from coffer.secrets.v1 import secrets_pb2

from benchmarks.children import answer, read_order
from services.common.rpc.server import OPTIONS

SERVICE = "coffer.secrets.v1.SecretsService"


def handler(value: str) -> grpc.GenericRpcHandler:
    """AccessSecret that answers with the constant, in a message as long as a real answer."""

    async def access(
        request: secrets_pb2.AccessSecretRequest, _context: object
    ) -> secrets_pb2.AccessSecretResponse:
        return secrets_pb2.AccessSecretResponse(
            secret_id="00000000-0000-4000-8000-000000000000",
            name=request.name,
            secret_type="string",
            environment="production",
            value_version=1,
            value=value,
        )

    rpc = grpc.unary_unary_rpc_method_handler(
        access,
        request_deserializer=secrets_pb2.AccessSecretRequest.FromString,
        response_serializer=secrets_pb2.AccessSecretResponse.SerializeToString,
    )
    return grpc.method_handlers_generic_handler(SERVICE, {"AccessSecret": rpc})


def credentials(order: dict[str, Any]) -> grpc.ServerCredentials:
    """Mutual TLS with the ordered files."""
    return grpc.ssl_server_credentials(
        [(Path(order["key_file"]).read_bytes(), Path(order["cert_file"]).read_bytes())],
        root_certificates=Path(order["ca_file"]).read_bytes(),
        require_client_auth=True,
    )


async def serve(order: dict[str, Any]) -> None:
    """Until standard input is closed."""
    server = grpc.aio.server(handlers=[handler(order["value"])], options=OPTIONS)
    port = server.add_secure_port("127.0.0.1:0", credentials(order))
    await server.start()
    answer({"address": f"127.0.0.1:{port}"})
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await server.stop(0)


if __name__ == "__main__":
    uvloop.run(serve(read_order()))
