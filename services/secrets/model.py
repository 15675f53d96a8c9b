"""The values of the secrets service. Pure: knows no database, no gRPC, no generated code.

Whatever holds plaintext keeps it out of `repr`.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID

    from services.common.identity import Call
    from services.common.sensitive import SecretBytes
    from services.secrets.allowance import Allowance

SecretType = Literal["string", "certificate"]
FieldName = Literal["value", "content", "private_key", "passphrase", "normal_form"]
FIELDS: Final[tuple[FieldName, ...]] = (
    "value",
    "content",
    "private_key",
    "passphrase",
    "normal_form",
)
"""Every field that a value version can have; each is sealed by itself. `normal_form` is made of the three
before it, which are kept as they were sent; what was stored before there was one has none."""

Metadata = dict[str, object]
"""The `metadata` object of the wire contract, as JSON: what was read from a certificate."""

DEFAULT_ENVIRONMENT: Final = "production"
"""The environment every tenant starts with."""


class StaleKeyVersionError(Exception):
    """The master-key version of a data key in hand is not active any more. Nothing was written."""


class StaleVersionError(Exception):
    """The value has another version than the one read before. Nothing was written."""


# What is asked for ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SentPayload:
    """The fields of a request that hold a value, as they came; none is looked into yet."""

    value: str | None = field(default=None, repr=False)
    certificate_content: str | None = field(default=None, repr=False)
    private_key: str | None = field(default=None, repr=False)
    passphrase: str | None = field(default=None, repr=False)
    certificate_type: str | None = None


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """What a client asks to create; nothing is checked yet.

    `is_certificate` says that it was asked for as a certificate, whatever `secret_type` says.
    """

    name: str
    payload: SentPayload
    is_certificate: bool = False
    secret_type: str | None = None
    description: str | None = None
    environment: str | None = None
    collection_id: str | None = None
    expires_at: datetime | None = None
    strict_expiry_enforcement: bool = False


@dataclass(frozen=True, slots=True)
class PutRequest:
    """A new value for a secret, as it was asked for. `if_match` is the version it must replace."""

    id: str
    payload: SentPayload
    environment: str | None = None
    if_match: int | None = None


# What is stored ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Draft:
    """What is in clear of a new secret, checked and normalised."""

    name: str
    secret_type: SecretType
    description: str | None
    environment: str | None
    collection_id: UUID | None
    expires_at: datetime | None
    strict_expiry_enforcement: bool


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What is kept in clear of a certificate. `expires_at` is the leaf's, if it has one that can be read."""

    certificate_type: str
    metadata: Metadata
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Payload:
    """The plaintext fields of one value version, and what is known about them in clear."""

    fields: Mapping[FieldName, bytes] = field(repr=False)
    certificate: CertificateFacts | None = None


@dataclass(frozen=True, slots=True)
class DataKey:
    """A data key in hand. `usable_until` is on the boot-time clock, in seconds."""

    id: UUID
    plaintext: SecretBytes
    wrapped: bytes
    key_version: int
    usable_until: float


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A data key in the only form that may be stored."""

    id: UUID
    wrapped: bytes
    key_version: int


@dataclass(frozen=True, slots=True)
class SealedValue:
    """The sealed fields of one value version and the wrapped key that opens them."""

    key: WrappedKey
    fields: Mapping[FieldName, bytes]

    @property
    def size(self) -> int:
        """Bytes, for bounding what is written at once."""
        return sum(map(len, self.fields.values()))


@dataclass(frozen=True, slots=True)
class Environment:
    """An environment of a tenant."""

    id: UUID
    name: str
    is_default: bool


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A secret that is ready to be written: sealed, with the call that asked for it."""

    call: Call
    id: UUID
    draft: Draft
    environment: Environment
    value: SealedValue
    certificate: CertificateFacts | None

    @property
    def expires_at(self) -> datetime | None:
        """When it expires: by its own expiry, else by its certificate's."""
        if self.draft.expires_at is not None or self.certificate is None:
            return self.draft.expires_at
        return self.certificate.expires_at

    def row(self, made: datetime) -> SecretRow:
        """How it is shown once it has been written at `made`."""
        draft, certificate = self.draft, self.certificate
        return SecretRow(
            id=self.id,
            name=draft.name,
            description=draft.description,
            base_environment=self.environment.name,
            environment_count=1,
            secret_type=draft.secret_type,
            collection_id=draft.collection_id,
            expires_at=self.expires_at,
            strict_expiry_enforcement=draft.strict_expiry_enforcement,
            value_version=1,
            created_at=made,
            updated_at=made,
            certificate_type=certificate.certificate_type if certificate else None,
            metadata=certificate.metadata if certificate else None,
        )


