"""The things in the stand-in's tenants, as immutable values. Secrets are kept out of `repr`."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

if TYPE_CHECKING:
    from collections.abc import Mapping

GET = "keys/get"
WRAP = "keys/wrapKey/action"
UNWRAP = "keys/unwrapKey/action"
ALL_PERMISSIONS = (GET, WRAP, UNWRAP)
EVERYONE = "*"

PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey

# Where the vaults of each cloud live, with the resource a token must be for.
SUFFIXES = {
    "vault.azure.net": "https://vault.azure.net",
    "vault.usgovcloudapi.net": "https://vault.usgovcloudapi.net",
    "vault.azure.cn": "https://vault.azure.cn",
    "vault.microsoftazure.de": "https://vault.microsoftazure.de",
    "managedhsm.azure.net": "https://managedhsm.azure.net",
    "managedhsm.usgovcloudapi.net": "https://managedhsm.usgovcloudapi.net",
    "managedhsm.azure.cn": "https://managedhsm.azure.cn",
}


class KeyLife(StrEnum):
    """Whether a key is there."""

    LIVE = "live"
    DELETED = "deleted"
    """Soft-deleted: recoverable, and not found by any operation."""
    PURGED = "purged"
    """Gone for good, seen from outside. The stand-in keeps it, so that a test can bring it back."""


class AccessModel(StrEnum):
    """How a vault decides who may do what; each has its own words for a refusal."""

    RBAC = "rbac"
    POLICY = "policy"


@dataclass(frozen=True, slots=True)
class KeyVersion:
    """One version of a key; `id` is 32 hex digits. `not_before` and `expires` are Unix seconds."""

    id: str
    private: PrivateKey = field(repr=False)
    created_at: float
    enabled: bool = True
    not_before: float | None = None
    expires: float | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a vault. `versions` oldest first; the last one wraps where none is named.

    `grants` add to those of the vault, `denied` takes away; both map a client id, `denied` also
    EVERYONE, to permissions.
    """

    vault: str
    name: str
    kty: str
    versions: tuple[KeyVersion, ...]
    key_ops: tuple[str, ...]
    life: KeyLife = KeyLife.LIVE
    grants: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    denied: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The key's identifier without a version."""
        return f"https://{self.vault}/keys/{self.name}"

    def kid(self, version: KeyVersion) -> str:
        """The identifier of one version."""
        return f"{self.url}/{version.id}"


@dataclass(frozen=True, slots=True)
class Vault:
    """A vault or managed HSM, by host name. `grants` maps a client id to permissions.

    `gone`: deleted as a whole, its name resolves no more.

    `challenge_authority` and `challenge_resource` replace what its challenge says: a vault that
    would lead its caller astray.
    """

    host: str
    tenant_id: str
    access: AccessModel = AccessModel.RBAC
    grants: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    firewalled: bool = False
    gone: bool = False
    challenge_authority: str | None = None
    challenge_resource: str | None = None

    @property
    def name(self) -> str:
        """The first label of the host."""
        return self.host.partition(".")[0]

    @property
    def resource(self) -> str:
        """What a token for this vault is for."""
        return SUFFIXES[self.host.partition(".")[2]]


@dataclass(frozen=True, slots=True)
class Federation:
    """Whose assertions an application accepts instead of a secret."""

    issuer: str
    subject: str


@dataclass(frozen=True, slots=True)
class App:
    """An application. `principals` maps each tenant that has consented to the object id there.

    `secrets_expired`: all of them are past their end.
    """

    client_id: str
    home_tenant_id: str
    secrets: tuple[str, ...] = field(repr=False)
    principals: Mapping[str, str]
    federations: tuple[Federation, ...] = ()
    enabled: bool = True
    secrets_expired: bool = False


@dataclass(frozen=True, slots=True)
class ManagedIdentity:
    """An identity that the host hands out at its own endpoint."""

    client_id: str
    object_id: str
    tenant_id: str


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom a token names."""

    client_id: str
    object_id: str
    tenant_id: str

    def __str__(self) -> str:
        return (
            f"appid={self.client_id};oid={self.object_id};"
            f"iss=https://sts.windows.net/{self.tenant_id}/"
        )
