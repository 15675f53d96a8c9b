"""Checking the body of POST /admin/tenant-kms for all three providers. Pure.

Order (wire contract): static credentials first, whatever else is wrong; then every fault of every field at
once. What passes is of the right form; whether the key exists and may be used only a probe tells.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit
from uuid import UUID

from services.common.errors import ValidationError
from services.kms.model import KmsTarget
from services.kms.validation import forms, static_credentials
from services.kms.validation.rules import OPERATOR, Rules
from services.kms.validation.static_credentials import safe_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PROVIDERS: Final = ("aws", "gcp", "azure")
_TOP: Final = ("provider", "kms_key_ref", "config")
_MAX_TEXT: Final = 2048

CONFIG_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "aws": ("region", "role_arn", "external_id"),
    "gcp": ("impersonate_service_account", "project_id"),
    "azure": ("vault_url", "azure_tenant_id", "client_id", "client_secret_env_var"),
}
"""Every field of each provider's config, the required ones first."""
_REQUIRED: Final = {
    "aws": ("region", "role_arn"),
    "gcp": ("impersonate_service_account",),
    "azure": ("vault_url",),
}
_IDENTITIES: Final = ("role_arn", "impersonate_service_account")
"""Whom kms acts as; of the operator's own key it may be kms itself."""


def parse(body: Mapping[str, object], tenant_id: UUID, rules: Rules) -> KmsTarget:
    """The key that a body asks for.

    Raises StaticCredentialsRejectedError, or ValidationError with every fault by its JSON path. `config` of
    the result has every field of the provider.
    """
    static_credentials.refuse(body)
    return _Check(tenant_id, rules).target(body)


def parse_operator(body: Mapping[str, object]) -> KmsTarget:
    """The operator's own key, by the same checks. Raises as `parse`.

    A role or service account may be left out, no account is refused, and any variable may hold Azure's client
    secret: its names are the operator's own.
    """
    static_credentials.refuse(body)
    return _Check(OPERATOR, Rules(), of_operator=True).target(body)


def issued_external_id(tenant_id: UUID) -> str:
    """The external id that is sent when the tenant names none of its own."""
    return f"coffer-{tenant_id}"


