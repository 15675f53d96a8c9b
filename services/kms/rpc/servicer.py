"""The servicer: every rpc of coffer.kms.v1.KmsService, put together from its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coffer.kms.v1 import kms_pb2_grpc

from services.kms.rpc.data_keys import DataKeyRpcs
from services.kms.rpc.tenant_kms import TenantKmsRpcs

if TYPE_CHECKING:
    from services.kms.data_keys import DataKeys
    from services.kms.service import TenantKmsService


class KmsServicer(TenantKmsRpcs, DataKeyRpcs, kms_pb2_grpc.KmsServiceServicer):
    """Who may call is decided before."""

    def __init__(self, tenant_kms: TenantKmsService, data_keys: DataKeys) -> None:
        TenantKmsRpcs.__init__(self, tenant_kms)
        DataKeyRpcs.__init__(self, data_keys)
