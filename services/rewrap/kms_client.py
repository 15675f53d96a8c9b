"""kms, asked over gRPC to sign the report of a rewrap that has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import grpc
from coffer.kms.v1 import kms_pb2, kms_pb2_grpc

from services.common.rpc.channel import onward
from services.common.rpc.status import from_rpc_error

if TYPE_CHECKING:
    from services.rewrap.model import LeaseRef

_SIGN_SECONDS: Final = 20.0
"""Deadline: kms counts the tenant's data keys for it, about 1 s per million."""


class KmsClient:
    """The port `Reports`, on a channel that belongs to the running event loop."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = kms_pb2_grpc.KmsServiceStub(channel)

    async def sign_report(self, ref: LeaseRef) -> None:
        """Have the report made and kept. Raises CofferError; it is made later then, when it is asked for."""
        request = kms_pb2.SignRewrapReportRequest(
            tenant_id=str(ref.tenant_id), lease_id=ref.lease_id
        )
        try:
            await self._stub.SignRewrapReport(request, **onward(_SIGN_SECONDS))
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from error
