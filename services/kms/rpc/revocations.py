"""The rpcs of erasure and its proof: protobuf to use cases and back."""

# ruff: noqa: N802, ARG002 - names and signatures are those of the generated base class
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from coffer.kms.v1 import kms_pb2
from google.protobuf import json_format

from services.common.identity import current_call
from services.common.rpc.answering import answer
from services.kms.papers import payload_of

if TYPE_CHECKING:
    from services.kms.lifecycle.revoking import Revoking
    from services.kms.papers import Papers


class RevocationRpcs:
    """Revoke a version, look at its receipt, and the keys that verify it."""

    def __init__(self, revoking: Revoking, papers: Papers) -> None:
        self._revoking = revoking
        self._papers = papers

    async def RevokeKeyVersion(
        self, request: kms_pb2.RevokeKeyVersionRequest, context: Any
    ) -> kms_pb2.RevokeKeyVersionResponse:
        """POST /admin/tenant-kms/keys/{version}/revoke."""
        return await answer(
            lambda call: self._revoking.revoke(
                call, request.version, confirm=request.confirm, force=request.force
            ),
            lambda receipt: kms_pb2.RevokeKeyVersionResponse(
                revoked=True, version=request.version, receipt=_receipt(receipt)
            ),
        )

    async def GetRevocationReceipt(
        self, request: kms_pb2.GetRevocationReceiptRequest, context: Any
    ) -> kms_pb2.GetRevocationReceiptResponse:
        """GET /admin/tenant-kms/keys/{version}/receipt."""
        receipt = await self._revoking.receipt(current_call(), request.version)
        return kms_pb2.GetRevocationReceiptResponse(receipt=_receipt(receipt))

    async def GetSigningKeys(
        self, request: kms_pb2.GetSigningKeysRequest, context: Any
    ) -> kms_pb2.GetSigningKeysResponse:
        """GET /.well-known/coffer-signing-keys."""
        key = kms_pb2.GetSigningKeysResponse.Key
        return kms_pb2.GetSigningKeysResponse(
            keys=[
                key(kty="OKP", crv="Ed25519", kid=one.kid, x=one.x, alg="EdDSA", use="sig")
                for one in self._papers.public_keys
            ]
        )


def _receipt(jws: str) -> kms_pb2.RevocationReceipt:
    """The paper and what it says: read from the paper itself, so that the two cannot differ."""
    statement = json_format.ParseDict(
        payload_of(jws), kms_pb2.RevocationStatement(), ignore_unknown_fields=True
    )
    return kms_pb2.RevocationReceipt(statement=statement, jws=jws)
