"""Open master keys and active versions, kept no longer and no more widely than allowed.

Promised: an entry is never served at or after its expiry, nor while `trusted` is false (the process might
not have heard an invalidation), nor after it was dropped. What was read before an invalidation is not
kept: `mark` before reading, and `keep` refuses when the mark has moved.

Not promised: that an entry is there until its expiry; the least recently used go first.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from services.common.clock import clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from uuid import UUID

    from services.kms.keys.hierarchy import OpenMasterKey
    from services.kms.ports import Clock

REFRESH_AT: Final = 0.8
"""Part of its life after which a key in use is fetched anew (DESIGN section 2)."""

_KEYS: Final = 0
_ACTIVE: Final = 1
Mark = tuple[int, int, int]
"""Counts of flushes, and of what a tenant's keys and active version had to be forgotten for."""


@dataclass(slots=True)
class CachedKey:
    """An open key. `asked_at` is when its KMS request was sent; times are of the cache's clock.

    Without a `refresh_at` it is due for that after REFRESH_AT of its life.
    """

    key: OpenMasterKey = field(repr=False)
    binding_id: UUID | None
    asked_at: float
    expires_at: float
    used: bool = False
    refresh_at: float | None = None
    """From when on it should be fetched anew if it is in use."""

    @property
    def due_at(self) -> float:
        """From when on it should be fetched anew."""
        if self.refresh_at is not None:
            return self.refresh_at
        return self.asked_at + REFRESH_AT * (self.expires_at - self.asked_at)


class _Counts:
    """Counts per tenant, for a bounded number of tenants: a count only ever grows."""

    def __init__(self, max_tenants: int) -> None:
        self._max = max_tenants
        self._counts: OrderedDict[UUID, int] = OrderedDict()
        self._others = 0

    def of(self, tenant_id: UUID) -> int:
        """The count, or what those share who have none of their own."""
        return self._counts.get(tenant_id, self._others)

    def add(self, tenant_id: UUID) -> None:
        """One more."""
        self._counts[tenant_id] = self.of(tenant_id) + 1
        self._counts.move_to_end(tenant_id)
        while len(self._counts) > self._max:
            self._others = max(self._others, self._counts.popitem(last=False)[1]) + 1


class MasterKeyCache:
    """Belongs to one event loop; no method waits."""

    def __init__(
        self, *, trusted: Callable[[], bool], clock: Clock = clock, max_keys: int = 10_000
    ) -> None:
        """`trusted` says whether every invalidation until a moment ago would have been heard."""
        self._trusted = trusted
        self._clock = clock
        self._max = max_keys
        self._keys: OrderedDict[tuple[UUID, int], CachedKey] = OrderedDict()
        self._active: OrderedDict[UUID, int] = OrderedDict()
        self._flushes = 0
        self._drops = (_Counts(max_keys), _Counts(max_keys))

    def __len__(self) -> int:
        return len(self._keys)

    def mark(self, tenant_id: UUID) -> Mark:
        """To be taken before reading what is to be kept."""
        return (
            self._flushes,
            self._drops[_KEYS].of(tenant_id),
            self._drops[_ACTIVE].of(tenant_id),
        )

    def get(self, tenant_id: UUID, version: int) -> CachedKey | None:
        """The key, if it may be used now."""
        entry = self._keys.get((tenant_id, version))
        if entry is None:
            return None
        if self._clock() >= entry.expires_at:
            del self._keys[tenant_id, version]
            return None
        if not self._trusted():
            return None
        entry.used = True
        self._keys.move_to_end((tenant_id, version))
        return entry

    def keep(self, mark: Mark, entry: CachedKey) -> bool:
        """Keep a key that was asked for after `mark`; whether it was kept."""
        tenant_id = entry.key.tenant_id
        if mark[:2] != self.mark(tenant_id)[:2] or not self._trusted():
            return False
        self._keys[tenant_id, entry.key.version] = entry
        self._keys.move_to_end((tenant_id, entry.key.version))
        while len(self._keys) > self._max:
            self._keys.popitem(last=False)
        return True

    def active(self, tenant_id: UUID) -> int | None:
        """The active version as last read. Only a hint: what stores a wrapped key checks it itself."""
        return self._active.get(tenant_id) if self._trusted() else None

    def keep_active(self, mark: Mark, tenant_id: UUID, version: int) -> None:
        """Keep what was read after `mark`."""
        now = self.mark(tenant_id)
        if (mark[0], mark[2]) == (now[0], now[2]) and self._trusted():
            self._active[tenant_id] = version
            self._active.move_to_end(tenant_id)
            while len(self._active) > self._max:
                self._active.popitem(last=False)

    def lives(self, binding_id: UUID) -> bool:
        """Whether any key of the binding may still be used."""
        now = self._clock()
        return self._trusted() and any(
            entry.binding_id == binding_id and now < entry.expires_at
            for entry in self._keys.values()
        )

    def due(self) -> Iterator[tuple[UUID, int, CachedKey]]:
        """Keys in use whose time to be fetched anew has come. Also forgets the expired ones."""
        now = self._clock()
        for (tenant_id, version), entry in list(self._keys.items()):
            if now >= entry.expires_at:
                self._keys.pop((tenant_id, version), None)
            elif entry.used and now >= entry.due_at:
                yield tenant_id, version, entry

    def forget_active(self, tenant_id: UUID) -> None:
        """Another version became active; open keys stay as good as they were."""
        self._active.pop(tenant_id, None)
        self._drops[_ACTIVE].add(tenant_id)

    def drop_tenant(self, tenant_id: UUID) -> None:
        """Forget everything of a tenant."""
        self.forget_active(tenant_id)
        self._drops[_KEYS].add(tenant_id)
        for known in [known for known in self._keys if known[0] == tenant_id]:
            del self._keys[known]

    def drop_binding(self, tenant_id: UUID, binding_id: UUID) -> None:
        """Forget the keys that a binding wraps; what it has in flight is not kept."""
        self._drops[_KEYS].add(tenant_id)
        for known, entry in list(self._keys.items()):
            if known[0] == tenant_id and entry.binding_id == binding_id:
                del self._keys[known]

    def drop_version(self, tenant_id: UUID, version: int) -> None:
        """Forget one key; what the tenant has in flight is not kept."""
        self._drops[_KEYS].add(tenant_id)
        self._keys.pop((tenant_id, version), None)

    def let_go(self, tenant_id: UUID, version: int) -> None:
        """Forget one key that is as good as it was, because nobody needs it."""
        self._keys.pop((tenant_id, version), None)

    def flush(self) -> None:
        """Forget everything: invalidations may have been missed."""
        self._flushes += 1
        self._keys.clear()
        self._active.clear()
