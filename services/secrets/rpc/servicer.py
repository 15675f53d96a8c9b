"""The servicer: each rpc is one use case. Policy has been enforced before it is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from coffer.secrets.v1 import secrets_pb2, secrets_pb2_grpc

from services.common.identity import current_call
from services.secrets.rpc import replies, requests

if TYPE_CHECKING:
    from services.secrets.accessing import Accessor
    from services.secrets.rewrap_batch import RewrapBatch
    from services.secrets.service import SecretsService

_CERTIFICATE = "certificate"


class SecretsServicer(secrets_pb2_grpc.SecretsServiceServicer):
    """`coffer.secrets.v1.SecretsService`."""

    def __init__(
        self, service: SecretsService, accessor: Accessor, rewrap_batch: RewrapBatch
    ) -> None:
        self._service = service
        self._accessor = accessor
        self._rewrap_batch = rewrap_batch

    async def CreateSecret(  # noqa: N802 - the rpc's name
        self, request: secrets_pb2.CreateSecretRequest, _context: Any
    ) -> secrets_pb2.CreateSecretResponse:
        """Store a new secret of any type."""
        row = await self._service.create(current_call(), requests.create_secret(request))
        if row.secret_type == _CERTIFICATE:
            return secrets_pb2.CreateSecretResponse(certificate=replies.created_certificate(row))
        return secrets_pb2.CreateSecretResponse(secret=replies.created_secret(row))

    async def CreateCertificate(  # noqa: N802
        self, request: secrets_pb2.CreateCertificateRequest, _context: Any
    ) -> secrets_pb2.CreatedCertificate:
        """Store a new certificate."""
        row = await self._service.create(current_call(), requests.create_certificate(request))
        return replies.created_certificate(row)

    async def ListSecrets(  # noqa: N802
        self, request: secrets_pb2.ListSecretsRequest, _context: Any
    ) -> secrets_pb2.ListSecretsResponse:
        """A page of secrets."""
        page, listing = await self._service.list(current_call(), requests.list_secrets(request))
        return replies.listed(page, listing)

    async def GetSecret(  # noqa: N802
        self, request: secrets_pb2.GetSecretRequest, _context: Any
    ) -> secrets_pb2.SecretDetail:
        """One secret."""
        return replies.detail(*await self._service.get(current_call(), request.id))

    async def PutSecretValue(  # noqa: N802
        self, request: secrets_pb2.PutSecretValueRequest, _context: Any
    ) -> secrets_pb2.PutSecretValueResponse:
        """A new value."""
        asked = requests.put_value(request)
        version = await self._service.put_value(current_call(), asked)
        return replies.stored(request.id.lower(), version)

    async def DeleteSecret(  # noqa: N802
        self, request: secrets_pb2.DeleteSecretRequest, _context: Any
    ) -> secrets_pb2.DeleteSecretResponse:
        """Delete softly."""
        await self._service.delete(current_call(), request.id)
        return secrets_pb2.DeleteSecretResponse(deleted=True)

    async def AccessSecret(  # noqa: N802
        self, request: secrets_pb2.AccessSecretRequest, _context: Any
    ) -> secrets_pb2.AccessSecretResponse:
        """A value in clear, for a consumer with a grant."""
        tenant_id, question = requests.access(request, current_call())
        return replies.answer(await self._accessor.access(tenant_id, question))

    async def RewrapBatch(  # noqa: N802
        self, request: secrets_pb2.RewrapBatchRequest, _context: Any
    ) -> secrets_pb2.RewrapBatchResponse:
        """One batch of a rewrap."""
        return replies.rewrapped(await self._rewrap_batch.run(requests.rewrap(request)))