class _Check:
    """Collects the faults of one body."""

    def __init__(self, tenant_id: UUID, rules: Rules, *, of_operator: bool = False) -> None:
        self._tenant_id = tenant_id
        self._rules = rules
        self._of_operator = of_operator
        self._faults: dict[str, list[str]] = {}

    def target(self, body: Mapping[str, object]) -> KmsTarget:
        for name in body:
            if name not in _TOP:
                self._fault(safe_name(name), "is not a known field")
        provider = self._text(body, "provider", "provider", required=True)
        if provider is not None and provider not in PROVIDERS:
            self._fault("provider", f"must be one of {', '.join(PROVIDERS)}")
        key_ref = self._text(body, "kms_key_ref", "kms_key_ref", required=True)
        config = body.get("config")
        if not isinstance(config, dict):
            self._fault("config", "is required" if config is None else "must be an object")
            config = None
        if provider in PROVIDERS:
            fields = {} if config is None else self._config(provider, config)
            checks: dict[str, Callable[[str | None, dict[str, str | None]], None]] = {
                "aws": self._aws,
                "gcp": self._gcp,
                "azure": self._azure,
            }
            checks[provider](key_ref, fields)
        self._finish()
        assert provider is not None
        assert key_ref is not None
        return KmsTarget(provider, key_ref, fields)

    def _finish(self) -> None:
        if self._faults:
            text = "; ".join(f"{path} {'; '.join(said)}" for path, said in self._faults.items())
            raise ValidationError(f"The request is not valid: {text}.", fields=self._faults)

    def _config(self, provider: str, config: dict[str, object]) -> dict[str, str | None]:
        known = CONFIG_FIELDS[provider]
        for name in config:
            if name not in known:
                self._fault(f"config.{safe_name(name)}", f"is not a known field of {provider}")
        return {
            name: self._text(
                config, name, f"config.{name}", required=self._requires(provider, name)
            )
            for name in known
        }

    def _requires(self, provider: str, name: str) -> bool:
        left_out = self._of_operator and name in _IDENTITIES
        return name in _REQUIRED[provider] and not left_out

    def _text(
        self, members: Mapping[str, object], name: str, path: str, *, required: bool
    ) -> str | None:
        value = members.get(name)
        if value is None:
            if required:
                self._fault(path, "is required")
            return None
        if not isinstance(value, str) or not value:
            self._fault(path, "must be a string that is not empty")
            return None
        if len(value) > _MAX_TEXT:
            self._fault(path, f"must not be longer than {_MAX_TEXT} characters")
            return None
        return value

    def _aws(self, key_ref: str | None, config: dict[str, str | None]) -> None:
        key = self._match(
            forms.AWS_KEY,
            key_ref,
            "kms_key_ref",
            "must be the full ARN of a KMS key or alias:"
            " arn:aws:kms:REGION:ACCOUNT:key/ID or arn:aws:kms:REGION:ACCOUNT:alias/NAME",
        )
        region = config.get("region")
        known_region = self._match(
            forms.REGION,
            region,
            "config.region",
            "must be the name of an AWS region, as eu-central-1",
        )
        role = self._match(
            forms.AWS_ROLE,
            config.get("role_arn"),
            "config.role_arn",
            "must be the full ARN of an IAM role: arn:aws:iam::ACCOUNT:role/NAME",
        )
        if key is not None:
            self._aws_key(key, region if known_region else None)
        if role is not None:
            if key is not None and role["partition"] != key["partition"]:
                self._fault("config.role_arn", "must be in the same AWS partition as the key")
            if role["account"] in self._rules.refused_aws_accounts:
                self._fault("config.role_arn", "must not be in an account of the operator")
        self._external_id(config.get("external_id"))

    def _aws_key(self, key: re.Match[str], region: str | None) -> None:
        if region is not None and key["region"] != region:
            self._fault("config.region", "must equal the region in kms_key_ref")
        if not forms.REGION.fullmatch(key["region"]):
            self._fault("kms_key_ref", "must name an AWS region, as eu-central-1")
        elif key["partition"] != forms.aws_partition(key["region"]):
            self._fault("kms_key_ref", "names a partition that its region is not in")
        if (key["alias"] or "").startswith("aws/"):
            self._fault("kms_key_ref", "must not be a key that AWS manages (alias/aws/...)")
        if key["account"] in self._rules.refused_aws_accounts:
            self._fault("kms_key_ref", "must not be in an account of the operator")

    def _external_id(self, value: str | None) -> None:
        path = "config.external_id"
        form = "must be 2 to 1224 characters of letters, digits and _+=,.@:/-"
        if self._match(forms.EXTERNAL_ID, value, path, form) is None or value is None:
            return
        issued = forms.ISSUED.fullmatch(value)
        if issued and UUID(issued[1]) != self._tenant_id:
            self._fault(path, "is the external id of another tenant")

    def _gcp(self, key_ref: str | None, config: dict[str, str | None]) -> None:
        key = self._match(
            forms.GCP_KEY,
            key_ref,
            "kms_key_ref",
            "must be projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY",
        )
        account = self._match(
            forms.GCP_ACCOUNT,
            config.get("impersonate_service_account"),
            "config.impersonate_service_account",
            "must be the e-mail address of a service account (...gserviceaccount.com)",
        )
        self._match(
            re.compile(forms.GCP_PROJECT),
            config.get("project_id"),
            "config.project_id",
            "must be the id of a Google Cloud project",
        )
        if key is not None:
            self._refuse_project("kms_key_ref", {key["project"]}, numbered=key["project"].isdigit())
        if account is not None:
            self._refuse_project(
                "config.impersonate_service_account",
                forms.projects_of(account),
                numbered=forms.is_numbered(account),
            )
        if config.get("project_id") in self._rules.refused_gcp_projects:
            self._fault("config.project_id", "must not be a project of the operator")

    def _refuse_project(self, path: str, projects: set[str], *, numbered: bool) -> None:
        refused = self._rules.refused_gcp_projects
        if projects & refused:
            self._fault(path, "must not be in a project of the operator")
        elif refused and numbered:
            self._fault(
                path,
                "must name its project by its id and not by its number: some projects are refused here,"
                " and a number does not tell which it is",
            )

    def _azure(self, key_ref: str | None, config: dict[str, str | None]) -> None:
        key_host = self._azure_url(
            key_ref,
            "kms_key_ref",
            forms.AZURE_KEY_PATH,
            "must be https://VAULT.vault.azure.net/keys/NAME, without a version",
        )
        vault_host = self._azure_url(
            config.get("vault_url"),
            "config.vault_url",
            re.compile("/?"),
            "must be https://VAULT.vault.azure.net",
        )
        for path, host in (("kms_key_ref", key_host), ("config.vault_url", vault_host)):
            if host in self._rules.refused_azure_vaults:
                self._fault(path, "must not be a vault of the operator")
        if key_host and vault_host and key_host != vault_host:
            self._fault("config.vault_url", "must be the vault of kms_key_ref")
        tenant = config.get("azure_tenant_id")
        form = "must be the id or domain of an Azure tenant"
        self._match(forms.AZURE_TENANT, tenant, "config.azure_tenant_id", form)
        if tenant is not None and tenant.lower() in self._rules.refused_azure_tenants:
            self._fault("config.azure_tenant_id", "must not be a tenant of the operator")
        elif tenant is not None and self._rules.refused_azure_tenants and not forms.is_uuid(tenant):
            self._fault(
                "config.azure_tenant_id",
                "must be the tenant's id, a UUID, and not a domain: some tenants are refused here, and a"
                " domain does not tell which it is",
            )
        client_id = config.get("client_id")
        if client_id is not None and not forms.is_uuid(client_id):
            self._fault("config.client_id", "must be the application (client) id, a UUID")
        self._env_var(config.get("client_secret_env_var"))

    def _azure_url(
        self, value: str | None, path: str, url_path: re.Pattern[str], form: str
    ) -> str | None:
        if value is None:
            return None
        try:
            parts = urlsplit(value)
            host = parts.netloc.lower()
        except ValueError:
            host = ""
        good = (
            value.isascii()
            and value.isprintable()
            and " " not in value
            and forms.AZURE_HOST.fullmatch(host)
            and parts.scheme == "https"
            and url_path.fullmatch(parts.path)
            and "?" not in value
            and "#" not in value
        )
        if not good:
            self._fault(path, form)
            return None
        return host

    def _env_var(self, value: str | None) -> None:
        path = "config.client_secret_env_var"
        form = "must be the NAME of an environment variable: ^[A-Z][A-Z0-9_]{0,127}$"
        if self._match(forms.ENV_VAR, value, path, form) is None:
            return
        if value is not None and not self._rules.allows_variable(self._tenant_id, value):
            self._fault(path, "is not a variable that the operator allows for this tenant")

    def _match(
        self, pattern: re.Pattern[str], value: str | None, path: str, form: str
    ) -> re.Match[str] | None:
        if value is None:
            return None
        found = pattern.fullmatch(value)
        if found is None:
            self._fault(path, form)
        return found

    def _fault(self, path: str, text: str) -> None:
        self._faults.setdefault(path, []).append(text)
