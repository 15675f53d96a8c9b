"""The servicer: every rpc of coffer.kms.v1.KmsService, put together from its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coffer.kms.v1 import kms_pb2_grpc

from services.kms.rpc.data_keys import DataKeyRpcs
from services.kms.rpc.platform import PlatformRpcs
from services.kms.rpc.revocations import RevocationRpcs
from services.kms.rpc.rewrap_reports import RewrapReportRpcs
from services.kms.rpc.tenant_kms import TenantKmsRpcs

if TYPE_CHECKING:
    from services.kms.data_keys import DataKeys
    from services.kms.lifecycle.heads import AuditHeads
    from services.kms.lifecycle.rekeying import Rekeying
    from services.kms.lifecycle.revoking import Revoking
    from services.kms.lifecycle.rewrap_reports import RewrapReports
    from services.kms.papers import Papers
    from services.kms.service import TenantKmsService


class KmsServicer(
    TenantKmsRpcs,
    DataKeyRpcs,
    RevocationRpcs,
    RewrapReportRpcs,
    PlatformRpcs,
    kms_pb2_grpc.KmsServiceServicer,
):
    """Who may call is decided before."""

    def __init__(
        self,
        tenant_kms: TenantKmsService,
        data_keys: DataKeys,
        revoking: Revoking,
        papers: Papers,
        *,
        rekeying: Rekeying,
        heads: AuditHeads,
        reports: RewrapReports,
    ) -> None:
        TenantKmsRpcs.__init__(self, tenant_kms)
        DataKeyRpcs.__init__(self, data_keys)
        RevocationRpcs.__init__(self, revoking, papers)
        RewrapReportRpcs.__init__(self, reports)
        PlatformRpcs.__init__(self, rekeying, heads)
