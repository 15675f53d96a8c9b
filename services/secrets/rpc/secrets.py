"""The rpcs of secrets as they are listed: create, list, look, change, delete."""

# ruff: noqa: N802 - names are those of the rpcs
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from coffer.secrets.v1 import secrets_pb2

from services.common.identity import current_call
from services.common.rpc.answering import answer
from services.secrets.foreground import CERTIFICATE, CREATE
from services.secrets.rpc import replies, requests

if TYPE_CHECKING:
    from services.secrets.changing import Changer
    from services.secrets.deleting import Deleter
    from services.secrets.foreground import Foreground
    from services.secrets.model import SecretRow
    from services.secrets.service import SecretsService

_CERTIFICATE = "certificate"


class SecretRpcs:
    """Each is one use case. Policy has been enforced before it is called."""

    def __init__(
        self, service: SecretsService, changer: Changer, deleter: Deleter, foreground: Foreground
    ) -> None:
        self._service = service
        self._changer = changer
        self._deleter = deleter
        self._foreground = foreground

    async def CreateSecret(
        self, request: secrets_pb2.CreateSecretRequest, _context: Any
    ) -> secrets_pb2.CreateSecretResponse:
        """Store a new secret of any type."""
        kind = CERTIFICATE if request.secret_type == _CERTIFICATE else CREATE
        with self._foreground.call(kind):
            asked = requests.create_secret(request)
            return await answer(lambda call: self._service.create(call, asked), _created)

    async def CreateCertificate(
        self, request: secrets_pb2.CreateCertificateRequest, _context: Any
    ) -> secrets_pb2.CreatedCertificate:
        """Store a new certificate."""
        with self._foreground.call(CERTIFICATE):
            asked = requests.create_certificate(request)
            return await answer(
                lambda call: self._service.create(call, asked), replies.created_certificate
            )

    async def ListSecrets(
        self, request: secrets_pb2.ListSecretsRequest, _context: Any
    ) -> secrets_pb2.ListSecretsResponse:
        """A page of secrets, or a piece of the list."""
        page, listing = await self._service.list(current_call(), requests.list_secrets(request))
        return replies.listed(page, listing)

    async def GetSecret(
        self, request: secrets_pb2.GetSecretRequest, _context: Any
    ) -> secrets_pb2.SecretDetail:
        """One secret."""
        return replies.detail(*await self._service.get(current_call(), request.id))

    async def UpdateSecret(
        self, request: secrets_pb2.UpdateSecretRequest, _context: Any
    ) -> secrets_pb2.Secret:
        """Change what is in clear."""
        asked = requests.update_secret(request)
        return await answer(lambda call: self._changer.change(call, asked), replies.secret)

    async def DeleteSecret(
        self, request: secrets_pb2.DeleteSecretRequest, _context: Any
    ) -> secrets_pb2.DeleteSecretResponse:
        """Delete softly."""
        return await answer(
            lambda call: self._deleter.delete(call, request.id),
            lambda _: secrets_pb2.DeleteSecretResponse(deleted=True),
        )

    async def RestoreSecret(
        self, request: secrets_pb2.RestoreSecretRequest, _context: Any
    ) -> secrets_pb2.Secret:
        """Undo a deletion."""
        base = request.base_environment if request.HasField("base_environment") else None
        return await answer(
            lambda call: self._deleter.restore(call, request.id, base), replies.secret
        )


def _created(row: SecretRow) -> secrets_pb2.CreateSecretResponse:
    if row.secret_type == _CERTIFICATE:
        return secrets_pb2.CreateSecretResponse(certificate=replies.created_certificate(row))
    return secrets_pb2.CreateSecretResponse(secret=replies.created_secret(row))
