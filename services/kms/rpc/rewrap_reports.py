"""The rpcs of the reports of rewraps: protobuf to the use case and back."""

# ruff: noqa: N802, ARG002 - names and signatures are those of the generated base class
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from coffer.kms.v1 import kms_pb2
from google.protobuf import json_format

from services.common.identity import current_call
from services.kms.papers import payload_of
from services.kms.rpc.words import tenant

if TYPE_CHECKING:
    from services.kms.lifecycle.rewrap_reports import RewrapReports


class RewrapReportRpcs:
    """Make a report, show it."""

    def __init__(self, reports: RewrapReports) -> None:
        self._reports = reports

    async def GetRewrapReport(
        self, request: kms_pb2.GetRewrapReportRequest, context: Any
    ) -> kms_pb2.GetRewrapReportResponse:
        """GET /admin/tenant-kms/rewraps/{id}/report; the statement is read from the paper itself, so that
        the two cannot differ.
        """
        call = current_call()
        jws = await self._reports.of(call, call.tenant, request.id)
        statement = json_format.ParseDict(
            payload_of(jws), kms_pb2.RewrapStatement(), ignore_unknown_fields=True
        )
        report = kms_pb2.RewrapReport(statement=statement, jws=jws)
        return kms_pb2.GetRewrapReportResponse(report=report)

    async def SignRewrapReport(
        self, request: kms_pb2.SignRewrapReportRequest, context: Any
    ) -> kms_pb2.SignRewrapReportResponse:
        """Asked for by rewrap when a lease has ended."""
        await self._reports.of(current_call(), tenant(request.tenant_id), request.lease_id)
        return kms_pb2.SignRewrapReportResponse()
