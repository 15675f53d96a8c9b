"""What kms does without being asked: refresh keys in use, and try sealed bindings again."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from services.common.defects import describe
from services.common.errors import CofferError, KeyRevokedError, TenantSealedError
from services.kms.keys.tries import PATIENCE_SECONDS, Tries
from services.kms.model import UnknownVersionError

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any
    from uuid import UUID

    from services.kms.keys.cache import MasterKeyCache
    from services.kms.keys.master_keys import Lifetimes, MasterKeys
    from services.kms.keys.sealing import Ailing, Seals
    from services.kms.model import Binding
    from services.kms.ports import Clock, KeyStore

REFRESHES: Final = 256
"""Refreshes under way at once."""
SEARCH_SECONDS: Final = 60.0
"""How often the database is searched for bindings that nobody here knows to be sealed; also at start."""
MAX_FOUND: Final = 1_000
_REFRESH_RETRY: Final = 0.05
"""Part of the TTL between two tries to refresh a key whose provider does not answer."""

_log = logging.getLogger(__name__)


class Tending:
    """Belongs to one event loop. A defect in one piece of its work stops no other."""

    def __init__(
        self,
        master_keys: MasterKeys,
        store: KeyStore,
        cache: MasterKeyCache,
        seals: Seals,
        *,
        lifetimes: Lifetimes,
        clock: Clock,
    ) -> None:
        self._master_keys = master_keys
        self._store = store
        self._cache = cache
        self._seals = seals
        self._lifetimes = lifetimes
        self._clock = clock
        self._refreshes: set[asyncio.Task[None]] = set()
        self._tries = Tries(clock)
        self._searches: set[asyncio.Task[None]] = set()
        self._search_at = float("-inf")

    async def run(self) -> None:
        """Tend until cancelled."""
        shortest = min(self._lifetimes.customer, self._lifetimes.platform)
        tick = min(1.0, max(0.05, shortest / 20))
        try:
            while True:
                self.tend()
                await asyncio.sleep(tick)
        finally:
            for task in (*self._refreshes, *self._searches):
                task.cancel()
            self._tries.cancel()
            self._master_keys.close()

    def tend(self) -> None:
        """Start what is due, as much as may be under way at once; the rest stays due."""
        for tenant_id, version, entry in self._cache.due():
            if len(self._refreshes) >= REFRESHES:
                break
            life = entry.expires_at - entry.asked_at
            entry.refresh_at = self._clock() + life * _REFRESH_RETRY
            _start(self._refreshes, self._refresh(tenant_id, version))
        for ailing in self._seals.due(*self._tries.free()):
            task = asyncio.create_task(_guarded(self._retry(ailing)))
            self._tries.begin(task, slow=ailing.slow)
        if self._clock() >= self._search_at and not self._searches:
            self._search_at = self._clock() + SEARCH_SECONDS
            _start(self._searches, self._search())

    def watch(self, binding: Binding, version: int) -> None:
        """A binding was read as sealed: try it as if a request had met it."""
        self._seals.watch(binding, version)

    def hurry(self, binding: Binding) -> None:
        """A binding may be usable again: if it is sealed, or versions of it are refused, try at once."""
        _start(self._searches, self._hurry(binding))

    async def _hurry(self, binding: Binding) -> None:
        version = await self._store.newest_under(binding.tenant_id, binding.id)
        if version is not None:
            await self._watch(binding.tenant_id, version)
            self._seals.hurry(binding.id)
            self.tend()

    async def _search(self) -> None:
        """Find what was sealed before this process began, or by another: somebody has to try it."""
        try:
            for found in await self._store.sealed_bindings(MAX_FOUND):
                if not self._seals.knows(found.binding_id):
                    await self._watch(found.tenant_id, found.version)
        except CofferError as error:
            _log.warning("sealed bindings could not be searched for: %s", error.code)

    async def _watch(self, tenant_id: UUID, version: int) -> Binding | None:
        lookup = await self._store.find_key(tenant_id, version)
        binding = None if lookup is None else lookup.binding
        if binding is None or binding.sealed_since is None:
            return None
        self._seals.watch(binding, version)
        return binding

    async def _refresh(self, tenant_id: UUID, version: int) -> None:
        """Only of what is needed: a provider whose key wraps nothing any more is left in peace."""
        try:
            if await self._store.version_needed(tenant_id, version):
                await self._master_keys.renew(tenant_id, version)
            else:
                self._cache.let_go(tenant_id, version)
        except (CofferError, UnknownVersionError) as error:
            _log.info("a master key was not refreshed: %s", type(error).__name__)

    async def _retry(self, ailing: Ailing) -> None:
        binding, began_at = ailing.binding, self._clock()
        try:
            # It may have been replaced, and its last data key moved away, since it was read.
            if await self._store.binding_needed(binding.tenant_id, binding.id):
                version = await self._version_to_try(ailing)
                if version is not None:
                    await self._master_keys.retry(binding.tenant_id, version)
            self._seals.drop(ailing)
        except TenantSealedError as error:
            _log.info("binding %s still cannot be used: %s", binding.id, error.reason)
        except (KeyRevokedError, UnknownVersionError):
            self._seals.drop(ailing)
            self._search_at = float("-inf")  # with another of its versions it is to be tried still
        except CofferError as error:
            _log.warning("binding %s could not be tried: %s", binding.id, error.code)
        finally:
            self._seals.tried(ailing, slow=self._clock() - began_at >= PATIENCE_SECONDS)

    async def _version_to_try(self, ailing: Ailing) -> int | None:
        """Of a sealed binding the newest: who unseals by hand, and every other process, tries that too."""
        if not ailing.sealed:
            return ailing.version
        return await self._store.newest_under(ailing.binding.tenant_id, ailing.binding.id)


def _start(under_way: set[asyncio.Task[None]], work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.create_task(_guarded(work))
    under_way.add(task)
    task.add_done_callback(under_way.discard)


async def _guarded(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except CofferError as error:
        _log.warning("background work ended early: %s", error.code)
    except Exception as error:  # noqa: BLE001 - else asyncio logs its text, which may hold anything
        _log.error("a defect in background work: %s", describe(error))
