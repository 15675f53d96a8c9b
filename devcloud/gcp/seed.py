"""What a fresh stand-in contains: the operator who runs the product, and one of its customers."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from devcloud.gcp.model import ENCRYPTER_DECRYPTER, TOKEN_CREATOR, VIEWER, account_resource
from devcloud.gcp.names import ring_name

if TYPE_CHECKING:
    from devcloud.gcp.cloud import Cloud

OPERATOR_PROJECT = "coffer-operator"
CUSTOMER_PROJECT = "customer-example"
DEFAULT_LOCATION = "europe-west3"
ACCOUNT_NAME = "coffer-kms"
RING = "coffer"
KEY = "wrapping"
KEY_PERMISSIONS = (*ENCRYPTER_DECRYPTER, *VIEWER)
"""What a customer is asked to grant on the key."""


@dataclass(frozen=True, slots=True)
class Customer:
    """One customer's side: a symmetric key, and a service account the operator may act as."""

    project: str
    location: str
    key_ring: str
    key: str
    service_account: str


def create_customer(
    cloud: Cloud, *, operator: str, location: str = DEFAULT_LOCATION, project: str | None = None
) -> Customer:
    """Make a customer project that trusts the operator; a free project name by default."""
    project = project or f"customer-{secrets.token_hex(4)}"
    ring = ring_name(project, location, RING)
    name = f"{ring}/cryptoKeys/{KEY}"
    key = cloud.key(name) or cloud.create_key(name)
    account = cloud.create_account(project, ACCOUNT_NAME)
    cloud.set_policy(key.name, account.email, allowed=KEY_PERMISSIONS)
    cloud.set_policy(account_resource(account.email), operator, allowed=TOKEN_CREATOR)
    return Customer(
        project=project,
        location=location,
        key_ring=ring,
        key=key.name,
        service_account=account.email,
    )


def sow(cloud: Cloud) -> None:
    """Fill an empty cloud; does nothing to one that was filled before.

    The note that it was filled is written last: a start that is killed half-way is finished by
    the next.
    """
    if cloud.seed:
        return
    operator = cloud.create_account(OPERATOR_PROJECT, ACCOUNT_NAME)
    own = f"{ring_name(OPERATOR_PROJECT, DEFAULT_LOCATION, RING)}/cryptoKeys/platform"
    own_key = cloud.key(own) or cloud.create_key(own)
    cloud.set_policy(own_key.name, operator.email, allowed=KEY_PERMISSIONS)
    customer = create_customer(cloud, operator=operator.email, project=CUSTOMER_PROJECT)
    cloud.remember_seed(
        {
            "operator": operator.email,
            "operator_key": own_key.name,
            "key": customer.key,
            "service_account": customer.service_account,
        }
    )


def announcement(cloud: Cloud) -> dict[str, str]:
    """What a ready file tells of the seed; empty for a cloud that was never filled."""
    seed = cloud.seed
    if not seed:
        return {}
    return {
        "gcp_principal": seed["operator"],
        "gcp_operator_project": OPERATOR_PROJECT,
        "gcp_operator_key": seed["operator_key"],
        "gcp_key": seed["key"],
        "gcp_service_account": seed["service_account"],
    }
