"""The values of kms: bindings, master-key versions, and why a wrapping key did not work."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID


class WrapMethod(StrEnum):
    """Whose key wraps a master key."""

    GLOBAL = "global"
    """The platform key, COFFER_MASTER_KEY_B64."""
    OPERATOR_KMS = "operator_kms"
    """An operator's key in a cloud, COFFER_KMS_OPERATOR_*."""
    CUSTOMER_KMS = "customer_kms"
    """The tenant's own cloud key."""


class KeyStatus(StrEnum):
    """What a master-key version is good for."""

    ACTIVE = "active"
    RETIRED = "retired"
    REVOKED = "revoked"


class Reason(StrEnum):
    """Why a wrapping key could not be used; the wire contract's table of `kms_verify_failed`."""

    ACCESS_DENIED = "access_denied"
    KEY_NOT_FOUND = "key_not_found"
    KEY_DISABLED = "key_disabled"
    KEY_UNSUITABLE = "key_unsuitable"
    INVALID_REQUEST = "invalid_request"
    THROTTLED = "throttled"
    UNREACHABLE = "unreachable"
    ROUNDTRIP_MISMATCH = "roundtrip_mismatch"

    @property
    def definite(self) -> bool:
        """Whether the provider gave an answer about the key, as opposed to no answer at all."""
        return self not in {Reason.THROTTLED, Reason.UNREACHABLE}


class LeaseReason(StrEnum):
    """Why a rewrap was issued."""

    ONBOARD = "onboard"
    ROTATE = "rotate"
    OFFBOARD = "offboard"


class DataKeyFault(StrEnum):
    """Why one data key of a batch could not be opened."""

    DAMAGED = "damaged"
    REVOKED = "revoked"
    SEALED = "sealed"
    UNKNOWN_VERSION = "unknown_version"


class WrapError(Exception):
    """A wrapping key could not be used.

    `hint` is a sentence of ours for the tenant's administrator: what to do, for which principal. It never
    holds a provider's own text.
    """

    def __init__(self, reason: Reason, hint: str) -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.hint = hint


class UnknownVersionError(Exception):
    """The tenant's master key has no such version."""


@dataclass(frozen=True, slots=True)
class KmsTarget:
    """A customer's key as asked for: provider (`aws`, `gcp`, `azure`), reference and checked config.

    `resolved_key_ref` is the provider's own name of the key, once it has told; it outlives a moved alias.
    """

    provider: str
    kms_key_ref: str
    config: Mapping[str, str | None]
    resolved_key_ref: str | None = None


@dataclass(frozen=True, slots=True)
class Binding:
    """The immutable record of one tenant's wrapping key, and its state.

    A replaced one stays for as long as a key version needs it.
    """

    tenant_id: UUID
    id: UUID
    target: KmsTarget
    replaced: bool = False
    sealed_since: datetime | None = None
    last_verified_at: datetime | None = None
    last_verify_error: str | None = None
    draining: bool = False
    """It is the current one and is being moved away from, back to the platform's key."""


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """What a wrapped master key is bound to at its provider: never the version, which comes later."""

    tenant_id: UUID
    key_id: UUID


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A master key wrapped, and the provider's own name of the key that did it."""

    blob: bytes = field(repr=False)
    key_ref: str | None = None


@dataclass(frozen=True, slots=True)
class NewMasterKey:
    """A master key that is proven but not stored; its version is assigned by the store."""

    id: UUID
    wrap_method: WrapMethod
    wrapped: Wrapped
    check_value: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class MasterKeyRow:
    """A stored master-key version. `wrapped` is None once it was revoked."""

    tenant_id: UUID
    version: int
    id: UUID
    wrap_method: WrapMethod
    wrapped: Wrapped | None
    check_value: bytes = field(repr=False)
    status: KeyStatus = KeyStatus.ACTIVE

    @property
    def facts(self) -> KeyFacts:
        """What it was wrapped for."""
        return KeyFacts(self.tenant_id, self.id)


