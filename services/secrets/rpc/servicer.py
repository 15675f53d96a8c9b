"""The servicer: every rpc of coffer.secrets.v1.SecretsService, put together from its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coffer.secrets.v1 import secrets_pb2_grpc

from services.secrets.rpc.access import AccessRpcs
from services.secrets.rpc.account import AccountRpcs
from services.secrets.rpc.api_keys import ApiKeyRpcs
from services.secrets.rpc.audit_logs import AuditLogRpcs
from services.secrets.rpc.collections import CollectionRpcs
from services.secrets.rpc.environments import EnvironmentRpcs
from services.secrets.rpc.secrets import SecretRpcs
from services.secrets.rpc.values import ValueRpcs

if TYPE_CHECKING:
    from services.secrets.accessing import Accessor
    from services.secrets.audit_logs import AuditLogs
    from services.secrets.changing import Changer
    from services.secrets.collections import Collections
    from services.secrets.deleting import Deleter
    from services.secrets.environments import Environments
    from services.secrets.foreground import Foreground
    from services.secrets.history import History
    from services.secrets.rewrap_batch import RewrapBatch
    from services.secrets.service import SecretsService
    from services.secrets.tenancy.account import AccountView
    from services.secrets.tenancy.api_keys import ApiKeyRegistry
    from services.secrets.verifying import VerifyBatch
    from services.secrets.writing import Writer


class SecretsServicer(
    SecretRpcs,
    ValueRpcs,
    EnvironmentRpcs,
    CollectionRpcs,
    ApiKeyRpcs,
    AccountRpcs,
    AuditLogRpcs,
    AccessRpcs,
    secrets_pb2_grpc.SecretsServiceServicer,
):
    """Who may call is decided before."""

    def __init__(
        self,
        *,
        service: SecretsService,
        changer: Changer,
        deleter: Deleter,
        writer: Writer,
        history: History,
        environments: Environments,
        collections: Collections,
        api_keys: ApiKeyRegistry,
        account: AccountView,
        audit_logs: AuditLogs,
        accessor: Accessor,
        rewrap_batch: RewrapBatch,
        verify_batch: VerifyBatch,
        foreground: Foreground,
    ) -> None:
        SecretRpcs.__init__(self, service, changer, deleter, foreground)
        ValueRpcs.__init__(self, writer, history, foreground)
        EnvironmentRpcs.__init__(self, environments)
        CollectionRpcs.__init__(self, collections)
        ApiKeyRpcs.__init__(self, api_keys)
        AccountRpcs.__init__(self, account)
        AuditLogRpcs.__init__(self, audit_logs)
        AccessRpcs.__init__(self, accessor, rewrap_batch, verify_batch, foreground)
