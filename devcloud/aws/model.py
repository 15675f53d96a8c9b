"""The things in the stand-in's accounts, as immutable values. Secrets are kept out of `repr`."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase

from devcloud.aws.arn import key_arn

SYMMETRIC = "SYMMETRIC_DEFAULT"
DEFAULT_MAX_SESSION_SECONDS = 3600


class KeyState(StrEnum):
    """Where a key is in its life."""

    ENABLED = "enabled"
    DISABLED = "disabled"
    PENDING_DELETION = "pending_deletion"
    GONE = "gone"
    """As deleted, seen from outside. The material is kept, so that a test can bring it back."""


class KeyUsage(StrEnum):
    """What a key is for; only ENCRYPT_DECRYPT of a symmetric key really works here."""

    ENCRYPT_DECRYPT = "ENCRYPT_DECRYPT"
    SIGN_VERIFY = "SIGN_VERIFY"
    GENERATE_VERIFY_MAC = "GENERATE_VERIFY_MAC"


@dataclass(frozen=True, slots=True)
class Material:
    """One generation of a key's bytes (32); `id` is 64 hex digits as in AWS's KeyMaterialId."""

    id: str
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Key:
    """A KMS key. `materials` oldest first; the last one encrypts, all of them decrypt.

    `denied` are actions (`kms:Decrypt`, patterns allowed) that the key's own policy refuses to all.
    """

    key_id: str
    account: str
    region: str
    created_at: float
    materials: tuple[Material, ...]
    spec: str = SYMMETRIC
    usage: KeyUsage = KeyUsage.ENCRYPT_DECRYPT
    state: KeyState = KeyState.ENABLED
    deletion_at: float | None = None
    denied: tuple[str, ...] = ()

    @property
    def arn(self) -> str:
        """The key's ARN, which never changes."""
        return key_arn(self.region, self.account, self.key_id)


@dataclass(frozen=True, slots=True)
class User:
    """An IAM user with long-lived credentials; `actions` it may do in its own account."""

    arn: str
    user_id: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    actions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Role:
    """An IAM role. `trusted` principals may assume it, with `external_id` where that is not None.

    `actions` and `resources` (patterns with `*`) are its permission policy.
    """

    arn: str
    role_id: str
    trusted: tuple[str, ...]
    external_id: str | None
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    max_session_seconds: int = DEFAULT_MAX_SESSION_SECONDS


@dataclass(frozen=True, slots=True)
class Caller:
    """Who signed a request: `arn` as AWS shows it, `principal` the user or role behind it."""

    arn: str
    principal: str
    account: str
    user_id: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    is_session: bool


def matches(patterns: tuple[str, ...], value: str) -> bool:
    """Whether an IAM pattern list covers a value (`*` and `?`)."""
    return any(fnmatchcase(value, pattern) for pattern in patterns)
