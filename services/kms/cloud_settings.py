"""What the operator says about the clouds: endpoints for emulators and private networks, his own key.

Endpoints come from here and from nowhere else; a tenant never names one. The identities with which kms calls
come from each SDK's own ambient chain.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from services.common.errors import CofferError
from services.common.settings import SettingsError
from services.kms.validation import parse_operator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from services.common.settings import Reader
    from services.kms.model import KmsTarget

PREFIX: Final = "COFFER_KMS"
OPERATOR: Final = f"{PREFIX}_OPERATOR"
OPERATOR_PREVIOUS: Final = f"{OPERATOR}_PREVIOUS"
_VARIABLES: Final = {"provider": "PROVIDER", "kms_key_ref": "KEY_REF"}


@dataclass(frozen=True, slots=True)
class AwsSettings:
    """COFFER_KMS_AWS_STS_ENDPOINT_URL, COFFER_KMS_AWS_KMS_ENDPOINT_URL instead of AWS's own.

    https, as every endpoint here: credentials and master keys travel to it. http only on loopback.
    """

    sts_endpoint_url: str | None = None
    kms_endpoint_url: str | None = None

    @classmethod
    def read(cls, reader: Reader) -> AwsSettings:
        """From the environment."""
        return cls(
            sts_endpoint_url=reader.optional_https(f"{PREFIX}_AWS_STS_ENDPOINT_URL"),
            kms_endpoint_url=reader.optional_https(f"{PREFIX}_AWS_KMS_ENDPOINT_URL"),
        )


@dataclass(frozen=True, slots=True)
class GcpSettings:
    """COFFER_KMS_GCP_KMS_ENDPOINT (host:port, TLS), COFFER_KMS_GCP_IAM_ENDPOINT_URL (https; base URL of the
    IAM Service Account Credentials API), and COFFER_KMS_GCP_CA_FILE, the CA that both are trusted by.
    """

    kms_endpoint: str | None = None
    iam_endpoint_url: str | None = None
    ca_file: Path | None = None

    @classmethod
    def read(cls, reader: Reader) -> GcpSettings:
        """From the environment."""
        return cls(
            kms_endpoint=reader.optional(f"{PREFIX}_GCP_KMS_ENDPOINT"),
            iam_endpoint_url=reader.optional_https(f"{PREFIX}_GCP_IAM_ENDPOINT_URL"),
            ca_file=reader.optional_path(f"{PREFIX}_GCP_CA_FILE"),
        )


@dataclass(frozen=True, slots=True)
class AzureSettings:
    """COFFER_KMS_AZURE_VAULT_ENDPOINT_URL (https; contacted instead of every vault, whose own name stays in
    the request's Host), COFFER_KMS_AZURE_AUTHORITY_URL (https; instead of Microsoft's login), and
    COFFER_KMS_AZURE_CA_FILE, the CA that both are trusted by.
    """

    vault_endpoint_url: str | None = None
    authority_url: str | None = None
    ca_file: Path | None = None

    @classmethod
    def read(cls, reader: Reader) -> AzureSettings:
        """From the environment."""
        return cls(
            vault_endpoint_url=reader.optional_https(f"{PREFIX}_AZURE_VAULT_ENDPOINT_URL"),
            authority_url=reader.optional_https(f"{PREFIX}_AZURE_AUTHORITY_URL"),
            ca_file=reader.optional_path(f"{PREFIX}_AZURE_CA_FILE"),
        )


@dataclass(frozen=True, slots=True)
class OperatorKeySettings:
    """The platform's own wrapping key in a cloud, wrap method `operator_kms`.

    COFFER_KMS_OPERATOR_PROVIDER (`aws`, `gcp`, `azure`), COFFER_KMS_OPERATOR_KEY_REF and
    COFFER_KMS_OPERATOR_CONFIG (a JSON object), as in a tenant's onboarding; a role or service account may be
    left out, then kms's own identity uses the key. COFFER_KMS_OPERATOR_PREVIOUS_PROVIDER, ..._KEY_REF and
    ..._CONFIG name the one before, which only opens.
    """

    provider: str
    kms_key_ref: str
    config: Mapping[str, object]
    prefix: str = OPERATOR
    """Of the variables that it was read from."""

    @property
    def body(self) -> dict[str, object]:
        """As an onboarding says it."""
        return {
            "provider": self.provider,
            "kms_key_ref": self.kms_key_ref,
            "config": dict(self.config),
        }

    def target(self) -> KmsTarget:
        """The key, checked as an onboarding's is. Raises SettingsError naming the variables."""
        try:
            return parse_operator(self.body)
        except CofferError as error:
            faults = error.fields or {"config": [error.message]}
        raise SettingsError("\n".join(self._fault(path, said) for path, said in faults.items()))

    def _fault(self, path: str, said: Sequence[str]) -> str:
        member, _, field = path.partition(".")
        name = f"{self.prefix}_{_VARIABLES.get(member, 'CONFIG')}"
        return " ".join(part for part in (name, field, "; ".join(said)) if part)

    @classmethod
    def read(cls, reader: Reader, prefix: str = OPERATOR) -> OperatorKeySettings | None:
        """From the environment; None where no provider is named. Raises SettingsError."""
        provider = reader.optional(f"{prefix}_PROVIDER")
        key_ref = reader.optional(f"{prefix}_KEY_REF")
        config = reader.optional(f"{prefix}_CONFIG")
        if provider is None and key_ref is None and config is None:
            return None
        if not provider or not key_ref:
            raise SettingsError(f"{prefix}_PROVIDER and {prefix}_KEY_REF belong together")
        try:
            members = json.loads(config or "{}")
        except ValueError:
            members = None
        if not isinstance(members, dict):
            raise SettingsError(f"{prefix}_CONFIG must be a JSON object")
        found = cls(provider, key_ref, members, prefix)
        found.target()
        return found
