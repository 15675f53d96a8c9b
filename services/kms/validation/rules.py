"""What the operator's settings add to the checks of a customer's key. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit
from uuid import UUID

from services.kms.validation import forms

if TYPE_CHECKING:
    import re
    from collections.abc import Mapping

    from services.kms.model import KmsTarget

OPERATOR: Final = UUID(int=0)
"""In whose name the operator's own key is used, where a tenant's would stand."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Accounts, projects, tenants and vaults are the operator's own, and refused to tenants.

    Not promised: that the names tell everything. Which tenant an Azure vault is in only its challenge tells:
    AzureProvider compares that.
    """

    refused_aws_accounts: frozenset[str] = frozenset()
    refused_gcp_projects: frozenset[str] = frozenset()
    """Ids. A number does not tell which project it is, so none is accepted while there is an id here."""
    refused_azure_tenants: frozenset[str] = frozenset()
    """UUIDs, in lower case. While there is one, domains are not accepted: they do not tell which it is."""
    refused_azure_vaults: frozenset[str] = frozenset()
    """Host names, in lower case."""
    client_secret_env_vars: Mapping[UUID, frozenset[str]] = field(default_factory=dict)

    def and_own(self, *keys: KmsTarget | None) -> Rules:
        """These, and the account, project or vault of each of the operator's own keys, which were checked.

        Not the Azure tenant of a key: an organisation may well share it with the operator.
        """
        own: dict[str, set[str]] = {"aws": set(), "gcp": set(), "azure": set()}
        for key in keys:
            if key is not None:
                own[key.provider] |= _HOMES[key.provider](key)
        return replace(
            self,
            refused_aws_accounts=self.refused_aws_accounts | own["aws"],
            refused_gcp_projects=self.refused_gcp_projects | own["gcp"],
            refused_azure_vaults=self.refused_azure_vaults | own["azure"],
        )

    def allows_variable(self, tenant_id: UUID, name: str) -> bool:
        """Whether a configuration of this tenant may name this variable for its client secret.

        The operator's own key may have its secret in any.
        """
        return tenant_id == OPERATOR or name in self.client_secret_env_vars.get(
            tenant_id, frozenset()
        )


def _aws(key: KmsTarget) -> set[str]:
    found = _of(forms.AWS_KEY, key.kms_key_ref), _of(forms.AWS_ROLE, key.config.get("role_arn"))
    return {one["account"] for one in found if one}


def _gcp(key: KmsTarget) -> set[str]:
    named = _of(forms.GCP_KEY, key.kms_key_ref)
    account = _of(forms.GCP_ACCOUNT, key.config.get("impersonate_service_account"))
    homes = {
        named["project"] if named else None,
        forms.home_of(account) if account else None,
        key.config.get("project_id"),
    }
    return {home for home in homes if home}


def _azure(key: KmsTarget) -> set[str]:
    return {urlsplit(key.kms_key_ref).netloc.lower()}


_HOMES: Final = {"aws": _aws, "gcp": _gcp, "azure": _azure}


def _of(form: re.Pattern[str], text: str | None) -> re.Match[str] | None:
    return form.fullmatch(text) if text else None
