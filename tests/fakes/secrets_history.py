"""The values of one secret in memory, and a kms that makes and opens their data keys."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from services.common.sensitive import SecretBytes
from services.secrets.model import (
    DataKey,
    Environment,
    KeyFault,
    KeySealed,
    Rewrapped,
    StaleVersionError,
    Standing,
    StoredVersion,
)
from services.secrets.versions import NotRemoved, PastVersion, PastVersions, StoredValue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.common.identity import Call
    from services.secrets.model import NewValue, SecretType, WrappedKey
    from services.secrets.paging import Paging

NAME = "NAME"


class MemoryValues:
    """`ports.Values` of one secret with the environments `production` (its base) and `staging`."""

    def __init__(self, secret_type: SecretType = "string") -> None:
        self.id = uuid4()
        self.secret_type: SecretType = secret_type
        self.places = {
            name: Environment(uuid4(), name, is_default=name == "production")
            for name in ("production", "staging")
        }
        self.counters: dict[str, int] = {}
        self.removed: set[str] = set()
        self.written: list[NewValue] = []
        self.kept: dict[tuple[str, int], StoredValue] = {}

    async def standing(
        self, tenant_id: UUID, secret_id: UUID, environment: str | None
    ) -> Standing | None:
        if secret_id != self.id:
            return None
        name = environment or "production"
        version = self.counters.get(name, 0)
        has_value = version > 0 and name not in self.removed
        return Standing(NAME, self.secret_type, self.places.get(name), version, has_value)

    async def put(self, tenant_id: UUID, value: NewValue) -> StoredVersion | None:
        name = value.environment.name
        if self.counters.get(name, 0) != value.replaces:
            raise StaleVersionError
        if name in self.removed and value.only_over_a_value:
            raise StaleVersionError
        version = self.counters[name] = value.replaces + 1
        self.removed.discard(name)
        self.written.append(value)
        kind = value.certificate.certificate_type if value.certificate else None
        self.kept[name, version] = StoredValue(
            self.id, value.environment, version, kind, value.value
        )
        return StoredVersion(self.id, NAME, name, version)

    async def history(
        self, tenant_id: UUID, secret_id: UUID, environment: Environment, asked: Paging
    ) -> PastVersions:
        found = sorted(
            (version for name, version in self.kept if name == environment.name), reverse=True
        )
        current, now = self.counters.get(environment.name), datetime.now(UTC)
        rows = tuple(
            PastVersion(version, environment.name, version == current, now, None, None)
            for version in found[asked.offset : asked.offset + asked.per_page]
        )
        return PastVersions(rows, len(found))

    async def stored(
        self, tenant_id: UUID, secret_id: UUID, environment_id: UUID, version: int
    ) -> StoredValue | None:
        found = [place.name for place in self.places.values() if place.id == environment_id]
        return self.kept.get((found[0], version))

    async def remove(
        self, tenant_id: UUID, secret_id: UUID, environment: str, call: Call
    ) -> NotRemoved | None:
        if secret_id != self.id:
            return NotRemoved.NO_SECRET
        if environment == "production":
            return NotRemoved.IS_BASE
        if environment not in self.counters or environment in self.removed:
            return NotRemoved.NO_VALUE
        self.removed.add(environment)
        self.kept = {key: value for key, value in self.kept.items() if key[0] != environment}
        return None


class KeyRing:
    """`ports.Kms` whose data keys open as long as nothing is in the way."""

    def __init__(self) -> None:
        self.plain: dict[bytes, bytes] = {}
        self.faults: dict[bytes, KeyFault | KeySealed] = {}
        self.unwrapped: list[int] = []

    async def generate(self, tenant_id: UUID, count: int) -> list[DataKey]:
        return [self._make() for _ in range(count)]

    async def unwrap(
        self, tenant_id: UUID, keys: Sequence[WrappedKey]
    ) -> list[SecretBytes | KeyFault | KeySealed]:
        self.unwrapped.append(len(keys))
        return [
            self.faults.get(key.wrapped) or SecretBytes(self.plain[key.wrapped]) for key in keys
        ]

    async def rewrap(self, tenant_id: UUID, packed: bytes) -> Rewrapped:
        raise AssertionError("not asked for here")

    def _make(self) -> DataKey:
        plain, wrapped = os.urandom(32), os.urandom(68)
        self.plain[wrapped] = plain
        facts: dict[str, Any] = {"key_version": 1, "usable_until": float("inf")}
        return DataKey(uuid4(), SecretBytes(plain), wrapped, **facts)
