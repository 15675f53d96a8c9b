"""The services of a stack as data: which there are, what each is told, what each may see.

No child inherits the supervisor's environment. Credentials of a cloud go to kms alone, and each
service gets the database login that is its own.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cli.local.children import ChildSpec, ReadyFile
from cli.local.directory import DataDirectory
from cli.local.issuer import AUDIENCE, ISSUER
from cli.local.keys import IDEMPOTENT_SERVICES, LocalKeys
from cli.local.pki import Identity

KMS, SECRETS, REWRAP, GATEWAY = "kms", "secrets", "rewrap", "gateway"
GRPC_SERVICES = (KMS, SECRETS, REWRAP)
SERVICES = (*GRPC_SERVICES, GATEWAY)
METRICS = "{}-metrics"
PORT_NAMES = (*SERVICES, *(METRICS.format(name) for name in GRPC_SERVICES))

LOGINS = {
    KMS: {"COFFER_KMS_DATABASE_URL": "coffer_kms"},
    SECRETS: {
        "COFFER_SECRETS_DATABASE_URL": "coffer_secrets",
        "COFFER_SECRETS_PURGE_DATABASE_URL": "coffer_secrets_purge",
    },
    REWRAP: {
        "COFFER_REWRAP_DATABASE_URL": "coffer_rewrap",
        "COFFER_REWRAP_DISPATCH_DATABASE_URL": "coffer_rewrap_dispatch",
        "COFFER_REWRAP_QUEUE_DATABASE_URL": "coffer_queue",
    },
    GATEWAY: {},
}
TARGETS = {
    KMS: {},
    SECRETS: {"COFFER_SECRETS_KMS_TARGET": KMS},
    REWRAP: {"COFFER_REWRAP_SECRETS_TARGET": SECRETS, "COFFER_REWRAP_KMS_TARGET": KMS},
    GATEWAY: {f"COFFER_GATEWAY_{name.upper()}_TARGET": name for name in GRPC_SERVICES},
}

INHERITED = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "COFFER_LOG_LEVEL")
INHERITED_PREFIXES = ("OTEL_",)
CLOUD_INHERITED = (
    "HOME",
    "HTTPS_PROXY",
    "https_proxy",
    "NO_PROXY",
    "no_proxy",
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
)
CLOUD_PREFIXES = ("AWS_", "GOOGLE_", "AZURE_")


@dataclass(frozen=True, slots=True)
class StackFacts:
    """What the services' settings are made from.

    `addresses` has host:port of each service and metrics port; `cloud` kms's cloud settings when
    the cloud is ours; `overrides` are somebody's last word; `operator` is his environment.
    """

    directory: DataDirectory
    keys: LocalKeys
    addresses: Mapping[str, str]
    identities: Mapping[str, Identity]
    cloud: Mapping[str, str] | None
    overrides: Mapping[str, str] = field(repr=False)
    operator: Mapping[str, str] = field(repr=False)


def python_module(module: str) -> tuple[str, ...]:
    """argv of a module, with nothing of the working folder on its path (`import secrets`!)."""
    return (sys.executable, "-P", "-m", module)


def product_programs() -> dict[str, tuple[str, ...]]:
    """argv of every service and of the cloud stand-in."""
    services = {name: python_module(f"services.{name}") for name in GRPC_SERVICES}
    return services | {
        GATEWAY: python_module("gateway"),
        "devcloud": python_module("devcloud"),
    }


def service_specs(facts: StackFacts, programs: Mapping[str, tuple[str, ...]]) -> list[ChildSpec]:
    """The four services in the order of their start (they stop in reverse)."""
    return [
        ChildSpec(
            name=name,
            argv=programs[name],
            env=service_environment(name, facts),
            log_file=facts.directory.logs / f"{name}.log",
            readiness=ReadyFile(_ready_file(facts, name)),
        )
        for name in SERVICES
    ]


def service_environment(name: str, facts: StackFacts) -> dict[str, str]:
    """The whole environment of one service.

    Precedence: what is inherited from the operator (settings of this service, the few common ones),
    then what the stack composes, then the overrides.
    """
    prefix = f"COFFER_{name.upper()}_"
    inherited = {k: v for k, v in facts.operator.items() if _inherits(prefix, k)}
    if name == KMS:
        inherited |= facts.cloud if facts.cloud is not None else _operator_cloud(facts.operator)
    composed = _composed(name, prefix, facts)
    for setting in composed:
        inherited.pop(_other_form(setting), None)
    environment = inherited | composed
    for setting, value in facts.overrides.items():
        if setting.startswith(prefix) or not _is_of_a_service(setting):
            environment.pop(_other_form(setting), None)
            environment[setting] = value
    return environment


def _composed(name: str, prefix: str, facts: StackFacts) -> dict[str, str]:
    identity = facts.identities[name]
    settings = {
        f"{prefix}LISTEN": facts.addresses[name],
        f"{prefix}READY_FILE": str(_ready_file(facts, name)),
        f"{prefix}TLS_CERT_FILE": str(identity.cert_file),
        f"{prefix}TLS_KEY_FILE": str(identity.key_file),
        f"{prefix}TLS_CA_FILE": str(identity.ca_file),
        "PYTHONUNBUFFERED": "1",
    }
    for setting, target in TARGETS[name].items():
        settings[setting] = facts.addresses[target]
    for setting, role in LOGINS[name].items():
        settings[f"{setting}_FILE"] = str(facts.keys.dsn_file(role))
    if name in GRPC_SERVICES:
        settings[f"{prefix}METRICS_LISTEN"] = facts.addresses[METRICS.format(name)]
        settings["COFFER_ADMIN_JWT_ISSUER"] = ISSUER
        settings["COFFER_ADMIN_JWT_AUDIENCE"] = AUDIENCE
        settings["COFFER_ADMIN_JWKS_FILE"] = str(facts.keys.jwks_file)
    if name in IDEMPOTENT_SERVICES:
        key_file = facts.keys.idempotency_key_file(name)
        settings[f"{prefix}IDEMPOTENCY_KEY_B64_FILE"] = str(key_file)
    if name == KMS:
        settings["COFFER_MASTER_KEY_B64_FILE"] = str(facts.keys.master_key_file)
        settings["COFFER_KMS_SIGNING_KEY_FILE"] = str(facts.keys.signing_key_file)
    return settings


def _ready_file(facts: StackFacts, name: str) -> Path:
    return facts.directory.run / f"{name}.ready.json"


def _inherits(prefix: str, variable: str) -> bool:
    return variable in INHERITED or variable.startswith((prefix, *INHERITED_PREFIXES))


def _operator_cloud(operator: Mapping[str, str]) -> dict[str, str]:
    return {
        k: v for k, v in operator.items() if k in CLOUD_INHERITED or k.startswith(CLOUD_PREFIXES)
    }


def _is_of_a_service(setting: str) -> bool:
    return setting.startswith(tuple(f"COFFER_{name.upper()}_" for name in SERVICES))


def _other_form(setting: str) -> str:
    # NAME and NAME_FILE are two ways to say one thing; a service gets one of them.
    return setting.removesuffix("_FILE") if setting.endswith("_FILE") else f"{setting}_FILE"
