"""Open master keys: from the cache, else by one KMS call however many wait; `refusals` when that fails.

Flow of a load: mark the cache, read the version and the ring's epoch, ask the provider, verify the check
value, read the epoch again; kept only if neither mark nor epoch moved meanwhile. No database transaction is
open during the cloud call.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from services.common.errors import KeyRevokedError, TenantSealedError, UnavailableError
from services.common.identity import Call, current_call
from services.kms.keys import hierarchy
from services.kms.keys.announcements import Announcement, Kind
from services.kms.keys.cache import REFRESH_AT, CachedKey
from services.kms.keys.proofs import Minted, mint
from services.kms.keys.refusals import Refusals
from services.kms.keys.requests import Requests
from services.kms.keys.tries import PATIENCE_SECONDS
from services.kms.model import KeyStatus, Reason, UnknownVersionError, WrapError, WrapMethod

if TYPE_CHECKING:
    from uuid import UUID

    from services.kms.keys.cache import Mark, MasterKeyCache
    from services.kms.keys.sealing import Seals
    from services.kms.model import KeyLookup, Wrapped
    from services.kms.ports import Clock, KeyStore, WrappingKey, WrappingKeys

_ATTEMPTS: Final = 3
"""Loads of one key before it is served without being kept, because its ring keeps moving."""
MAX_WAITING: Final = 2_000
"""Calls that may wait for one load; more are turned away, so that a hanging KMS does not fill the process."""


GRANT_REUSE: Final = 0.1
"""Part of the customer TTL for which a session with the customer's cloud is used again."""


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long an open key may be used after its KMS request was sent, in seconds, by wrap method."""

    customer: float
    platform: float

    def of(self, method: WrapMethod) -> float:
        """The lifetime of keys wrapped so."""
        return self.customer if method is WrapMethod.CUSTOMER_KMS else self.platform

    @property
    def grant_reuse(self) -> float:
        """For how long a provider may use a session with the customer's cloud again.

        A cloud honours a session after the customer took the trust away. So this is taken off a key's
        life: whatever grant is taken away, the TTL holds.
        """
        return GRANT_REUSE * self.customer

    def cached(
        self,
        key: hierarchy.OpenMasterKey,
        binding_id: UUID | None,
        asked_at: float,
        method: WrapMethod,
    ) -> CachedKey:
        """The entry of a key whose KMS request was sent at `asked_at`."""
        life = self.of(method)
        reuse = self.grant_reuse if method is WrapMethod.CUSTOMER_KMS else 0.0
        refresh_at = asked_at + REFRESH_AT * life
        return CachedKey(key, binding_id, asked_at, asked_at + life - reuse, refresh_at=refresh_at)


_FlightName = tuple["UUID", int, int, int, bool]
"""Tenant, version, and the cache's mark of its keys: what began before an invalidation is not joined.

