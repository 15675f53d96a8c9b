"""The settings of kms."""

from __future__ import annotations

import hmac
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

from services.common.database_urls import database_url
from services.common.rpc.server import ServerSettings
from services.common.sensitive import SecretBytes
from services.common.settings import Reader, SettingsError
from services.common.tokens import TokenSettings
from services.kms.cloud_settings import (
    OPERATOR_PREVIOUS,
    AwsSettings,
    AzureSettings,
    GcpSettings,
    OperatorKeySettings,
)
from services.kms.keys.master_keys import Lifetimes
from services.kms.service import SetupFacts
from services.kms.validation import Rules, forms

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

PREFIX: Final = "COFFER_KMS"
_DAY: Final = 86_400.0
_ENV_VAR: Final = re.compile(r"[A-Z][A-Z0-9_]{0,127}")
_ACCOUNT: Final = re.compile(r"\d{12}")
_PROJECT: Final = re.compile(rf"{forms.GCP_PROJECT}|\d{{6,20}}")


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything kms is told by its environment.

    ============================================ ============== ========= ==================================
    variable                                     unit           default   meaning
    ============================================ ============== ========= ==================================
    COFFER_KMS_LISTEN, _METRICS_LISTEN,          host:port,               see `ServerSettings`
    _READY_FILE, _TLS_*, COFFER_LOG_LEVEL        paths
    COFFER_ADMIN_JWT_*, COFFER_ADMIN_JWKS_*                               see `TokenSettings`
    COFFER_KMS_DATABASE_URL (_FILE)              postgresql://  required  login role coffer_kms
    COFFER_KMS_DATABASE_CONNECTIONS              connections    16        at most, 2 to 200
    COFFER_MASTER_KEY_B64 (_FILE)                base64         required  32 bytes: the platform's key
    COFFER_MASTER_KEY_PREVIOUS_B64 (_FILE)       base64         none      32 bytes: the one before, until
                                                                          `coffer kms rekey-platform` ended
    COFFER_KMS_SIGNING_KEY (_FILE)               PEM            required  Ed25519 private key, PKCS#8: signs
                                                                          receipts
    COFFER_KMS_PREVIOUS_SIGNING_KEYS_FILE        path           none      PEM public keys that signed before
    COFFER_KMS_IDEMPOTENCY_KEY_B64 (_FILE)       base64         required  32 bytes, the same in all processes:
                                                                          requests with an Idempotency-Key
                                                                          are told apart under it
    COFFER_KMS_STEP_UP_ON_REPLACE                flag           false     ask for step-up when a connected
                                                                          key is replaced
    COFFER_KMS_OPERATOR_PROVIDER, ...                           none      see `OperatorKeySettings`
    COFFER_KMS_OPERATOR_PREVIOUS_PROVIDER, ...                  none      the same: the one before
    COFFER_KMS_CUSTOMER_TTL_SECONDS              seconds        300       how long a master key wrapped by a
                                                                          customer's KMS may be used, 1 to 300
    COFFER_KMS_PLATFORM_TTL_SECONDS              seconds        3600      the platform's, 1 to 3600
    COFFER_KMS_SEALED_RETRY_SECONDS              seconds        30        pause between tries of a sealed
                                                                          binding, 0.1 to 30
    COFFER_KMS_CACHED_KEYS                       keys           10000     open master keys held at most
    COFFER_KMS_AWS_STS_ENDPOINT_URL, ...                                  see `AwsSettings`
    COFFER_KMS_GCP_KMS_ENDPOINT, ...                                      see `GcpSettings`
    COFFER_KMS_AZURE_VAULT_ENDPOINT_URL, ...                              see `AzureSettings`
    COFFER_KMS_AWS_PRINCIPAL_ARN                 ARN            none      what customers' roles must trust
    COFFER_KMS_GCP_PRINCIPAL                     e-mail         none      shown by GET .../setup
    COFFER_KMS_AZURE_APPLICATION_ID              uuid           none      shown by GET .../setup
    COFFER_KMS_REFUSED_AWS_ACCOUNTS              account ids    none      the operator's own: refused; where
                                                                          his own key is, always is
    COFFER_KMS_REFUSED_GCP_PROJECTS              project ids    none      the same
    COFFER_KMS_REFUSED_AZURE_TENANTS             tenant ids     none      the same
    COFFER_KMS_REFUSED_AZURE_VAULTS              host names     none      the same
    COFFER_KMS_CLIENT_SECRET_ENV_VARS            JSON           {}        {"<tenant id>": ["<VARIABLE>", ...]}
    ============================================ ============== ========= ==================================
    """

    server: ServerSettings
    tokens: TokenSettings
    database_url: str
    database_connections: int
    master_key: SecretBytes
    previous_master_key: SecretBytes | None
    signing_key: SecretBytes
    """PEM."""
    previous_signing_keys_file: Path | None
    idempotency_key: SecretBytes
    step_up_on_replace: bool
    lifetimes: Lifetimes
    sealed_retry_seconds: float
    cached_keys: int
    aws: AwsSettings
    gcp: GcpSettings
    azure: AzureSettings
    operator_key: OperatorKeySettings | None
    setup: SetupFacts
    rules: Rules
    previous_operator_key: OperatorKeySettings | None = None

    def __repr__(self) -> str:
        return f"Settings(listen={self.server.listen})"

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Settings:
        """From the environment. Raises SettingsError naming every variable that is wrong."""
        reader = Reader(environ)
        own = OperatorKeySettings.read(reader)
        previous = OperatorKeySettings.read(reader, OPERATOR_PREVIOUS)
        settings = cls(
            server=ServerSettings.read(reader, PREFIX),
            tokens=TokenSettings.read(reader),
            database_url=database_url(reader, f"{PREFIX}_DATABASE_URL"),
            database_connections=reader.integer(
                f"{PREFIX}_DATABASE_CONNECTIONS", 16, minimum=2, maximum=200
            ),
            master_key=reader.key_bytes("COFFER_MASTER_KEY_B64", 32),
            previous_master_key=_previous_master_key(reader),
            signing_key=_signing_key(reader),
            previous_signing_keys_file=reader.optional_path(f"{PREFIX}_PREVIOUS_SIGNING_KEYS_FILE"),
            idempotency_key=reader.key_bytes(f"{PREFIX}_IDEMPOTENCY_KEY_B64", 32),
            step_up_on_replace=reader.flag(f"{PREFIX}_STEP_UP_ON_REPLACE", default=False),
            lifetimes=_lifetimes(reader),
            sealed_retry_seconds=reader.seconds(
                f"{PREFIX}_SEALED_RETRY_SECONDS", 30.0, minimum=0.1, maximum=30.0
            ),
            cached_keys=reader.integer(
                f"{PREFIX}_CACHED_KEYS", 10_000, minimum=1, maximum=1_000_000
            ),
            aws=AwsSettings.read(reader),
            gcp=GcpSettings.read(reader),
            azure=AzureSettings.read(reader),
            operator_key=own,
            setup=SetupFacts(
                aws_principal_arn=reader.optional(f"{PREFIX}_AWS_PRINCIPAL_ARN"),
                gcp_principal=reader.optional(f"{PREFIX}_GCP_PRINCIPAL"),
                azure_application_id=reader.optional(f"{PREFIX}_AZURE_APPLICATION_ID"),
            ),
            rules=_rules(reader).and_own(
                *(key.target() if key else None for key in (own, previous))
            ),
            previous_operator_key=previous,
        )
        reader.finish()
        _require_another(settings.master_key, settings.previous_master_key)
        return settings


def _signing_key(reader: Reader) -> SecretBytes:
    # Bytes that are no text are no PEM, and that is told later.
    return SecretBytes(reader.secret(f"{PREFIX}_SIGNING_KEY").encode(errors="surrogateescape"))


def _previous_master_key(reader: Reader) -> SecretBytes | None:
    name = "COFFER_MASTER_KEY_PREVIOUS_B64"
    return reader.key_bytes(name, 32) if reader.optional_secret(name) else None


def _require_another(present: SecretBytes, previous: SecretBytes | None) -> None:
    if previous is not None and hmac.compare_digest(present.reveal(), previous.reveal()):
        raise SettingsError(
            "COFFER_MASTER_KEY_PREVIOUS_B64 is the same key as COFFER_MASTER_KEY_B64: the one is the key"
            " from before, the other the present one"
        )


def _lifetimes(reader: Reader) -> Lifetimes:
    return Lifetimes(
        customer=reader.seconds(
            f"{PREFIX}_CUSTOMER_TTL_SECONDS", 300.0, minimum=1.0, maximum=300.0
        ),
        platform=reader.seconds(
            f"{PREFIX}_PLATFORM_TTL_SECONDS", 3600.0, minimum=1.0, maximum=3600.0
        ),
    )


def _rules(reader: Reader) -> Rules:
    """A name of another form would be compared with nothing, and refuse nothing: it stops the process."""
    return Rules(
        refused_aws_accounts=_refused(
            reader, "AWS_ACCOUNTS", _ACCOUNT.fullmatch, "account ids of 12 digits"
        ),
        refused_gcp_projects=_projects(reader),
        refused_azure_tenants=_refused(
            reader, "AZURE_TENANTS", forms.is_uuid, "ids of tenants, UUIDs and not domains"
        ),
        refused_azure_vaults=_refused(
            reader,
            "AZURE_VAULTS",
            forms.AZURE_HOST.fullmatch,
            "host names of vaults, as mine.vault.azure.net",
        ),
        client_secret_env_vars=_env_vars(reader),
    )


def _refused(reader: Reader, of: str, good: Callable[[str], object], form: str) -> frozenset[str]:
    name = f"{PREFIX}_REFUSED_{of}"
    found = frozenset(one.lower() for one in reader.names(name))
    if not all(map(good, found)):
        raise SettingsError(f"{name} must be {form}")
    return found


def _projects(reader: Reader) -> frozenset[str]:
    projects = _refused(reader, "GCP_PROJECTS", _PROJECT.fullmatch, "ids of projects")
    if projects and all(one.isdigit() for one in projects):
        raise SettingsError(
            f"{PREFIX}_REFUSED_GCP_PROJECTS must be ids of projects: one of which only the number is"
            " listed can still be named by its id"
        )
    return projects


def _env_vars(reader: Reader) -> dict[UUID, frozenset[str]]:
    name = f"{PREFIX}_CLIENT_SECRET_ENV_VARS"
    try:
        document = json.loads(reader.optional(name) or "{}")
        if not all(isinstance(names, list) for names in document.values()):
            raise TypeError
        allowed = {UUID(tenant): frozenset(names) for tenant, names in document.items()}
        if not all(_ENV_VAR.fullmatch(one) for names in allowed.values() for one in names):
            raise ValueError
    except (ValueError, TypeError, AttributeError):
        raise SettingsError(
            f'{name} must be JSON: {{"<tenant id>": ["<NAME OF A VARIABLE>", ...]}}'
        ) from None
    return allowed
