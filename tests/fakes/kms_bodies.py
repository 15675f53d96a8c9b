"""Bodies of `POST /admin/tenant-kms`, good ones, and what becomes of others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from services.common.errors import ValidationError
from services.kms.validation import Rules, parse

if TYPE_CHECKING:
    from services.kms.model import KmsTarget

TENANT = UUID("aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa")
OTHER = UUID("bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb")
KEY_ID = "1234abcd-12ab-34cd-56ef-1234567890ab"
RULES = Rules(
    refused_aws_accounts=frozenset({"111122223333"}),
    refused_gcp_projects=frozenset({"operator-project"}),
    refused_azure_tenants=frozenset({"72f988bf-86f1-41af-91ab-2d7cd011db47"}),
    client_secret_env_vars={TENANT: frozenset({"CUSTOMER_A_SECRET"})},
)


def aws(**config: Any) -> dict[str, Any]:
    return {
        "provider": "aws",
        "kms_key_ref": f"arn:aws:kms:eu-central-1:444455556666:key/{KEY_ID}",
        "config": {
            "region": "eu-central-1",
            "role_arn": "arn:aws:iam::444455556666:role/coffer",
            **config,
        },
    }


def gcp(**config: Any) -> dict[str, Any]:
    return {
        "provider": "gcp",
        "kms_key_ref": "projects/acme-prod/locations/europe-west3/keyRings/r/cryptoKeys/k_1",
        "config": {
            "impersonate_service_account": "coffer@acme-prod.iam.gserviceaccount.com",
            **config,
        },
    }


def azure(**config: Any) -> dict[str, Any]:
    return {
        "provider": "azure",
        "kms_key_ref": "https://acme-vault.vault.azure.net/keys/coffer",
        "config": {"vault_url": "https://acme-vault.vault.azure.net", **config},
    }


def accepted(body: dict[str, Any]) -> KmsTarget:
    return parse(body, TENANT, RULES)


def faults(body: dict[str, Any]) -> dict[str, list[str]]:
    with pytest.raises(ValidationError) as caught:
        parse(body, TENANT, RULES)
    return caught.value.fields
