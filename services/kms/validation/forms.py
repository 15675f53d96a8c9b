"""What the names of keys, principals and vaults look like at each cloud. Pure.

Sources: AWS IAM and KMS User Guides (ARNs), Google Cloud IAM (service accounts, project ids), Azure Key Vault
(object identifiers).
"""

from __future__ import annotations

import re
from typing import Final
from uuid import UUID

# AWS: partitions and the regions that belong to them, by prefix; anything else is `aws`.
_PARTITIONS: Final = {
    "cn-": "aws-cn",
    "us-gov-": "aws-us-gov",
    "us-iso-": "aws-iso",
    "us-isob-": "aws-iso-b",
    "eu-isoe-": "aws-iso-e",
    "us-isof-": "aws-iso-f",
    "eusc-": "aws-eusc",
}
_PARTITION: Final = r"(?P<partition>aws(?:-cn|-us-gov|-iso(?:-[a-z])?|-eusc)?)"
REGION: Final = re.compile(r"[a-z]{2,4}(?:-[a-z]{2,12}){1,3}-\d{1,2}")
AWS_KEY: Final = re.compile(
    rf"arn:{_PARTITION}:kms:(?P<region>[a-z0-9-]{{1,32}}):(?P<account>\d{{12}})"
    r":(?:key/[A-Za-z0-9-]{1,64}|alias/(?P<alias>[A-Za-z0-9/_-]{1,250}))"
)
AWS_ROLE: Final = re.compile(
    rf"arn:{_PARTITION}:iam::(?P<account>\d{{12}}):role/(?:[!-~]{{1,510}}/)?[A-Za-z0-9_+=,.@-]{{1,64}}"
)
EXTERNAL_ID: Final = re.compile(r"[A-Za-z0-9_+=,.@:/-]{2,1224}")
ISSUED: Final = re.compile(
    r"(?i)coffer-([0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12})"
)

GCP_PROJECT: Final = r"(?:[a-z][a-z0-9.-]{0,61}:)?[a-z][a-z0-9-]{4,28}[a-z0-9]"
GCP_KEY: Final = re.compile(
    rf"projects/(?P<project>{GCP_PROJECT}|\d{{6,20}})/locations/[a-z0-9-]{{1,40}}"
    r"/keyRings/[A-Za-z0-9_-]{1,63}/cryptoKeys/[A-Za-z0-9_-]{1,63}"
)
GCP_ACCOUNT: Final = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9.:-]{1,99})@(?P<host>[a-z0-9][a-z0-9.-]{1,100})\.gserviceaccount\.com"
)

_AZURE_SUFFIXES: Final = (
    "vault.azure.net",
    "vault.azure.cn",
    "vault.usgovcloudapi.net",
    "vault.microsoftazure.de",
    "managedhsm.azure.net",
    "managedhsm.azure.cn",
    "managedhsm.usgovcloudapi.net",
)
AZURE_HOST: Final = re.compile(
    r"[a-z0-9](?:[a-z0-9-]{1,22}[a-z0-9])\.(?:" + "|".join(map(re.escape, _AZURE_SUFFIXES)) + ")"
)
AZURE_KEY_PATH: Final = re.compile(r"/keys/[A-Za-z0-9-]{1,127}")
AZURE_TENANT: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
ENV_VAR: Final = re.compile(r"[A-Z][A-Z0-9_]{0,127}")


def aws_partition(region: str) -> str:
    """The partition that a region belongs to."""
    for prefix, partition in _PARTITIONS.items():
        if region.startswith(prefix):
            return partition
    return "aws"


def projects_of(account: re.Match[str]) -> set[str]:
    """Every project that a service account may belong to.

    `NAME@PROJECT.iam`, App Engine's `PROJECT@appspot` (`DOMAIN:NAME` projects also as `NAME.DOMAIN`), Compute
    Engine's `NUMBER-compute@developer`, `NUMBER@cloudservices` and service agents `service-NUMBER@...`.
    """
    name, host = account["name"], account["host"].removesuffix(".iam")
    plain = name.removeprefix("service-").partition("-compute")[0]
    turned = [
        f"{domain}:{project}"
        for text in (name, host)
        for project, dot, domain in [text.partition(".")]
        if dot
    ]
    return {name, host, plain, *turned}


def home_of(account: re.Match[str]) -> str | None:
    """The id of the project that a service account of somebody's own is in; None for Google's agents."""
    name, host = account["name"], account["host"]
    if host == "appspot":
        return name
    if not host.endswith(".iam") or _is_google(host):
        return None
    project, dot, domain = host.removesuffix(".iam").partition(".")
    return f"{domain}:{project}" if dot else project


def is_numbered(account: re.Match[str]) -> bool:
    """Whether a service account's address tells its project by the number: Google's own accounts do.

    No account that somebody made begins with a digit, and no id of a project does.
    """
    return bool(_NUMBERED.fullmatch(account["name"])) or _is_google(account["host"])


_NUMBERED: Final = re.compile(r"(?:service-)?\d{6,20}(?:-.*)?")


def _is_google(host: str) -> bool:
    return host.startswith("gcp-sa-")


def is_uuid(text: str) -> bool:
    """Whether it is a UUID in its usual form, of any case."""
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
