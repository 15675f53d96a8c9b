"""The servicer: every rpc of coffer.secrets.v1.SecretsService, put together from its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coffer.secrets.v1 import secrets_pb2_grpc

from services.secrets.rpc.access import AccessRpcs
from services.secrets.rpc.collections import CollectionRpcs
from services.secrets.rpc.environments import EnvironmentRpcs
from services.secrets.rpc.secrets import SecretRpcs
from services.secrets.rpc.values import ValueRpcs

if TYPE_CHECKING:
    from services.secrets.accessing import Accessor
    from services.secrets.collections import Collections
    from services.secrets.environments import Environments
    from services.secrets.rewrap_batch import RewrapBatch
    from services.secrets.service import SecretsService
    from services.secrets.writing import Writer


class SecretsServicer(
    SecretRpcs,
    ValueRpcs,
    EnvironmentRpcs,
    CollectionRpcs,
    AccessRpcs,
    secrets_pb2_grpc.SecretsServiceServicer,
):
    """Who may call is decided before."""

    def __init__(
        self,
        *,
        service: SecretsService,
        writer: Writer,
        environments: Environments,
        collections: Collections,
        accessor: Accessor,
        rewrap_batch: RewrapBatch,
    ) -> None:
        SecretRpcs.__init__(self, service)
        ValueRpcs.__init__(self, writer)
        EnvironmentRpcs.__init__(self, environments)
        CollectionRpcs.__init__(self, collections)
        AccessRpcs.__init__(self, accessor, rewrap_batch)
