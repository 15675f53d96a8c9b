"""Use cases of data keys: generate, unwrap, rewrap. For the secrets service only.

Data keys are minted here and leave in the clear only towards secrets; a rewrap sends none back.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from services.common.envelope import (
    DATA_KEY_BYTES,
    DATA_KEY_RECORD_BYTES,
    WRAPPED_DATA_KEY_BYTES,
    CannotOpenError,
)
from services.common.errors import KeyRevokedError, TenantSealedError, UnavailableError
from services.kms.keys import hierarchy
from services.kms.keys.requests import Requests
from services.kms.model import DataKey, DataKeyFault, UnknownVersionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from uuid import UUID

    from services.kms.keys.cache import CachedKey, Mark
    from services.kms.keys.master_keys import MasterKeys
    from services.kms.ports import KeyStore

MAX_GENERATED: Final = 256
MAX_UNWRAPPED: Final = 1_000
MAX_REWRAPPED: Final = 5_000
_ID_BYTES: Final = 16
_PAIR_BYTES: Final = _ID_BYTES + DATA_KEY_BYTES
_LOOKS: Final = 3
"""Looks at the keys of a batch, when the tenant's ring keeps moving meanwhile."""
_STRIDE: Final = 250
"""Records that are worked on before the event loop gets a turn: about 2 ms."""


@dataclass(frozen=True, slots=True)
class Generated:
    """New data keys under one version, and for how many milliseconds they may be used."""

    data_keys: tuple[DataKey, ...]
    key_version: int
    usable_ms: int


@dataclass(frozen=True, slots=True)
class Unwrapped:
    """A data key or a fault for each item, in order."""

    results: tuple[bytes | DataKeyFault, ...]
    usable_ms: int
    reasons: Mapping[int, str] = field(default_factory=dict)
    """By index, why its sealed wrapping key cannot be used: a Reason's value, where it is known."""

    def __repr__(self) -> str:
        return f"Unwrapped({len(self.results)} results)"


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """Records of 68 bytes in the order asked (zeros where one failed), and what failed by index.

    `kms_calls`: requests to the KMS of a cloud that were waited for, see `MasterKeys.open`.
    """

    key_version: int
    packed: bytes
    failures: tuple[tuple[int, DataKeyFault], ...]
    kms_calls: int = 0


