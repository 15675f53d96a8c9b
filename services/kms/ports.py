"""What the use cases of kms need from the world. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from uuid import UUID

    from services.common.identity import Call, StepUp, Tenant
    from services.kms.model import (
        Activated,
        Binding,
        EndedRewrap,
        Erasure,
        KeyDescription,
        KeyFacts,
        KeyLookup,
        KmsTarget,
        MasterKeyRow,
        NewMasterKey,
        Proof,
        Reason,
        SealedKey,
        TenantKms,
        WrapMethod,
        Wrapped,
    )


class Clock(Protocol):
    """Seconds that never go back and run through suspend."""

    def __call__(self) -> float:
        """Now."""
        ...


class WrappingKey(Protocol):
    """One outermost key: a customer's, or the platform's.

    Both calls end within 10 seconds, whatever the provider does, and raise only WrapError, or
    UnavailableError where the provider was not asked because too many calls wait: no word about the key.
    """

    def describe(self) -> KeyDescription:
        """What it is, who uses it, with which permissions. Does no I/O."""
        ...

    async def wrap(self, facts: KeyFacts, master_key: bytes) -> Wrapped:
        """Wrap 32 bytes, bound to `facts`. Raises WrapError."""
        ...

    async def unwrap(self, facts: KeyFacts, wrapped: Wrapped) -> bytes:
        """The bytes that were wrapped for the same `facts`. Raises WrapError.

        Not promised: that bytes bound to other facts are refused; not every provider can. The caller
        compares the check value.
        """
        ...


class TurnableKey(WrappingKey, Protocol):
    """A wrapping key of the platform's own, which may still open what its predecessor wrapped."""

    def is_present(self, facts: KeyFacts, wrapped: Wrapped, present_ref: str | None) -> bool:
        """Whether `wrapped` is of the key that wraps now. Does no I/O.

        `present_ref` is the name that the provider gave to a wrap just now. Not promised: that what is said
        to be of a cloud's key opens.
        """
        ...


class WrappingKeys(Protocol):
    """Finds wrapping keys. Does no I/O."""

    @property
    def platform_method(self) -> WrapMethod:
        """How the platform wraps new master keys: `operator_kms` where the operator has a cloud key, else
        `global`."""
        ...

    def platform(self, method: WrapMethod | None = None) -> WrappingKey:
        """The platform's key of that method, by default of `platform_method`.

        Raises LookupError for a method that this process has no key for.
        """
        ...

    def customer(self, tenant_id: UUID, target: KmsTarget) -> WrappingKey:
        """A customer's key. Raises LookupError for a provider that this version cannot use."""
        ...


class PlatformKeys(Protocol):
    """The platform's wrapping keys, for who wraps anew what an earlier one wrapped. Does no I/O."""

    @property
    def platform_method(self) -> WrapMethod:
        """As WrappingKeys."""
        ...

    def platform(self, method: WrapMethod | None = None) -> WrappingKey:
        """As WrappingKeys."""
        ...

    def is_present(self, row: MasterKeyRow, present_ref: str | None) -> bool:
        """Whether the present method and key wrapped `row`; see TurnableKey."""
        ...


class Meter(Protocol):
    """Counts calls to providers."""

    def count(self, provider: str, operation: str, outcome: str) -> None:
        """One call ended; `outcome` is `ok` or a Reason."""
        ...


class KeyStore(Protocol):
    """Stored keys, as those who use them need them. Raises UnavailableError and DeadlineError."""

    async def active_version(self, tenant_id: UUID) -> int | None:
        """The active version, None for a tenant that has none yet."""
        ...

    async def find_key(self, tenant_id: UUID, version: int) -> KeyLookup | None:
        """One version with its binding."""
        ...

    async def epoch(self, tenant_id: UUID) -> int:
        """The epoch of the tenant's key ring, which moves when keys must be forgotten."""
        ...

    async def create_first(self, call: Call, tenant_id: UUID, new: NewMasterKey) -> MasterKeyRow:
        """The active version, made from `new` if there is none. Raises NotFoundError for no such tenant."""
        ...

    async def seal(self, call: Call, binding: Binding, reason: Reason) -> None:
        """Record that the binding cannot be used.

        A definite reason makes every process forget its keys, also when it was sealed by silence before,
        and moves the ring's epoch: no load that began before it unseals the binding or is kept.
        """
        ...

    async def tell_refused(self, binding: Binding, version: int) -> None:
        """Make every process forget the key of one version, which the provider refused. Records nothing."""
        ...

    async def unseal(self, call: Call, binding: Binding, epoch: int) -> bool:
        """Record that it can be used again.

        False, and nothing done, when the ring's epoch is no longer `epoch`: the provider may have refused
        the binding since.
        """
        ...

    async def sealed_bindings(self, limit: int) -> list[SealedKey]:
        """At most `limit` of all tenants' current bindings that are sealed, any of them."""
        ...

    async def version_needed(self, tenant_id: UUID, version: int) -> bool:
        """Whether a version is active, or a stored data key hangs on it.

        Once a version that was active is not needed it never is again.
        """
        ...

    async def binding_needed(self, tenant_id: UUID, binding_id: UUID) -> bool:
        """Whether a binding is current, or one of its versions is needed."""
        ...

    async def newest_under(self, tenant_id: UUID, binding_id: UUID) -> int | None:
        """The newest version that a binding wraps, None when all of them were revoked."""
        ...


