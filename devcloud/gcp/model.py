"""What the stand-in knows: keys with their versions, service accounts, policies, callers."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class VersionState(StrEnum):
    """CryptoKeyVersionState, the part that keys of a customer go through."""

    ENABLED = "ENABLED"
    DISABLED = "DISABLED"
    DESTROY_SCHEDULED = "DESTROY_SCHEDULED"
    DESTROYED = "DESTROYED"


class Purpose(StrEnum):
    """CryptoKeyPurpose. Only ENCRYPT_DECRYPT keys do anything here; the others are refused."""

    ENCRYPT_DECRYPT = "ENCRYPT_DECRYPT"
    ASYMMETRIC_SIGN = "ASYMMETRIC_SIGN"
    ASYMMETRIC_DECRYPT = "ASYMMETRIC_DECRYPT"
    MAC = "MAC"


USE_TO_ENCRYPT = "cloudkms.cryptoKeyVersions.useToEncrypt"
USE_TO_DECRYPT = "cloudkms.cryptoKeyVersions.useToDecrypt"
GET_KEY = "cloudkms.cryptoKeys.get"
GET_VERSION = "cloudkms.cryptoKeyVersions.get"
GET_ACCESS_TOKEN = "iam.serviceAccounts.getAccessToken"  # noqa: S105 - a permission's name
ENCRYPTER_DECRYPTER = (USE_TO_ENCRYPT, USE_TO_DECRYPT)
"""What roles/cloudkms.cryptoKeyEncrypterDecrypter gives, as far as it is served here."""
VIEWER = (GET_KEY, GET_VERSION)
"""What roles/cloudkms.viewer gives, as far as it is served here."""
TOKEN_CREATOR = (GET_ACCESS_TOKEN,)
"""What roles/iam.serviceAccountTokenCreator gives, as far as it is served here."""


@dataclass(frozen=True, slots=True)
class Version:
    """One key version; `secret` is 32 bytes of AES-256 key, empty once destroyed."""

    number: int
    created_at: float
    secret: bytes = field(repr=False)
    state: VersionState = VersionState.ENABLED


@dataclass(frozen=True, slots=True)
class Key:
    """A CryptoKey. `primary` is the version that encrypts, None where there is none."""

    name: str
    key_id: str
    created_at: float
    versions: tuple[Version, ...]
    primary: int | None
    purpose: Purpose = Purpose.ENCRYPT_DECRYPT

    def version(self, number: int) -> Version | None:
        """The version of this number."""
        return next((one for one in self.versions if one.number == number), None)

    def version_name(self, number: int) -> str:
        """The full name of a version."""
        return f"{self.name}/cryptoKeyVersions/{number}"


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """An identity. `epoch` counts how often all its tokens were made worthless."""

    email: str
    project: str
    unique_id: str
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class Policy:
    """What one principal may (and explicitly may not) do with a resource and all below it."""

    resource: str
    principal: str
    allowed: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a good token speaks for."""

    email: str
    scopes: tuple[str, ...]


def account_resource(email: str) -> str:
    """The name under which policies know a service account."""
    return f"projects/-/serviceAccounts/{email}"
