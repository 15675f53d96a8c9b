"""Amazon Resource Names: `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`."""

from __future__ import annotations

from dataclasses import dataclass

_PARTS = 6
_PARTITIONS = (
    ("cn-", "aws-cn"),
    ("us-gov-", "aws-us-gov"),
    ("us-isob-", "aws-iso-b"),
    ("us-isof-", "aws-iso-f"),
    ("us-iso-", "aws-iso"),
    ("eu-isoe-", "aws-iso-e"),
    ("eusc-", "aws-eusc"),
)


@dataclass(frozen=True, slots=True)
class Arn:
    """The six parts; `str` gives the ARN back. Region and account may be empty (IAM has none)."""

    partition: str
    service: str
    region: str
    account: str
    resource: str

    def __str__(self) -> str:
        return f"arn:{self.partition}:{self.service}:{self.region}:{self.account}:{self.resource}"


def parse_arn(text: str) -> Arn:
    """Split an ARN. Raises ValueError; the parts' content is not checked."""
    parts = text.split(":", _PARTS - 1)
    if len(parts) != _PARTS or parts[0] != "arn" or not parts[1] or not parts[5]:
        raise ValueError("not an ARN")
    return Arn(*parts[1:])


def partition_of(region: str) -> str:
    """The partition a region belongs to, by its prefix; `aws` where none is known."""
    for prefix, partition in _PARTITIONS:
        if region.startswith(prefix):
            return partition
    return "aws"


def key_arn(region: str, account: str, key_id: str) -> str:
    """The ARN of a KMS key."""
    return str(Arn(partition_of(region), "kms", region, account, f"key/{key_id}"))


def alias_arn(region: str, account: str, name: str) -> str:
    """The ARN of a KMS alias; `name` begins with `alias/`."""
    return str(Arn(partition_of(region), "kms", region, account, name))


def iam_arn(partition: str, account: str, resource: str) -> str:
    """The ARN of a user (`user/NAME`) or role (`role/NAME`)."""
    return str(Arn(partition, "iam", "", account, resource))