class DataKeys:
    """The three use cases."""

    def __init__(self, store: KeyStore, master_keys: MasterKeys) -> None:
        self._store = store
        self._master_keys = master_keys

    async def generate(self, tenant_id: UUID, count: int) -> Generated:
        """`count` new data keys under the active version.

        Raises as `MasterKeys.active`.
        """
        entry = await self._master_keys.active(tenant_id)
        # All at once: each call of the operating system lets go of the interpreter's lock.
        random = os.urandom((_ID_BYTES + DATA_KEY_BYTES) * count)
        pairs = [
            (_random_id(random[at : at + _ID_BYTES]), random[at + _ID_BYTES : at + _PAIR_BYTES])
            for at in range(0, len(random), _PAIR_BYTES)
        ]
        wrapped = entry.key.wrap(pairs)
        keys = (DataKey(*pair, form) for pair, form in zip(pairs, wrapped, strict=True))
        return Generated(tuple(keys), entry.key.version, self._master_keys.usable_ms(entry))

    async def unwrap(self, tenant_id: UUID, items: Sequence[tuple[bytes, bytes]]) -> Unwrapped:
        """Open (data-key id, wrapped) pairs.

        Raises the database's faults, and UnavailableError when the keys go as fast as they come.
        """
        versions = [hierarchy.version_of(wrapped) for _, wrapped in items]
        done = self._unwrap_at_hand(tenant_id, items, versions)
        if done is not None:
            return done
        keys = _Keys(self._master_keys, tenant_id, versions)
        results: list[bytes | DataKeyFault] = []
        for at in range(0, len(items), _STRIDE):
            await _next(at)
            await keys.open()
            results.extend(
                _open_one(keys.of(version), *item)
                for item, version in zip(
                    items[at : at + _STRIDE], versions[at : at + _STRIDE], strict=True
                )
            )
        reasons = {
            index: reason
            for index, (result, version) in enumerate(zip(results, versions, strict=True))
            if result is DataKeyFault.SEALED and (reason := keys.reason_of(version))
        }
        return Unwrapped(tuple(results), self._master_keys.usable_ms(*keys.entries()), reasons)

    def _unwrap_at_hand(
        self,
        tenant_id: UUID,
        items: Sequence[tuple[bytes, bytes]],
        versions: Sequence[int | None],
    ) -> Unwrapped | None:
        """What needs no waiting: a short batch under one version that is open. None for any other.

        This is nearly every call, and half as much work as looking after the keys of a long one.
        """
        version = versions[0] if versions else None
        if version is None or len(items) > _STRIDE or versions.count(version) != len(versions):
            return None
        entry = self._master_keys.at_hand(tenant_id, version)
        if entry is None:
            return None
        results = tuple(_open_one(entry, key_id, wrapped) for key_id, wrapped in items)
        return Unwrapped(results, self._master_keys.usable_ms(entry), {})

    async def rewrap(self, tenant_id: UUID, packed: bytes) -> Rewrapped:
        """Wrap records of 84 bytes (data-key id, wrapped) under the version that is active now.

        Each new wrap was opened and compared. Raises TenantSealedError when the active version's
        wrapping key cannot be used, and as `unwrap`.
        """
        count = len(packed) // DATA_KEY_RECORD_BYTES
        # Read anew and not from the cache: what is wrapped under a retired version is wasted work.
        version = await self._store.active_version(tenant_id)
        if version is None:
            failures = tuple((at, DataKeyFault.UNKNOWN_VERSION) for at in range(count))
            return Rewrapped(0, bytes(WRAPPED_DATA_KEY_BYTES * count), failures)
        keys = _Keys(self._master_keys, tenant_id, {version, *hierarchy.versions_in(packed)})
        out: list[bytes] = []
        failed: list[tuple[int, DataKeyFault]] = []
        stride = _STRIDE * DATA_KEY_RECORD_BYTES
        for at in range(0, count, _STRIDE):
            await _next(at)
            await keys.open()
            target = await keys.require(version)
            start = at * DATA_KEY_RECORD_BYTES
            wrapped, faults = _rewrap(target, keys, packed[start : start + stride])
            out.append(wrapped)
            failed.extend((at + index, fault) for index, fault in faults)
        return Rewrapped(version, b"".join(out), tuple(failed), keys.waited.count)


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A key that was waited for. `mark` is from before; None for one that the cache kept, and watches."""

    entry: CachedKey
    mark: Mark | None


class _Keys:
    """The keys of one batch. None is used after its time, nor after it had to be forgotten: whoever waits,
    for a cloud or for the event loop's other work, calls `open` again before he goes on.
    """

    def __init__(
        self, master_keys: MasterKeys, tenant_id: UUID, versions: Iterable[int | None]
    ) -> None:
        self._master_keys = master_keys
        self._tenant_id = tenant_id
        self._named = {version for version in versions if version is not None}
        self._opened: dict[int, CachedKey | DataKeyFault] = {}
        self._unkept: dict[int, _Loaded] = {}
        self._reasons: dict[int, str | None] = {}
        self.waited = Requests()

    def of(self, version: int | None) -> CachedKey | DataKeyFault | None:
        """The key or what is wrong with it, as `open` found it; None for bytes that name no version."""
        return None if version is None else self._opened[version]

    def reason_of(self, version: int | None) -> str | None:
        """Why the wrapping key of a version that is sealed cannot be used, if that was told."""
        return None if version is None else self._reasons.get(version)

    def entries(self) -> list[CachedKey]:
        """Every key that could be opened."""
        return [one for one in self._opened.values() if not isinstance(one, DataKeyFault)]

    async def open(self) -> None:
        """Open what may not be used now: until all may, or each cannot be.

        Waits for nothing if all may. A fault is final for the batch. Raises UnavailableError when what was
        opened had to be forgotten again each time, and the database's faults.
        """
        for _ in range(_LOOKS):
            wanted = [version for version in self._named if not self._usable(version)]
            if not wanted:
                return
            found = await asyncio.gather(*(self._load(version) for version in wanted))
            for version, one in zip(wanted, found, strict=True):
                if isinstance(one, DataKeyFault):
                    self._opened[version] = one
                elif one.mark is not None:
                    self._unkept[version] = one
        if not all(map(self._usable, self._named)):
            raise UnavailableError("The tenant's keys are being changed; try again in a moment.")

    async def require(self, version: int) -> CachedKey:
        """The key of a version that was opened. Raises what is wrong with it."""
        entry = self._opened[version]
        if isinstance(entry, DataKeyFault):
            # Nobody is asked again for what is sealed, but now the reason is told.
            entry = self._opened[version] = await self._master_keys.open(self._tenant_id, version)
        return entry

    def _usable(self, version: int) -> bool:
        """Whether there is nothing to wait for, the key or the fault being in `_opened` then."""
        if isinstance(self._opened.get(version), DataKeyFault):
            return True
        entry = self._master_keys.at_hand(self._tenant_id, version)
        if entry is None:
            entry = self._not_kept(version)
        if entry is None:
            return False
        self._opened[version] = entry
        return True

    def _not_kept(self, version: int) -> CachedKey | None:
        """What was loaded for this batch alone: the process may not hear, or the ring keeps moving."""
        loaded = self._unkept.get(version)
        if loaded is None or loaded.mark != self._mark():
            return None
        entry = loaded.entry
        at_once_only = entry.expires_at <= entry.asked_at
        return entry if at_once_only or self._master_keys.usable_ms(entry) > 0 else None

    async def _load(self, version: int) -> _Loaded | DataKeyFault:
        mark = self._mark()
        try:
            entry = await self._master_keys.open(self._tenant_id, version, self.waited)
        except TenantSealedError as error:
            self._reasons[version] = error.reason
            return DataKeyFault.SEALED
        except KeyRevokedError:
            return DataKeyFault.REVOKED
        except UnknownVersionError:
            return DataKeyFault.UNKNOWN_VERSION
        kept = self._master_keys.at_hand(self._tenant_id, version) is entry
        return _Loaded(entry, None if kept else mark)

    def _mark(self) -> Mark:
        """Which version is active does not matter to an open key."""
        flushes, keys, _ = self._master_keys.mark(self._tenant_id)
        return flushes, keys, 0


async def _next(at: int) -> None:
    """Between two strides the event loop gets its turn."""
    if at:
        await asyncio.sleep(0)


def _random_id(random: bytes) -> bytes:
    """The 16 bytes as those of a version 4 UUID (RFC 9562)."""
    return (
        random[:6]
        + bytes((random[6] & 0x0F | 0x40, random[7], random[8] & 0x3F | 0x80))
        + random[9:]
    )


def _open_one(
    entry: CachedKey | DataKeyFault | None, key_id: bytes, wrapped: bytes
) -> bytes | DataKeyFault:
    """None stands for bytes that name no version."""
    if entry is None:
        return DataKeyFault.DAMAGED
    if isinstance(entry, DataKeyFault):
        return entry
    try:
        return entry.key.unwrap(key_id, wrapped)
    except CannotOpenError:
        return DataKeyFault.DAMAGED


def _rewrap(
    target: CachedKey, keys: _Keys, packed: bytes
) -> tuple[bytes, list[tuple[int, DataKeyFault]]]:
    wrapped, missed = hierarchy.rewrap(target.key, [entry.key for entry in keys.entries()], packed)
    failed = []
    for index in missed:
        start = index * DATA_KEY_RECORD_BYTES + _ID_BYTES
        version = hierarchy.version_of(packed[start : start + WRAPPED_DATA_KEY_BYTES])
        found = keys.of(version)
        failed.append((index, found if isinstance(found, DataKeyFault) else DataKeyFault.DAMAGED))
    return wrapped, failed
