"""What the use cases need from outside, as Protocols. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from services.common.identity import Call
    from services.common.sensitive import SecretBytes
    from services.secrets.certificates import CertificateMaterial
    from services.secrets.changing import Change
    from services.secrets.deleting import LostBase, NotRestored
    from services.secrets.groups import (
        ClosedEnvironment,
        CollectionListing,
        CollectionRequest,
        CollectionRow,
        EnvironmentChange,
        EnvironmentDraft,
        EnvironmentRow,
        Refusal,
        Unfinished,
    )
    from services.secrets.leases import Moved, RewrapOrder, RewrapOutcome, StaleKeys
    from services.secrets.listing import Listing, Page
    from services.secrets.model import (
        DataKey,
        Environment,
        EnvironmentValue,
        KeyFault,
        KeySealed,
        NewSecret,
        NewValue,
        Question,
        Refused,
        Rewrapped,
        SealedAnswer,
        SecretRow,
        Standing,
        StoredVersion,
        Withheld,
        WrappedKey,
    )
    from services.secrets.overdue import OverdueSecret, Purged
    from services.secrets.paging import Paging
    from services.secrets.verifying import Sample, VerifyOrder, VerifyOutcome
    from services.secrets.versions import NotRemoved, PastVersions, StoredValue


class Kms(Protocol):
    """The data-key calls of kms. All raise CofferError: tenant_sealed, unavailable, timeout..."""

    async def generate(self, tenant_id: UUID, count: int) -> list[DataKey]:
        """`count` (1 to 256) new data keys, all under one version."""
        ...

    async def unwrap(
        self, tenant_id: UUID, keys: Sequence[WrappedKey]
    ) -> list[SecretBytes | KeyFault | KeySealed]:
        """Each data key (1 to 1,000) in the clear, or why not."""
        ...

    async def rewrap(self, tenant_id: UUID, packed: bytes) -> Rewrapped:
        """New wraps under the active version for 1 to 5,000 packed records (envelope's layout)."""
        ...


class Certificates(Protocol):
    """Reads untrusted certificates somewhere else."""

    async def read(
        self,
        content: str,
        private_key: str | None,
        passphrase: str | None,
        certificate_type: str,
        now: datetime,
    ) -> CertificateMaterial:
        """Raises CertificateRefused, CertificateReaderUnavailable, CertificateReaderFailed."""
        ...


class Secrets(Protocol):
    """The store of secrets. Every write appends its audit events in its own transaction.

    All raise UnavailableError (what was in flight may or may not be stored) and DeadlineError
    (nothing was stored).
    """

    async def environment(
        self, tenant_id: UUID, name: str | None, call: Call
    ) -> Environment | None:
        """The environment of this name; None asks for the default, which is made at first use by `call`."""
        ...

    async def has_collection(self, tenant_id: UUID, collection_id: UUID) -> bool:
        """Whether the tenant has this collection."""
        ...

    async def create(
        self, tenant_id: UUID, key_version: int, secrets: Sequence[NewSecret]
    ) -> list[SecretRow | Refused]:
        """Write a group in one transaction: for each, how it is shown now or why it was not written.

        All data keys are wrapped under `key_version`. Raises StaleKeyVersionError.
        """
        ...

    async def get(
        self, tenant_id: UUID, secret_id: UUID
    ) -> tuple[SecretRow, tuple[EnvironmentValue, ...]] | None:
        """A live secret and where it has values, by environment name."""
        ...

    async def list(self, tenant_id: UUID, listing: Listing) -> Page:
        """A page, or a piece, of live secrets or of those that can be restored."""
        ...


class SecretChanges(Protocol):
    """The store of secrets that are there already. All raise as those of `Secrets`."""

    async def has_collection(self, tenant_id: UUID, collection_id: UUID) -> bool:
        """Whether the tenant has this collection."""
        ...

    async def change(
        self, tenant_id: UUID, secret_id: UUID, change: Change, call: Call
    ) -> SecretRow | Refused | None:
        """The changed secret; NAME_TAKEN or NO_COLLECTION; None when there is no such live secret."""
        ...

    async def delete(self, tenant_id: UUID, secret_id: UUID, call: Call) -> bool:
        """Delete softly; False when there is no such live secret."""
        ...

    async def restore(
        self, tenant_id: UUID, secret_id: UUID, base_environment: str | None, call: Call
    ) -> SecretRow | NotRestored | LostBase:
        """Undo a deletion of the last `RESTORABLE_DAYS`, by the database's clock.

        `base_environment` takes the place of a base environment that was deleted.
        """
        ...


class Overdue(Protocol):
    """Which secrets of all tenants were deleted too long ago to be restored."""

    async def find(self, after: OverdueSecret | None, limit: int) -> list[OverdueSecret]:
        """At most `limit`, those deleted first; after `after`, which need not be there any more."""
        ...


class ClosedEnvironments(Protocol):
    """Which environments of all tenants began to be deleted, and are still there."""

    async def find(self, after: ClosedEnvironment | None, limit: int) -> list[ClosedEnvironment]:
        """At most `limit` whose deletion no caller can be at any more, those closed first.

        After `after`, which need not be there any more. Raises UnavailableError and its like.
        """
        ...


class Purges(Protocol):
    """The store, as it forgets."""

    async def purge(self, tenant_id: UUID, secret_ids: Sequence[UUID], call: Call) -> Purged:
        """Remove those of them that are overdue, all their values and data keys, in one transaction.

        What another transaction has in hand is passed over. Each has an event `secret.purged`. What is too
        much for one transaction is left, a secret with very many values without some of them.
        """
        ...


class Values(Protocol):
    """The store of values. Writes append their audit events; all raise as those of `Secrets`."""

    async def standing(
        self, tenant_id: UUID, secret_id: UUID, environment: str | None
    ) -> Standing | None:
        """Where a live secret stands in an environment (default: its base environment)."""
        ...

    async def put(self, tenant_id: UUID, value: NewValue) -> StoredVersion | None:
        """Store a new value version; None when the secret is gone.

        Raises StaleKeyVersionError, and StaleVersionError when another version came first, the value was
        removed that must be there, or the environment is gone.
        """
        ...

    async def history(
        self, tenant_id: UUID, secret_id: UUID, environment: Environment, asked: Paging
    ) -> PastVersions:
        """A page of the versions of a secret's value in one environment, newest first."""
        ...

    async def stored(
        self, tenant_id: UUID, secret_id: UUID, environment_id: UUID, version: int
    ) -> StoredValue | None:
        """One version of a live secret's value, as it is stored."""
        ...

    async def remove(
        self, tenant_id: UUID, secret_id: UUID, environment: str, call: Call
    ) -> NotRemoved | Unfinished | None:
        """Remove a secret's value, with its history and its data keys, from an environment of this name.

        Its versions go on counting where they stood. None when it is gone. Unfinished: there are more
        versions than one transaction may remove, and the oldest of them are gone; go on.
        """
        ...


class Accesses(Protocol):
    """The store as consumers read it."""

    async def read(
        self, tenant_id: UUID, questions: Sequence[Question]
    ) -> list[SealedAnswer | Withheld]:
        """What grants allow of what was asked, in the order asked."""
        ...

    async def record(
        self, tenant_id: UUID, accesses: Sequence[tuple[Question, SealedAnswer]], now: datetime
    ) -> list[Withheld | None]:
        """Write an audit event for each access that is still allowed at `now`, in the order given.

        None for each that was recorded: in the audit chain its event comes before whatever would have
        withheld it. The others were not accessed, as `read` would say now; nor was any if this raises.
        """
        ...


class WorkList(Protocol):
    """The store of data keys as a rewrap works on it."""

    async def stale(self, order: RewrapOrder) -> StaleKeys:
        """Up to `limit` data keys of retired versions from the beginning of the order's range.

        Looks at a bounded number of keys, so there may be none although the range holds more.
        """
        ...

    async def swap(
        self,
        order: RewrapOrder,
        moved: Moved,
        *,
        passed_over: int,
        failed: Sequence[UUID],
        cursor: UUID,
        finished: bool,
        kms_calls: int = 0,
    ) -> RewrapOutcome:
        """Store new wraps where the old ones still are, and save counts and cursor with the lease.

        `passed_over` counts keys that were read and are no work any more; `kms_calls` are the requests to the
        customer's KMS that were waited for. Raises
        StaleKeyVersionError and LeaseRefusedError; then nothing was stored.
        """
        ...


class SampleStore(Protocol):
    """The store of data keys and values as a verification reads them."""

    async def sample(self, order: VerifyOrder, after: UUID, limit: int) -> Sample:
        """Up to `limit` data keys of the target version after `after`, each with the smallest sealed field of
        its value; at least one if there is one in sight.

        Looks at a bounded number of keys, and reads a bounded number of bytes.
        """
        ...

    async def record(
        self,
        order: VerifyOrder,
        *,
        verified: int,
        failed: Sequence[UUID],
        cursor: UUID,
        finished: bool,
    ) -> VerifyOutcome:
        """Save counts, ids and cursor with the lease. Raises LeaseRefusedError; then nothing was saved."""
        ...


class EnvironmentStore(Protocol):
    """The store of environments. Raises as `Secrets`. A refusal changed nothing."""

    async def list(self, tenant_id: UUID, call: Call) -> tuple[EnvironmentRow, ...]:
        """All of them, by name; the default one is made at the first look, by `call`."""
        ...

    async def get(self, tenant_id: UUID, environment_id: UUID) -> EnvironmentRow | None:
        """One of them."""
        ...

    async def create(
        self, tenant_id: UUID, draft: EnvironmentDraft, call: Call
    ) -> EnvironmentRow | Refusal:
        """Make one; a new default takes the place of the old one."""
        ...

    async def update(
        self, tenant_id: UUID, environment_id: UUID, change: EnvironmentChange, call: Call
    ) -> EnvironmentRow | Refusal | None:
        """Change one; None when there is none."""
        ...

    async def delete(
        self, tenant_id: UUID, environment_id: UUID, after: UUID | None, call: Call
    ) -> bool | Refusal | Unfinished | None:
        """Delete one with what deleted secrets have there, in one transaction; None when there is none.

        Unfinished: there is more than a transaction may remove; go on by its `after`, which is None at the
        beginning.
        No secret is left whose base environment is gone: it moves to another where it has a value, the
        default one first, then by name; without one it is purged.
        """
        ...


class CollectionStore(Protocol):
    """The store of collections. Raises as `Secrets`. A refusal changed nothing."""

    async def list(
        self, tenant_id: UUID, listing: CollectionListing
    ) -> tuple[tuple[CollectionRow, ...], int]:
        """A page of them, and how many there are in all."""
        ...

    async def get(self, tenant_id: UUID, collection_id: UUID) -> CollectionRow | None:
        """One of them."""
        ...

    async def create(
        self, tenant_id: UUID, request: CollectionRequest, call: Call
    ) -> CollectionRow | Refusal:
        """Make one."""
        ...

    async def update(
        self, tenant_id: UUID, collection_id: UUID, members: Mapping[str, str | None], call: Call
    ) -> CollectionRow | Refusal | None:
        """Set `members`, of `name` and `description`; None when there is none."""
        ...

    async def delete(self, tenant_id: UUID, collection_id: UUID, call: Call) -> bool | Unfinished:
        """Delete one, and take its secrets out of it, in one transaction; False when there is none.

        Unfinished: it has more than a transaction may take out; go on.
        """
        ...


class Observer(Protocol):
    """What happens inside, for metrics and the log. Is told no secret."""

    def grouped(self, kind: str, calls: Sequence[Call]) -> None:
        """Waiting calls are served together, by this task, which has a context of its own."""
        ...

    def keys_made(self, count: int) -> None:
        """Data keys were fetched from kms."""
        ...

    def key_taken(self, *, from_stock: bool) -> None:
        """A data key was used."""
        ...

    def keys_wiped(self, count: int) -> None:
        """Unused data keys were wiped."""
        ...

    def reader_failed(self, kind: str) -> None:
        """Reading a certificate failed by a fault of ours. `kind` is the exception's class."""
        ...

    def cannot_open(
        self, tenant_id: UUID, data_key_id: UUID, where: str, *, call: Call | None = None
    ) -> None:
        """A stored data key or field did not open: damaged, or moved from elsewhere.

        `call` asked for it; None: the one that is being served.
        """
        ...
