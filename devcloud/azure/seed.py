"""What a fresh stand-in contains: the operator who runs the product, and one of its customers.

The operator has a tenant with a multi-tenant application (secret and federated credential), a
managed identity of its host and a vault of its own that both may use. The customer has a tenant
that consented to the application, and a vault where the application may use the key.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from devcloud.azure.model import ALL_PERMISSIONS, AccessModel, Federation
from devcloud.stored_cloud import UnknownThingError

if TYPE_CHECKING:
    from devcloud.azure.cloud import Cloud

KEY_NAME = "coffer"
KEY_BITS = 2048
FEDERATION = Federation(
    issuer="https://oidc.cluster.example.com/",
    subject="system:serviceaccount:coffer:kms",
)
ASSERTION_SECONDS = 30 * 86_400


@dataclass(frozen=True, slots=True)
class Customer:
    """One customer's side. `key` is the key's identifier without a version."""

    tenant_id: str
    vault_url: str
    key: str


def create_customer(
    cloud: Cloud,
    *,
    client_id: str,
    access: AccessModel = AccessModel.RBAC,
    managed_hsm: bool = False,
) -> Customer:
    """A tenant that consented to the application, with a vault and key it may use."""
    tenant_id = cloud.create_tenant()
    cloud.consent(client_id, tenant_id)
    return _create_key(cloud, tenant_id, (client_id,), access, managed_hsm=managed_hsm)


def sow(cloud: Cloud) -> None:
    """Fill an empty cloud; does nothing to one that was filled before.

    The note that it was filled is written last: a start that is killed half-way fills it anew.
    """
    if cloud.seed:
        return
    operator = cloud.create_tenant()
    app = cloud.create_app(operator, (FEDERATION,))
    identity = cloud.create_identity(operator)
    own = _create_key(cloud, operator, (app.client_id, identity.client_id), AccessModel.RBAC)
    customer = create_customer(cloud, client_id=app.client_id)
    cloud.remember_seed(
        {
            "azure_tenant_id": customer.tenant_id,
            "azure_vault_url": customer.vault_url,
            "azure_key": customer.key,
            "azure_client_id": app.client_id,
            "azure_application_id": app.client_id,
            "azure_operator_tenant_id": operator,
            "azure_operator_vault_url": own.vault_url,
            "azure_operator_key": own.key,
            "azure_identity_client_id": identity.client_id,
        }
    )


def announcement(cloud: Cloud) -> dict[str, str]:
    """What a ready file tells of the seed, the application's secret included.

    Empty for a cloud that was never filled.
    """
    seed = cloud.seed
    if not seed:
        return {}
    app = cloud.app(seed["azure_application_id"])
    if app is None:
        raise UnknownThingError("the seeded application is missing from the state file")
    return {**seed, "azure_client_secret": app.secrets[0]}


def _create_key(
    cloud: Cloud,
    tenant_id: str,
    clients: tuple[str, ...],
    access: AccessModel,
    *,
    managed_hsm: bool = False,
) -> Customer:
    suffix = "managedhsm.azure.net" if managed_hsm else "vault.azure.net"
    host = f"kv-{secrets.token_hex(6)}.{suffix}"
    grants = dict.fromkeys(clients, ALL_PERMISSIONS)
    cloud.create_vault(host, tenant_id=tenant_id, access=access, grants=grants)
    kty = "RSA-HSM" if managed_hsm else "RSA"
    key = cloud.create_key(host, KEY_NAME, kty=kty, bits=KEY_BITS, key_ops=None)
    return Customer(tenant_id, f"https://{host}", key.url)