@dataclass(frozen=True, slots=True)
class KeyLookup:
    """A master-key version with its binding and the epoch of the tenant's ring, read at one moment."""

    row: MasterKeyRow
    binding: Binding | None
    epoch: int


@dataclass(frozen=True, slots=True)
class SealedKey:
    """A sealed binding, and the newest version that it wraps: what to try it with."""

    tenant_id: UUID
    binding_id: UUID
    version: int


@dataclass(frozen=True, slots=True)
class KeyReport:
    """A master-key version as its tenant may see it; `data_keys` is the census."""

    id: UUID
    version: int
    wrap_method: WrapMethod
    status: KeyStatus
    created_at: datetime
    retired_at: datetime | None
    data_keys: int


@dataclass(frozen=True, slots=True)
class TenantKms:
    """The tenant's current binding and all its versions, newest first."""

    binding: Binding
    keys: tuple[KeyReport, ...]

    @property
    def drained(self) -> bool:
        """Whether the binding is being moved away from, and nothing needs a customer's key any more."""
        return self.binding.draining and not any(
            key.data_keys for key in self.keys if key.wrap_method is WrapMethod.CUSTOMER_KMS
        )


@dataclass(frozen=True, slots=True)
class Activated:
    """What a transaction that made a new active version did."""

    version: int
    key_id: UUID
    lease_id: int


@dataclass(frozen=True, slots=True)
class Onboarded:
    """What onboarding did."""

    target: KmsTarget
    activated: Activated


@dataclass(frozen=True, slots=True)
class Erasure:
    """A version that was erased. `data_keys` still hung on it, and are lost; more than 0 only if `forced`.

    `provider` and `kms_key_ref`, the provider's own name of the key that wrapped it, are None unless the
    customer's key did.
    """

    tenant_id: UUID
    tenant_slug: str
    key_id: UUID
    version: int
    wrap_method: WrapMethod
    provider: str | None
    kms_key_ref: str | None
    created_at: datetime
    retired_at: datetime | None
    revoked_at: datetime
    data_keys: int
    forced: bool
    actor: str
    request_id: str


@dataclass(frozen=True, slots=True)
class EndedRewrap:
    """A rewrap that has ended, as its report tells of it. Censuses are data keys by version.

    `version` to `kms_key_ref` are of the key that everything was moved to; `provider` and `kms_key_ref` are
    None unless the customer's key wraps it. `census_at_signing` was counted by kms, the others by rewrap:
    None where the rewrap did not come so far, as `total` and `started_at`. `active_version`,
    `revoked_versions` (since the start, or the issue of one that never started) and `census_at_signing` are
    of one moment, `signed_at`.
    """

    tenant_id: UUID
    tenant_slug: str
    lease_id: int
    state: str
    reason: str
    version: int
    key_id: UUID
    wrap_method: WrapMethod
    provider: str | None
    kms_key_ref: str | None
    total: int | None
    done: int
    skipped: int
    failed: int
    failed_ids: tuple[UUID, ...]
    verified: int
    kms_calls: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime
    census_before: Mapping[int, int] | None
    census_after: Mapping[int, int] | None
    census_at_signing: Mapping[int, int]
    active_version: int
    revoked_versions: tuple[int, ...]
    signed_at: datetime


@dataclass(frozen=True, slots=True)
class KeyDescription:
    """What a wrapping key is, as far as that is known without asking its provider.

    `principal` is who the provider sees calling; `permissions` the exact ones that it needs, in the
    provider's words; `algorithm` the provider's name of what wraps.
    """

    provider: str
    key_ref: str
    principal: str
    permissions: tuple[str, ...]
    algorithm: str


@dataclass(frozen=True, slots=True)
class Proof:
    """A wrap and unwrap that worked: the provider's own name of the key, and milliseconds of each call."""

    key_ref: str | None
    wrap_ms: float
    unwrap_ms: float


@dataclass(frozen=True, slots=True)
class DataKey:
    """A new data key: its id (16 bytes), itself (32) and its wrapped form (68)."""

    id: bytes
    plaintext: bytes = field(repr=False)
    wrapped: bytes = field(repr=False)
