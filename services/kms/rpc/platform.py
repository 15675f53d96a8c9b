"""The rpcs of the operator: turning the platform's own key, and signing heads of audit chains."""

# ruff: noqa: N802, ARG002 - names and signatures are those of the generated base class
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from coffer.kms.v1 import kms_pb2
from google.protobuf import json_format

from services.common.identity import current_call
from services.kms.papers import payload_of
from services.kms.rpc.words import tenant

if TYPE_CHECKING:
    from services.kms.lifecycle.heads import AuditHeads
    from services.kms.lifecycle.rekeying import Rekeying


class PlatformRpcs:
    """Turn the platform's key, sign heads."""

    def __init__(self, rekeying: Rekeying, heads: AuditHeads) -> None:
        self._rekeying = rekeying
        self._heads = heads

    async def RekeyPlatform(
        self, request: kms_pb2.RekeyPlatformRequest, context: Any
    ) -> kms_pb2.RekeyPlatformResponse:
        """One page."""
        done = await self._rekeying.page(current_call(), request.cursor, request.limit)
        return kms_pb2.RekeyPlatformResponse(
            next_cursor=done.next_cursor,
            examined=done.examined,
            rewrapped=done.rewrapped,
            current=done.current,
            failed=done.failed,
            total=done.total,
            failed_tenant_ids=[str(tenant_id) for tenant_id in done.failed_tenant_ids],
        )

    async def SignAuditHead(
        self, request: kms_pb2.SignAuditHeadRequest, context: Any
    ) -> kms_pb2.SignAuditHeadResponse:
        """A signed head; the statement is read from the paper itself, so that the two cannot differ."""
        jws = await self._heads.sign(tenant(request.tenant_id))
        statement = json_format.ParseDict(payload_of(jws), kms_pb2.AuditHeadStatement())
        return kms_pb2.SignAuditHeadResponse(statement=statement, jws=jws)
