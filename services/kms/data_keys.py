"""Use cases of data keys: generate, unwrap, rewrap. For the secrets service only.

Data keys are minted here and leave in the clear only towards secrets; a rewrap sends none back.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from services.common.envelope import (
    DATA_KEY_BYTES,
    DATA_KEY_RECORD_BYTES,
    WRAPPED_DATA_KEY_BYTES,
    CannotOpenError,
)
from services.common.errors import KeyRevokedError, TenantSealedError
from services.kms.keys import hierarchy
from services.kms.model import DataKey, DataKeyFault, UnknownVersionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from services.kms.keys.cache import CachedKey
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
"""Records that are worked on before the event loop gets a turn: about 7 ms."""


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

    def __repr__(self) -> str:
        return f"Unwrapped({len(self.results)} results)"


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """Records of 68 bytes in the order asked (zeros where one failed), and what failed by index."""

    key_version: int
    packed: bytes
    failures: tuple[tuple[int, DataKeyFault], ...]


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
        """Open (data-key id, wrapped) pairs. Only the database's faults raise."""
        versions = [hierarchy.version_of(wrapped) for _, wrapped in items]
        opened = await self._open_all(tenant_id, versions)
        results: list[bytes | DataKeyFault] = []
        for at, ((key_id, wrapped), version) in enumerate(zip(items, versions, strict=True), 1):
            results.append(_open_one(opened.get(version), key_id, wrapped))
            if at % _STRIDE == 0:
                await asyncio.sleep(0)
        entries = [entry for entry in opened.values() if not isinstance(entry, DataKeyFault)]
        return Unwrapped(tuple(results), self._master_keys.usable_ms(*entries))

    async def rewrap(self, tenant_id: UUID, packed: bytes) -> Rewrapped:
        """Wrap records of 84 bytes (data-key id, wrapped) under the version that is active now.

        Each new wrap was opened and compared. Raises TenantSealedError when the active version's
        wrapping key cannot be used, and the database's faults.
        """
        records = [
            (packed[at : at + _ID_BYTES], packed[at + _ID_BYTES : at + DATA_KEY_RECORD_BYTES])
            for at in range(0, len(packed), DATA_KEY_RECORD_BYTES)
        ]
        # Read anew and not from the cache: what is wrapped under a retired version is wasted work.
        version = await self._store.active_version(tenant_id)
        if version is None:
            failures = tuple((at, DataKeyFault.UNKNOWN_VERSION) for at in range(len(records)))
            return Rewrapped(0, bytes(WRAPPED_DATA_KEY_BYTES * len(records)), failures)
        target = await self._master_keys.open(tenant_id, version)
        opened = await self._open_all(tenant_id, [hierarchy.version_of(r[1]) for r in records])
        out: list[bytes] = []
        failed: list[tuple[int, DataKeyFault]] = []
        for at in range(0, len(records), _STRIDE):
            wrapped, faults = _rewrap(target, opened, records[at : at + _STRIDE])
            out.append(wrapped)
            failed.extend((at + index, fault) for index, fault in faults)
            await asyncio.sleep(0)
        return Rewrapped(version, b"".join(out), tuple(failed))

    async def _open_all(
        self, tenant_id: UUID, versions: Iterable[int | None]
    ) -> dict[int | None, CachedKey | DataKeyFault]:
        """The keys of `versions`. One that had to be forgotten while another was waited for is looked at
        again: it may have been erased.
        """
        named = {version for version in versions if version is not None}
        opened: dict[int | None, CachedKey | DataKeyFault] = {}
        for _ in range(_LOOKS):
            wanted = self._at_hand(tenant_id, named, opened)
            if not wanted:
                break
            mark = self._master_keys.mark(tenant_id)
            found = await asyncio.gather(*(self._try_open(tenant_id, one) for one in wanted))
            opened.update(zip(wanted, found, strict=True))
            if self._master_keys.mark(tenant_id) == mark:
                break
        return opened

    def _at_hand(
        self,
        tenant_id: UUID,
        named: Iterable[int],
        opened: dict[int | None, CachedKey | DataKeyFault],
    ) -> list[int]:
        """Put what is open already into `opened`; the versions that are to be waited for."""
        wanted = []
        for version in named:
            entry = self._master_keys.at_hand(tenant_id, version)
            if entry is None:
                wanted.append(version)
            else:
                opened[version] = entry
        return wanted

    async def _try_open(self, tenant_id: UUID, version: int) -> CachedKey | DataKeyFault:
        try:
            return await self._master_keys.open(tenant_id, version)
        except TenantSealedError:
            return DataKeyFault.SEALED
        except KeyRevokedError:
            return DataKeyFault.REVOKED
        except UnknownVersionError:
            return DataKeyFault.UNKNOWN_VERSION


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
    target: CachedKey,
    opened: dict[int | None, CachedKey | DataKeyFault],
    records: Sequence[tuple[bytes, bytes]],
) -> tuple[bytes, list[tuple[int, DataKeyFault]]]:
    plain: list[tuple[bytes, bytes]] = []
    places: list[int] = []
    failed: list[tuple[int, DataKeyFault]] = []
    for index, (key_id, wrapped) in enumerate(records):
        result = _open_one(opened.get(hierarchy.version_of(wrapped)), key_id, wrapped)
        if isinstance(result, DataKeyFault):
            failed.append((index, result))
        else:
            plain.append((key_id, result))
            places.append(index)
    out = bytearray(WRAPPED_DATA_KEY_BYTES * len(records))
    for place, (key_id, data_key), form in zip(places, plain, target.key.wrap(plain), strict=True):
        if target.key.unwrap(key_id, form) != data_key:
            raise CannotOpenError
        out[place * WRAPPED_DATA_KEY_BYTES : (place + 1) * WRAPPED_DATA_KEY_BYTES] = form
    return bytes(out), failed