class Refused(enum.Enum):
    """Why one secret of a group was not written. The others of the group were."""

    NAME_TAKEN = enum.auto()
    PLAN_LIMIT = enum.auto()
    NO_COLLECTION = enum.auto()
    NO_ENVIRONMENT = enum.auto()
    STALE_KEY = enum.auto()
    """The version of its data key is not active: seal it under another."""


@dataclass(frozen=True, slots=True)
class NewValue:
    """A value version that is ready to be written over version `replaces` (0: the first).

    With `only_over_a_value` it is not, when that one has been removed meanwhile. `restores` is the version
    whose value it has, if that is one of before.
    """

    call: Call
    secret_id: UUID
    environment: Environment
    replaces: int
    value: SealedValue
    certificate: CertificateFacts | None
    only_over_a_value: bool = False
    restores: int | None = None


# What is shown ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SecretRow:
    """A secret without its value. `value_version` is the base environment's.

    `expires_at` is what was given, else that of the base environment's certificate.
    """

    id: UUID
    name: str
    description: str | None
    base_environment: str
    environment_count: int
    secret_type: SecretType
    collection_id: UUID | None
    expires_at: datetime | None
    strict_expiry_enforcement: bool
    value_version: int
    created_at: datetime
    updated_at: datetime
    certificate_type: str | None
    metadata: Metadata | None
    deleted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class EnvironmentValue:
    """That a secret has a value in an environment.

    `expires_at_override` is there when the value expires at another time than the row says.
    """

    environment_name: str
    value_version: int
    updated_at: datetime
    expires_at_override: datetime | None


@dataclass(frozen=True, slots=True)
class Standing:
    """What a new value must know of the secret it is for.

    `value_version` counts on after a value was removed, which `has_value` tells; it is 0 before the first.
    """

    name: str
    secret_type: SecretType
    environment: Environment | None
    value_version: int
    has_value: bool

    @property
    def current(self) -> int:
        """The version of the value that is there; 0 when there is none."""
        return self.value_version if self.has_value else 0


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """The value that was stored."""

    secret_id: UUID
    name: str
    environment: str
    value_version: int


# Access -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Question:
    """Which value a consumer asks for: by id or by name. `place` is that in a reply that holds many."""

    call: Call
    consumer: str
    secret_id: UUID | None
    name: str | None
    environment: str | None
    value_version: int | None
    allowance: Allowance | None = field(default=None, repr=False, compare=False)
    place: int = 0

    def allows(self, size: int) -> bool:
        """Whether the reply has room for a value of so many bytes."""
        return self.allowance is None or self.allowance.covers(self.place, size)


@dataclass(frozen=True, slots=True)
class SealedAnswer:
    """A granted value as it is stored.

    `expires_at` is the environment's, else the secret's, else that of this very certificate, which
    `certificate_expires_at` is in any case.
    """

    secret_id: UUID
    name: str
    secret_type: SecretType
    environment: Environment
    value_version: int
    certificate_type: str | None
    certificate_expires_at: datetime | None
    expires_at: datetime | None
    strict_expiry_enforcement: bool
    value: SealedValue


class Withheld(enum.Enum):
    """Why there is no answer."""

    NO_GRANT = enum.auto()
    """The consumer has no grant at all in this tenant, or there is no such tenant."""
    NOT_FOUND = enum.auto()
    """There never was one, or no grant reaches it."""
    DELETED = enum.auto()
    """A grant would reach it, but it was deleted, and has not been purged yet."""
    EXPIRED = enum.auto()
    """It has expired, and its expiry is enforced."""


@dataclass(frozen=True, slots=True)
class AccessWarning:
    """A fact that a consumer should know."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A value in clear, for the consumer that asked."""

    sealed: SealedAnswer
    fields: Mapping[FieldName, bytes] = field(repr=False)
    warnings: tuple[AccessWarning, ...] = ()


# Data keys, as kms answers about them -----------------------------------------------------------


class KeyFault(enum.Enum):
    """Why kms could not open one data key of several."""

    DAMAGED = enum.auto()
    REVOKED = enum.auto()
    SEALED = enum.auto()


@dataclass(frozen=True, slots=True)
class KeySealed:
    """A data key that kms cannot open at present. `reason`: why, as that of `tenant_sealed`, if kms told."""

    reason: str | None


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """What kms made of packed data keys: wraps of 68 bytes in order, and what did not open, by place.

    There `packed` has zeros. `kms_calls`: the requests to the customer's KMS that it waited for.
    """

    key_version: int
    packed: bytes
    faults: Mapping[int, KeyFault]
    kms_calls: int = 0