And whether what is known not to be usable is tried again: no request waits for that.
"""


@dataclass(slots=True)
class _Flight:
    load: asyncio.Task[CachedKey]
    requests: Requests
    waiting: int = 0


class MasterKeys:
    """The only place where master keys are open. Belongs to one event loop."""

    def __init__(
        self,
        store: KeyStore,
        wrapping: WrappingKeys,
        cache: MasterKeyCache,
        seals: Seals,
        *,
        lifetimes: Lifetimes,
        clock: Clock,
    ) -> None:
        self._store = store
        self._wrapping = wrapping
        self._cache = cache
        self._seals = seals
        self._lifetimes = lifetimes
        self._clock = clock
        self._refusals = Refusals(store, cache, seals, anew=self.renew, clock=clock)
        self._flights: dict[_FlightName, _Flight] = {}
        self._firsts: dict[UUID, asyncio.Task[int]] = {}

    async def open(
        self, tenant_id: UUID, version: int, waited: Requests | None = None
    ) -> CachedKey:
        """The key of one version. `waited` gets the requests that this call waited for, those that failed
        too, but for those that another call that waited for them was told of.

        Raises TenantSealedError when its wrapping key cannot be used, KeyRevokedError,
        UnknownVersionError, UnavailableError, DeadlineError.
        """
        entry = self._cache.get(tenant_id, version)
        return entry or await self._fly(tenant_id, version, waited=waited)

    def at_hand(self, tenant_id: UUID, version: int) -> CachedKey | None:
        """The key of one version, if it is open and may be used now."""
        return self._cache.get(tenant_id, version)

    async def active(self, tenant_id: UUID) -> CachedKey:
        """The active key, made under the platform's wrapping key at a tenant's first use.

        May be a version that has just been retired: who stores what it wraps checks (`kms.hold_active`).
        Raises NotFoundError for no such tenant, and as `open`. However many call, one key is made.
        """
        version = self._cache.active(tenant_id)
        if version is None:
            mark = self._cache.mark(tenant_id)
            version = await self._store.active_version(tenant_id)
            if version is None:
                version = await self._create_first(tenant_id)
            self._cache.keep_active(mark, tenant_id, version)
        return await self.open(tenant_id, version)

    def usable_ms(self, *entries: CachedKey) -> int:
        """Milliseconds from now for which all of `entries` may be used."""
        now = self._clock()
        left = min((entry.expires_at - now for entry in entries), default=0.0)
        return max(0, int(left * 1000))

    def mark(self, tenant_id: UUID) -> Mark:
        """As of the cache; to be taken before what `keep_new` will keep is minted."""
        return self._cache.mark(tenant_id)

    def keep_new(self, mark: Mark, minted: Minted, version: int, binding_id: UUID | None) -> None:
        """Keep a key that its provider has just unwrapped and that is stored by now."""
        new = minted.new
        key = hierarchy.OpenMasterKey(minted.master_key, minted.tenant_id, version)
        entry = self._lifetimes.cached(key, binding_id, minted.asked_at, new.wrap_method)
        self._cache.keep(mark, entry)

    def heard(self, announcement: Announcement) -> None:
        """What a change, here or in another process, makes invalid."""
        tenant_id, binding_id = announcement.tenant_id, announcement.binding_id
        match announcement.kind:
            case Kind.ROTATED:
                self._cache.forget_active(tenant_id)
            case Kind.REPLACED:
                self._cache.drop_tenant(tenant_id)
            case Kind.REFUSED:
                if binding_id is not None:
                    self._cache.drop_binding(tenant_id, binding_id)
            case Kind.UNSEALED:
                if binding_id is not None:
                    self._seals.forget(binding_id)
            case Kind.REVOKED | Kind.VERSION_REFUSED:
                self._not_to_be_used(announcement)

    def _not_to_be_used(self, announcement: Announcement) -> None:
        """One version is gone, or refused elsewhere. What is known to be refused here stays so: else each
        process's word would send the others to the provider again.
        """
        tenant_id, version = announcement.tenant_id, announcement.version
        if version is not None:
            self._cache.drop_version(tenant_id, version)
            if announcement.kind is Kind.REVOKED:
                self._seals.forget_version(tenant_id, version)

    def echoed(self, announcement: Announcement) -> None:
        """This process's own announcement came back.

        Whoever made the change took note of it, unless it was cancelled while COMMIT was on its way: then
        the hint which version is active would be stale for ever, or an erased key still in use. To forget
        costs one read.
        """
        if announcement.kind is Kind.REVOKED:
            self.heard(announcement)
        if announcement.kind in {Kind.ROTATED, Kind.REPLACED}:
            self._cache.forget_active(announcement.tenant_id)

    async def renew(self, tenant_id: UUID, version: int) -> None:
        """Ask the provider again, whatever is cached or refused; of a sealed binding only the newest version.

        Raises as `open`.
        """
        await self._fly(tenant_id, version, ahead=True)

    async def retry(self, tenant_id: UUID, version: int) -> None:
        """As `renew`, of what requests are refused without asking: none of them joins and waits for this."""
        await self._fly(tenant_id, version, ahead=True, apart=True)

    async def try_now(self, call: Call, tenant_id: UUID, version: int) -> bool:
        """Ask the provider anew, joining nothing that was sent before, and lift the seal on behalf of `call`.

        False when the binding was refused again meanwhile, or its ring kept moving. Raises WrapError with
        the provider's word, and as `open` but for TenantSealedError.
        """
        return (await self._ask(tenant_id, version, Requests(), ahead=True, call=call))[1]

    def close(self) -> None:
        """Give up the loads under way."""
        for flight in self._flights.values():
            flight.load.cancel()
        for first in self._firsts.values():
            first.cancel()

    async def _fly(
        self,
        tenant_id: UUID,
        version: int,
        *,
        ahead: bool = False,
        apart: bool = False,
        waited: Requests | None = None,
    ) -> CachedKey:
        """Join the load that is under way, or begin one. A caller that gives up stops nobody else's."""
        name = (tenant_id, version, *self._cache.mark(tenant_id)[:2], apart)
        flight = self._flights.get(name)
        if flight is None:
            requests = Requests()
            load = asyncio.create_task(self._load(tenant_id, version, requests, ahead=ahead))
            flight = self._flights[name] = _Flight(load, requests)
            load.add_done_callback(lambda done: self._landed(name, done))
        if flight.waiting >= MAX_WAITING:
            raise UnavailableError(
                "Too many calls that need this tenant's KMS key are waiting; try again in a moment."
            )
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.load)
        finally:
            flight.waiting -= 1
            if waited is not None and flight.load.done():
                waited.take(flight.requests)

    def _landed(self, name: _FlightName, load: asyncio.Task[CachedKey]) -> None:
        self._flights.pop(name, None)
        if not load.cancelled():
            load.exception()  # it was looked at, also when every waiter has gone

    async def _load(
        self, tenant_id: UUID, version: int, requests: Requests, *, ahead: bool
    ) -> CachedKey:
        call = Call.of_service("kms")
        try:
            return (await self._ask(tenant_id, version, requests, ahead=ahead, call=call))[0]
        except WrapError as error:
            raise TenantSealedError(reason=error.reason) from None

    async def _ask(
        self, tenant_id: UUID, version: int, requests: Requests, *, ahead: bool, call: Call
    ) -> tuple[CachedKey, bool]:
        """The key, and whether it may be kept: not when only who waits for it now may use it.

        `requests` counts what is sent.

        Raises WrapError when the provider was asked, TenantSealedError when it was not, and as `open`.
        """
        for _ in range(_ATTEMPTS):
            mark = self._cache.mark(tenant_id)
            lookup = await self._store.find_key(tenant_id, version)
            if lookup is None:
                raise UnknownVersionError
            if lookup.row.status is KeyStatus.REVOKED or lookup.row.wrapped is None:
                raise KeyRevokedError("The key version was erased; what it protected is gone.")
            await self._admit(lookup, ahead=ahead)
            in_cloud = lookup.row.wrap_method is not WrapMethod.GLOBAL
            requests.count += in_cloud
            try:
                entry = await self._unwrap(lookup, lookup.row.wrapped, ahead=ahead)
            except UnavailableError:
                requests.count -= in_cloud  # it was not asked, see `ports.WrappingKey`
                raise
            same = await self._store.epoch(tenant_id) == lookup.epoch
            if same and await self._usable(call, lookup):
                if self._cache.keep(mark, entry):
                    self._seals.forget_version(tenant_id, version)
                return entry, True
        return CachedKey(entry.key, entry.binding_id, entry.asked_at, entry.asked_at), False

    async def _admit(self, lookup: KeyLookup, *, ahead: bool) -> None:
        """Raise TenantSealedError when the provider must not be asked.

        Of a sealed binding nothing but the newest version is asked, also ahead: what lifts the seal must
        be what would set it again.
        """
        binding, version = lookup.binding, lookup.row.version
        if binding is None:
            return
        if not ahead:
            # Nothing of it is open any more: who asks now learns whether it is to be sealed.
            if self._seals.spares(binding.id) and not self._cache.lives(binding.id):
                self._seals.forget(binding.id)
            self._seals.admit(binding, version)
        elif (
            binding.sealed_since is not None
            and await self._store.newest_under(binding.tenant_id, binding.id) != version
        ):
            self._seals.watch(binding, version)
            raise TenantSealedError(reason=binding.last_verify_error)

    async def _unwrap(self, lookup: KeyLookup, wrapped: Wrapped, *, ahead: bool) -> CachedKey:
        row = lookup.row
        asked_at = self._clock()
        try:
            master_key = await self._key_of(lookup).unwrap(row.facts, wrapped)
            if not hierarchy.is_this_key(master_key, row.tenant_id, row.id, row.check_value):
                raise WrapError(Reason.ROUNDTRIP_MISMATCH, "The KMS gave back another key.")
        except WrapError as error:
            took = self._clock() - asked_at
            await self._refusals.note(lookup, error.reason, asked_at, ahead=ahead)
            if lookup.binding is not None and took >= PATIENCE_SECONDS:
                self._seals.lingered(lookup.binding.id)
            raise
        binding_id = lookup.binding.id if lookup.binding else None
        key = hierarchy.OpenMasterKey(master_key, row.tenant_id, row.version)
        return self._lifetimes.cached(key, binding_id, asked_at, row.wrap_method)

    def _key_of(self, lookup: KeyLookup) -> WrappingKey:
        if lookup.binding is None:
            return self._wrapping.platform(lookup.row.wrap_method)
        return self._wrapping.customer(lookup.row.tenant_id, lookup.binding.target)

    async def _usable(self, call: Call, lookup: KeyLookup) -> bool:
        """Lift the seal of what was just used; False when it was refused meanwhile."""
        binding = lookup.binding
        if binding is None:
            return True
        sealed = binding.sealed_since is not None
        if sealed and not await self._store.unseal(call, binding, lookup.epoch):
            return False
        self._seals.forget(binding.id)
        return True

    async def _create_first(self, tenant_id: UUID) -> int:
        first = self._firsts.get(tenant_id)
        if first is None:
            first = self._firsts[tenant_id] = asyncio.create_task(self._mint_first(tenant_id))
            first.add_done_callback(lambda done: self._first_ended(tenant_id, done))
        return await asyncio.shield(first)

    def _first_ended(self, tenant_id: UUID, first: asyncio.Task[int]) -> None:
        self._firsts.pop(tenant_id, None)
        if not first.cancelled():
            first.exception()  # it was looked at, also when every waiter has gone

    async def _mint_first(self, tenant_id: UUID) -> int:
        mark = self._cache.mark(tenant_id)
        # Again: another may have made it between the caller's look and now.
        version = await self._store.active_version(tenant_id)
        if version is not None:
            return version
        method = self._wrapping.platform_method
        key = self._wrapping.platform(method)
        try:
            minted = await mint(key, method, tenant_id, clock=self._clock)
        except WrapError as error:
            raise TenantSealedError(reason=error.reason, own_key=False) from None
        row = await self._store.create_first(_present_call(), tenant_id, minted.new)
        if row.id == minted.new.id:
            self.keep_new(mark, minted, row.version, None)
        return row.version


def _present_call() -> Call:
    try:
        return current_call()
    except LookupError:
        return Call.of_service("kms")