class BindingStore(Protocol):
    """Bindings and the changes of a key ring. Raises as KeyStore."""

    async def current(self, tenant_id: UUID) -> Binding | None:
        """The tenant's current binding."""
        ...

    async def onboard(
        self,
        call: Call,
        binding: Binding,
        new: NewMasterKey,
        *,
        instead_of: UUID | None,
        insist: bool = False,
    ) -> Activated | None:
        """Make `binding` current and `new` active, with its lease and audit event; all or nothing.

        None, and nothing done, when the current binding is no longer `instead_of`; `insist` takes the
        place of whatever is current.
        """
        ...

    async def rotate(self, call: Call, binding: Binding, new: NewMasterKey) -> Activated | None:
        """Make `new` active under the same binding.

        None when that is no longer current, or is sealed or draining.
        """
        ...

    async def offboard(self, call: Call, new: NewMasterKey) -> Activated | None:
        """Make `new`, which the platform wraps, active, whatever binding is current; that one is draining.

        With its lease and audit event; all or nothing. None when no binding is current, or it is draining
        already.
        """
        ...

    async def finish_draining(self, call: Call, tenant_id: UUID) -> Binding | None:
        """Leave the binding that was drained: the tenant has no customer's key any more.

        None, and nothing done, unless the ring is draining and no stored data key hangs on any version that
        a customer's key wraps. Announced, and with an audit event.
        """
        ...

    async def draining_rings(self, limit: int) -> list[UUID]:
        """At most `limit` tenants of all whose rings are draining, any of them."""
        ...

    async def describe(self, tenant_id: UUID) -> TenantKms | None:
        """The current binding, every version and the census, read at one moment."""
        ...

    async def record_verification(
        self, call: Call, binding: Binding, outcome: Proof | Reason
    ) -> None:
        """Note the outcome of a proof, with an event. Lifts no seal, whose reason stays as long as it does.

        Nothing is noted of a binding that was replaced or left meanwhile.
        """
        ...


class PlatformKeyStore(Protocol):
    """Master keys that the platform wraps, of all tenants. Raises as KeyStore."""

    async def platform_keys(self, after: tuple[UUID, int], limit: int) -> list[tuple[UUID, int]]:
        """The next at most `limit` (tenant, version) pairs in their order, revoked ones left out."""
        ...

    async def count_platform_keys(self) -> int:
        """How many there are."""
        ...

    async def find_platform_key(self, tenant_id: UUID, version: int) -> MasterKeyRow | None:
        """One of them; None for one that was revoked, or is not the platform's."""
        ...

    async def rewrap_platform_key(
        self, call: Call, row: MasterKeyRow, method: WrapMethod, wrapped: Wrapped
    ) -> bool:
        """Put `wrapped` in the place of exactly what `row` holds, with an audit event.

        False, and nothing done, when that is no longer what is stored. Nothing else of the version changes.
        """
        ...


class RevocationStore(Protocol):
    """Erasing versions, and the receipts of that. Raises as KeyStore."""

    async def erase(
        self, call: Call, version: int, *, force: bool, sign: Callable[[Erasure], str]
    ) -> str:
        """Wipe a retired version of the call's tenant, tell every process, and store its signed receipt; all
        or nothing. The receipt; for a version that was erased before, the one that was given then.

        Raises NotFoundError for no such version or tenant, KeyActiveError, and KeyInUseError when stored
        data keys need it, unless `force`. Needs no provider, and no binding that can be used.
        """
        ...

    async def receipt(self, tenant_id: UUID, version: int) -> str | None:
        """The receipt of an erased version."""
        ...


class ReportStore(Protocol):
    """The reports of rewraps. Raises as KeyStore."""

    async def report(
        self, call: Call, tenant_id: UUID, lease_id: int, sign: Callable[[EndedRewrap], str]
    ) -> str | None:
        """The signed report of a rewrap that has ended: the one that is stored, else one that is made and
        stored in the transaction that counts the tenant's data keys, with an audit event of `call`'s that
        has its hash. None for no such rewrap.

        However many ask at once, one is made; it is never replaced, whatever becomes of the lease. What is
        stored is not looked into. Raises NotEndedError (of lifecycle.rewrap_reports).
        """
        ...


class Signer(Protocol):
    """Signs papers with the platform's key."""

    def sign(self, kind: str, statement: Mapping[str, object]) -> str:
        """The paper: a JWS in compact form."""
        ...


class Notary(Signer, Protocol):
    """Signs papers, and tells its own from others."""

    def read(self, kind: str, jws: str) -> Mapping[str, object] | None:
        """What a paper of this kind says; None when it is of another kind, or its signature does not hold.

        Raises UnavailableError when a key signed it that is not published here.
        """
        ...


class SealedWatch(Protocol):
    """Tries sealed bindings again in the background."""

    def watch(self, binding: Binding, version: int) -> None:
        """A binding was read as sealed: try it as if a request had met it."""
        ...

    def hurry(self, binding: Binding) -> None:
        """A binding may be usable again: if it is sealed, try it at once."""
        ...


class DrainWatch(Protocol):
    """Leaves bindings that were drained, in the background and when told."""

    def watch(self, tenant_id: UUID) -> None:
        """The tenant's ring is draining: look at it soon."""
        ...

    async def finish(self, tenant_id: UUID) -> bool:
        """Leave the tenant's binding now, if nothing needs it; whether it was left. Raises as KeyStore."""
        ...


class Registry(Protocol):
    """Tenants, and step-up tokens that work once."""

    async def tenant(self, tenant_id: UUID) -> Tenant | None:
        """An active tenant."""
        ...

    async def consume_step_up(self, tenant_id: UUID, step_up: StepUp | None) -> None:
        """Use it up. Raises StepUpRequiredError."""
        ...
