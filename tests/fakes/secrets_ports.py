"""Ports of the secrets service in memory, for tests without I/O."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from services.common.envelope import DATA_KEY_RECORD_BYTES
from services.common.identity import Call, current_call
from services.common.sensitive import SecretBytes
from services.secrets.listing import Listing, Page
from services.secrets.model import (
    DataKey,
    Environment,
    EnvironmentValue,
    KeyFault,
    KeySealed,
    NewSecret,
    Refused,
    Rewrapped,
    SecretRow,
    StaleKeyVersionError,
    WrappedKey,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


async def settle() -> None:
    """Let every task run that can."""
    for _ in range(100):
        await asyncio.sleep(0)


class MemoryKms:
    """Counts what it is asked; answers when `gate` is open."""

    def __init__(self, usable_until: float = float("inf")) -> None:
        self.key_version = 1
        self.usable_until = usable_until
        self.generated: list[int] = []
        self.asked_by: list[Call | None] = []
        self.rewrapped: list[int] = []
        self.made: list[DataKey] = []
        self.lost: set[UUID] = set()
        self.fault: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.moving = asyncio.Event()
        self.moving.set()
        self.answered = asyncio.Event()

    async def generate(self, tenant_id: UUID, count: int) -> list[DataKey]:
        self.generated.append(count)
        try:
            self.asked_by.append(current_call())
        except LookupError:
            self.asked_by.append(None)
        await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        keys = [
            DataKey(
                uuid4(),
                SecretBytes(os.urandom(32)),
                os.urandom(68),
                self.key_version,
                self.usable_until,
            )
            for _ in range(count)
        ]
        self.made.extend(keys)
        self.answered.set()
        return keys

    async def unwrap(
        self, tenant_id: UUID, keys: Sequence[WrappedKey]
    ) -> list[SecretBytes | KeyFault | KeySealed]:
        return [KeyFault.DAMAGED for _ in keys]

    async def rewrap(self, tenant_id: UUID, packed: bytes) -> Rewrapped:
        ids = [
            UUID(bytes=packed[at : at + 16]) for at in range(0, len(packed), DATA_KEY_RECORD_BYTES)
        ]
        self.rewrapped.append(len(ids))
        await self.moving.wait()
        lost = {place: KeyFault.REVOKED for place, one in enumerate(ids) if one in self.lost}
        return Rewrapped(self.key_version, os.urandom(68 * len(ids)), lost)


class MemorySecrets:
    """A store of new secrets with one environment; `active` is the key version it takes."""

    def __init__(self) -> None:
        self.active = 1
        self.home = Environment(uuid4(), "production", is_default=True)
        self.groups: list[tuple[UUID, int]] = []
        self.names: dict[tuple[UUID, str], NewSecret] = {}
        self.poison: set[str] = set()
        self.gate = asyncio.Event()
        self.gate.set()

    async def environment(
        self, tenant_id: UUID, name: str | None, call: Call
    ) -> Environment | None:
        return self.home if name in {None, self.home.name} else None

    async def has_collection(self, tenant_id: UUID, collection_id: UUID) -> bool:
        return False

    async def create(
        self, tenant_id: UUID, key_version: int, secrets: Sequence[NewSecret]
    ) -> list[SecretRow | Refused]:
        self.groups.append((tenant_id, len(secrets)))
        await self.gate.wait()
        if key_version != self.active:
            raise StaleKeyVersionError
        if any(secret.draft.name in self.poison for secret in secrets):
            raise RuntimeError("poison")
        return [self._create_one(tenant_id, secret) for secret in secrets]

    def _create_one(self, tenant_id: UUID, secret: NewSecret) -> SecretRow | Refused:
        assert secret.value.key.key_version == self.active
        if (tenant_id, secret.draft.name) in self.names:
            return Refused.NAME_TAKEN
        self.names[tenant_id, secret.draft.name] = secret
        return secret.row(datetime.now(UTC))

    async def get(
        self, tenant_id: UUID, secret_id: UUID
    ) -> tuple[SecretRow, tuple[EnvironmentValue, ...]] | None:
        return None

    async def list(self, tenant_id: UUID, listing: Listing) -> Page:
        return Page((), 0)


class Watching:
    """`ports.Observer` that counts."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.wiped = asyncio.Event()
        self.blamed: list[Call | None] = []

    def grouped(self, kind: str, calls: Sequence[Call]) -> None:
        self.counts[f"group {kind}"] += len(calls)

    def keys_made(self, count: int) -> None:
        self.counts["made"] += count

    def key_taken(self, *, from_stock: bool) -> None:
        self.counts[f"taken {from_stock}"] += 1

    def keys_wiped(self, count: int) -> None:
        self.counts["wiped"] += count
        if count:
            self.wiped.set()

    def reader_failed(self, kind: str) -> None:
        self.counts[f"reader failed {kind}"] += 1

    def cannot_open(
        self, tenant_id: UUID, data_key_id: UUID, where: str, *, call: Call | None = None
    ) -> None:
        self.counts[f"cannot open {where}"] += 1
        self.blamed.append(call)
