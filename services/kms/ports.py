"""What the use cases of kms need from the world. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from uuid import UUID

    from services.common.identity import Call, StepUp, Tenant
    from services.kms.model import (
        Activated,
        Binding,
        KeyDescription,
        KeyFacts,
        KeyLookup,
        KmsTarget,
        MasterKeyRow,
        NewMasterKey,
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

    async def unseal(self, call: Call, binding: Binding, epoch: int) -> bool:
        """Record that it can be used again.

        False, and nothing done, when the ring's epoch is no longer `epoch`: the provider may have refused
        the binding since.
        """
        ...

    async def sealed_bindings(self, limit: int) -> list[SealedKey]:
        """At most `limit` of all tenants' current bindings that are sealed, any of them."""
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
        """Make `new` active under the same binding. None when that is no longer current or is sealed."""
        ...

    async def describe(self, tenant_id: UUID) -> TenantKms | None:
        """The current binding, every version and the census, read at one moment."""
        ...

    async def record_verification(self, binding: Binding, failure: Reason | None) -> None:
        """Note the outcome of a proof. Lifts no seal, whose reason stays for as long as it does."""
        ...


class SealedWatch(Protocol):
    """Tries sealed bindings again in the background."""

    def watch(self, binding: Binding, version: int) -> None:
        """A binding was read as sealed: try it as if a request had met it."""
        ...

    def hurry(self, tenant_id: UUID) -> None:
        """The tenant's sealed binding, if it has one, may be usable again: try it at once."""
        ...


class Registry(Protocol):
    """Tenants, and step-up tokens that work once."""

    async def tenant(self, tenant_id: UUID) -> Tenant | None:
        """An active tenant."""
        ...

    async def consume_step_up(self, tenant_id: UUID, step_up: StepUp | None) -> None:
        """Use it up. Raises StepUpRequiredError."""
        ...
