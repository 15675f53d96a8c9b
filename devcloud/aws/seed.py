"""What a fresh stand-in contains: the operator who runs the product, and one of its customers."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from devcloud.aws.arn import Arn, partition_of
from devcloud.stored_cloud import UnknownThingError

if TYPE_CHECKING:
    from devcloud.aws.cloud import Cloud

# Account numbers of AWS's own documentation: nobody's real account.
OPERATOR_ACCOUNT = "111122223333"
CUSTOMER_ACCOUNT = "444455556666"
DEFAULT_REGION = "eu-central-1"
DEFAULT_EXTERNAL_ID = "coffer-example"
ALIAS = "alias/coffer"
ROLE_NAME = "coffer-kms-access"
ROLE_ACTIONS = ("kms:Encrypt", "kms:Decrypt", "kms:DescribeKey")
"""What a customer is asked to grant."""
_ACCOUNT_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Customer:
    """One customer's side: a symmetric key with an alias, and a role the operator may assume."""

    account: str
    region: str
    key_arn: str
    alias_arn: str
    role_arn: str
    external_id: str


def create_customer(
    cloud: Cloud, *, operator_arn: str, external_id: str, region: str, account: str | None = None
) -> Customer:
    """Make a customer account that trusts the operator; a free account number by default."""
    account = account or _free_account(cloud)
    key = cloud.create_key(account=account, region=region)
    role = cloud.create_role(
        account=account,
        region=region,
        name=ROLE_NAME,
        trusted=(operator_arn,),
        external_id=external_id,
        actions=ROLE_ACTIONS,
        # Every key of the account: its owner may change keys without editing the role.
        resources=(str(Arn(partition_of(region), "kms", "*", account, "key/*")),),
    )
    return Customer(
        account=account,
        region=region,
        key_arn=key.arn,
        alias_arn=cloud.point_alias(account=account, region=region, name=ALIAS, key_arn=key.arn),
        role_arn=role.arn,
        external_id=external_id,
    )


def sow(cloud: Cloud, *, region: str, external_id: str) -> None:
    """Fill an empty cloud; does nothing to one that was filled before.

    The note that it was filled is written last: a start that is killed half-way fills it anew.
    """
    if cloud.seed:
        return
    actions = ("kms:*", "sts:*")
    operator = cloud.create_user(
        account=OPERATOR_ACCOUNT, region=region, name="coffer", actions=actions
    )
    customer = create_customer(
        cloud,
        operator_arn=operator.arn,
        external_id=external_id,
        region=region,
        account=CUSTOMER_ACCOUNT,
    )
    owner = cloud.create_user(
        account=CUSTOMER_ACCOUNT, region=region, name="owner", actions=actions
    )
    cloud.remember_seed(
        {
            "operator_arn": operator.arn,
            "operator_access_key_id": operator.access_key_id,
            "owner_access_key_id": owner.access_key_id,
            "region": region,
            "key_arn": customer.key_arn,
            "alias_arn": customer.alias_arn,
            "role_arn": customer.role_arn,
        }
    )


def announcement(cloud: Cloud) -> dict[str, str]:
    """What a ready file tells of the seed, the credentials of both sides included.

    Empty for a cloud that was never filled. The external id is the role's present one.
    """
    seed = cloud.seed
    if not seed:
        return {}
    operator = cloud.user(seed["operator_access_key_id"])
    owner = cloud.user(seed["owner_access_key_id"])
    role = cloud.role(seed["role_arn"])
    if operator is None or owner is None or role is None:
        raise UnknownThingError("the seeded user or role is missing from the state file")
    return {
        "aws_region": seed["region"],
        "aws_access_key_id": operator.access_key_id,
        "aws_secret_access_key": operator.secret_access_key,
        "aws_principal_arn": operator.arn,
        "aws_operator_account": OPERATOR_ACCOUNT,
        "aws_key_arn": seed["key_arn"],
        "aws_alias_arn": seed["alias_arn"],
        "aws_role_arn": role.arn,
        "aws_external_id": role.external_id or "",
        "aws_customer_access_key_id": owner.access_key_id,
        "aws_customer_secret_access_key": owner.secret_access_key,
    }


def _free_account(cloud: Cloud) -> str:
    taken = {key.account for key in cloud.all_keys()}
    while True:
        account = str(
            secrets.randbelow(9 * 10 ** (_ACCOUNT_DIGITS - 1)) + 10 ** (_ACCOUNT_DIGITS - 1)
        )
        if account not in taken:
            return account
