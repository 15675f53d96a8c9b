"""Wrapping keys and a store in memory, with the troubles that real ones have."""

from __future__ import annotations

import asyncio
import os
import uuid
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

from services.common.errors import NotFoundError
from services.kms.keys import hierarchy
from services.kms.keys.cache import MasterKeyCache
from services.kms.keys.master_keys import Lifetimes, MasterKeys
from services.kms.keys.sealing import Seals
from services.kms.keys.tending import Tending
from services.kms.model import (
    Binding,
    KeyDescription,
    KeyFacts,
    KeyLookup,
    KeyStatus,
    KmsTarget,
    MasterKeyRow,
    NewMasterKey,
    Reason,
    SealedKey,
    WrapError,
    WrapMethod,
    Wrapped,
)

if TYPE_CHECKING:
    from services.common.identity import Call
    from services.kms.ports import WrappingKey

CUSTOMER_TTL, PLATFORM_TTL, RETRY = 300.0, 3600.0, 30.0


class FakeClock:
    """Time that goes on only when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class CountingMeter:
    """Remembers what was counted."""

    def __init__(self) -> None:
        self.counted: list[tuple[str, str, str]] = []

    def count(self, provider: str, operation: str, outcome: str) -> None:
        self.counted.append((provider, operation, outcome))


class FakeKey:
    """A wrapping key: `trouble` is raised, `gate` is waited for, `forged` is answered instead.

    `lost` tells why what it wrapped once does not open, though the key is good.
    """

    def __init__(self) -> None:
        self._kept: dict[bytes, tuple[KeyFacts, bytes]] = {}
        self.trouble: Reason | None = None
        self.forged: bytes | None = None
        self.lost: dict[bytes, Reason] = {}
        self.asked: list[bytes] = []
        self.gate: asyncio.Event | None = None
        self.wraps = 0
        self.unwraps = 0

    def describe(self) -> KeyDescription:
        return KeyDescription("fake", "fake key", "nobody", (), "none")

    async def wrap(self, facts: KeyFacts, master_key: bytes) -> Wrapped:
        self.wraps += 1
        await self._answer()
        blob = os.urandom(16)
        self._kept[blob] = (facts, master_key)
        return Wrapped(blob, "fake key")

    async def unwrap(self, facts: KeyFacts, wrapped: Wrapped) -> bytes:
        self.unwraps += 1
        self.asked.append(wrapped.blob)
        await self._answer()
        if wrapped.blob in self.lost:
            raise WrapError(self.lost[wrapped.blob], "as told")
        kept = self._kept.get(wrapped.blob)
        if kept is None or kept[0] != facts:
            raise WrapError(Reason.ROUNDTRIP_MISMATCH, "not ours")
        return self.forged or kept[1]

    async def _answer(self) -> None:
        if self.gate is not None:
            await self.gate.wait()
        if self.trouble is not None:
            raise WrapError(self.trouble, "as told")


@dataclass
class FakeKeys:
    """Implements WrappingKeys: one key for each reference."""

    platform_key: FakeKey = field(default_factory=FakeKey)
    customers: dict[str, FakeKey] = field(default_factory=dict)
    platform_method: WrapMethod = WrapMethod.GLOBAL

    def platform(self, method: WrapMethod | None = None) -> WrappingKey:
        return self.platform_key

    def customer(self, tenant_id: UUID, target: KmsTarget) -> WrappingKey:
        return self.customers.setdefault(target.kms_key_ref, FakeKey())


@dataclass
class MemoryStore:
    """Implements KeyStore."""

    rows: dict[tuple[UUID, int], MasterKeyRow] = field(default_factory=dict)
    bindings: dict[UUID, Binding] = field(default_factory=dict)
    binding_of: dict[tuple[UUID, int], UUID] = field(default_factory=dict)
    epochs: dict[UUID, int] = field(default_factory=dict)
    strangers: set[UUID] = field(default_factory=set)
    sealed: list[tuple[UUID, Reason]] = field(default_factory=list)
    unsealed: list[UUID] = field(default_factory=list)
    refused: list[tuple[UUID, int]] = field(default_factory=list)
    """Versions that every process was told to forget."""
    data_keys: dict[tuple[UUID, int], int] = field(default_factory=dict)
    """The census, where it is not 1."""
    reads: int = 0

    async def version_needed(self, tenant_id: UUID, version: int) -> bool:
        row = self.rows.get((tenant_id, version))
        if row is None or row.status is KeyStatus.REVOKED:
            return False
        return row.status is KeyStatus.ACTIVE or self.data_keys.get((tenant_id, version), 1) > 0

    async def binding_needed(self, tenant_id: UUID, binding_id: UUID) -> bool:
        if not self.bindings[binding_id].replaced:
            return True
        return any(
            [
                await self.version_needed(*name)
                for name, bound in self.binding_of.items()
                if bound == binding_id
            ]
        )

    async def newest_under(self, tenant_id: UUID, binding_id: UUID) -> int | None:
        return max(
            (
                version
                for (owner, version), bound in self.binding_of.items()
                if bound == binding_id and self.rows[owner, version].status is not KeyStatus.REVOKED
            ),
            default=None,
        )

    async def active_version(self, tenant_id: UUID) -> int | None:
        self.reads += 1
        for (owner, version), row in self.rows.items():
            if owner == tenant_id and row.status is KeyStatus.ACTIVE:
                return version
        return None

    async def find_key(self, tenant_id: UUID, version: int) -> KeyLookup | None:
        self.reads += 1
        row = self.rows.get((tenant_id, version))
        binding_id = self.binding_of.get((tenant_id, version))
        if row is None:
            return None
        binding = self.bindings[binding_id] if binding_id else None
        return KeyLookup(row, binding, self.epochs.get(tenant_id, 0))

    async def epoch(self, tenant_id: UUID) -> int:
        return self.epochs.get(tenant_id, 0)

    async def create_first(self, call: Call, tenant_id: UUID, new: NewMasterKey) -> MasterKeyRow:
        await asyncio.sleep(0)
        if tenant_id in self.strangers:
            raise NotFoundError("No such tenant.")
        version = await self.active_version(tenant_id)
        if version is None:
            version = self.add(tenant_id, new, None)
        return self.rows[tenant_id, version]

    async def seal(self, call: Call, binding: Binding, reason: Reason) -> None:
        self.sealed.append((binding.id, reason))
        if reason.definite:
            self.epochs[binding.tenant_id] = self.epochs.get(binding.tenant_id, 0) + 1
        since = self.bindings[binding.id].sealed_since or datetime.now(UTC)
        self.bindings[binding.id] = replace(
            self.bindings[binding.id], sealed_since=since, last_verify_error=reason
        )

    async def tell_refused(self, binding: Binding, version: int) -> None:
        self.refused.append((binding.id, version))

    async def sealed_bindings(self, limit: int) -> list[SealedKey]:
        return [
            SealedKey(binding.tenant_id, binding.id, version)
            for binding in list(self.bindings.values())
            if binding.sealed_since is not None and not binding.replaced
            for version in [await self.newest_under(binding.tenant_id, binding.id)]
            if version is not None
        ][:limit]

    async def unseal(self, call: Call, binding: Binding, epoch: int) -> bool:
        if self.epochs.get(binding.tenant_id, 0) != epoch:
            return False
        self.unsealed.append(binding.id)
        self.bindings[binding.id] = replace(
            self.bindings[binding.id], sealed_since=None, last_verify_error=None
        )
        return True

    def add(self, tenant_id: UUID, new: NewMasterKey, binding_id: UUID | None) -> int:
        """A new active version, as a transaction would leave it."""
        version = 1 + max((v for owner, v in self.rows if owner == tenant_id), default=0)
        for name, row in list(self.rows.items()):
            if name[0] == tenant_id:
                self.rows[name] = replace(row, status=KeyStatus.RETIRED)
        self.rows[tenant_id, version] = MasterKeyRow(
            tenant_id, version, new.id, new.wrap_method, new.wrapped, new.check_value
        )
        if binding_id is not None:
            self.binding_of[tenant_id, version] = binding_id
        return version


class World:
    """Everything around MasterKeys, in memory."""

    def __init__(self, max_keys: int = 100) -> None:
        self.clock = FakeClock()
        self.keys = FakeKeys()
        self.store = MemoryStore()
        self.trusted = True
        self.cache = MasterKeyCache(
            trusted=lambda: self.trusted, clock=self.clock, max_keys=max_keys
        )
        self.seals = Seals(RETRY, self.clock, jitter=lambda low, high: (low + high) / 2)
        self.master_keys = MasterKeys(
            self.store,
            self.keys,
            self.cache,
            self.seals,
            lifetimes=Lifetimes(CUSTOMER_TTL, PLATFORM_TTL),
            clock=self.clock,
        )
        self.tending = Tending(
            self.master_keys,
            self.store,
            self.cache,
            self.seals,
            lifetimes=Lifetimes(CUSTOMER_TTL, PLATFORM_TTL),
            clock=self.clock,
        )

    async def tenant(self, name: str = "k") -> tuple[UUID, FakeKey]:
        """A tenant with a customer's key and one version under it."""
        tenant_id, key = uuid.uuid4(), FakeKey()
        self.keys.customers[name] = key
        binding = Binding(tenant_id, uuid.uuid4(), KmsTarget("aws", name, {}, name))
        self.store.bindings[binding.id] = binding
        await self.version(tenant_id, binding.id)
        key.unwraps = 0
        return tenant_id, key

    async def version(self, tenant_id: UUID, binding_id: UUID) -> int:
        """A further version under a binding."""
        key = self.keys.customer(tenant_id, self.store.bindings[binding_id].target)
        facts, master_key = KeyFacts(tenant_id, uuid.uuid4()), os.urandom(32)
        wrapped = await key.wrap(facts, master_key)
        check_value = hierarchy.check_value(master_key, tenant_id, facts.key_id)
        new = NewMasterKey(facts.key_id, WrapMethod.CUSTOMER_KMS, wrapped, check_value)
        return self.store.add(tenant_id, new, binding_id)

    async def settle(self) -> None:
        """Let everything that can go on go on."""
        for _ in range(20):
            await asyncio.sleep(0)
