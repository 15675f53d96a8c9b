"""What a refusal means: sealing a binding, or taking a single version out of use. Pure.

Whether a definite refusal is a word about the binding is for its newest version to say: a customer may take
an old version of the cloud key away, or a stored key may be damaged, while the cloud key is as good as ever.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from services.common.errors import CofferError, TenantSealedError
from services.common.identity import Call
from services.kms.model import Reason, UnknownVersionError, WrapMethod

if TYPE_CHECKING:
    from uuid import UUID

    from services.kms.keys.cache import MasterKeyCache
    from services.kms.keys.sealing import Seals
    from services.kms.model import Binding, KeyLookup
    from services.kms.ports import Clock, KeyStore

_log = logging.getLogger(__name__)


class Anew(Protocol):
    """Asks a provider for a version again, whatever is cached; see `MasterKeys.renew`."""

    async def __call__(self, tenant_id: UUID, version: int) -> None:
        """Joins only what was sent since the tenant's keys had to be forgotten last."""
        ...


@dataclass(frozen=True, slots=True)
class _Question:
    """Whether a version opens. Its request was sent at `since` or later."""

    since: float
    answer: asyncio.Task[Reason | None]


class Refusals:
    """Belongs to one event loop."""

    def __init__(
        self,
        store: KeyStore,
        cache: MasterKeyCache,
        seals: Seals,
        *,
        anew: Anew,
        clock: Clock,
    ) -> None:
        self._store = store
        self._cache = cache
        self._seals = seals
        self._anew = anew
        self._clock = clock
        self._questions: dict[tuple[UUID, int], _Question] = {}

    async def note(
        self, lookup: KeyLookup, reason: Reason, asked_at: float, *, ahead: bool
    ) -> None:
        """A version could not be opened by a request sent at `asked_at`; `ahead`: nobody waited for it.

        Raises UnavailableError and DeadlineError of the store. Even then, nothing that was refused is used.
        """
        binding, version = lookup.binding, lookup.row.version
        if binding is None:
            # An operator's key in a cloud says it by itself, and not with each request.
            if lookup.row.wrap_method is WrapMethod.GLOBAL:
                _log.error("the platform key does not open version %s: %s", version, reason)
            return
        if reason.definite:
            if await self._alone(binding, version, reason, asked_at, asked=not ahead):
                return
            self._cache.drop_binding(binding.tenant_id, binding.id)
        elif self._cache.lives(binding.id):
            if not ahead:
                self._seals.add(binding, version, reason, sealed=False)
            return
        self._seals.add(binding, version, reason, sealed=True, asked=not ahead)
        _log.warning("binding %s is sealed: %s", binding.id, reason)
        await self._store.seal(Call.of_service("kms"), binding, reason)

    async def _alone(
        self, binding: Binding, version: int, reason: Reason, asked_at: float, *, asked: bool
    ) -> bool:
        """Take a version out of use; False when its binding is to be sealed on this very word.

        The newest version of the binding is asked, unless it is this one or was opened since. It may be
        refused as well, which seals. Without an answer from it, the word stands for this version alone
        until this is tried again; but who denies access denies it to all versions.
        """
        tenant_id, now = binding.tenant_id, self._clock()
        # Both before anything is waited for: nobody uses it, or asks for it, any more.
        self._cache.drop_version(tenant_id, version)
        self._seals.refuse(binding, version, reason, asked=asked)
        alone = False
        try:
            newest = await self._newest(binding, version)
            if newest == version:
                return False
            await self._store.tell_refused(binding, version)
            word = await self._word_on(tenant_id, newest, asked_at, now)
            if word is not None and word.definite:
                return True
            alone = word is None or reason is not Reason.ACCESS_DENIED
        finally:
            if not alone:
                self._seals.forget_version(tenant_id, version)
        if alone:
            _log.warning("version %s of binding %s is refused: %s", version, binding.id, reason)
        return alone

    async def _newest(self, binding: Binding, version: int) -> int:
        """The newest version of a binding; `version` where that cannot be told, or nothing is left."""
        try:
            newest = await self._store.newest_under(binding.tenant_id, binding.id)
        except CofferError:
            return version
        return version if newest is None else newest

    async def _word_on(
        self, tenant_id: UUID, version: int, refused_at: float, now: float
    ) -> Reason | None:
        """None when a version was opened by a request sent at `refused_at` or later, else why not.

        `now` is when the tenant's keys had to be forgotten. Of several refused versions, all wait for one
        answer. UNREACHABLE when there is none. A definite reason has sealed the binding.
        """
        entry = self._cache.get(tenant_id, version)
        if entry is not None and entry.asked_at >= refused_at:
            return None
        name = (tenant_id, version)
        question = self._questions.get(name)
        if question is None or question.since < refused_at:
            question = _Question(now, asyncio.create_task(self._ask(tenant_id, version)))
            self._questions[name] = question
            question.answer.add_done_callback(lambda done: self._answered(name, done))
        return await asyncio.shield(question.answer)

    def _answered(self, name: tuple[UUID, int], answer: asyncio.Task[Reason | None]) -> None:
        question = self._questions.get(name)
        if question is not None and question.answer is answer:
            del self._questions[name]
        if not answer.cancelled():
            answer.exception()  # it was looked at, also when every waiter has gone

    async def _ask(self, tenant_id: UUID, version: int) -> Reason | None:
        try:
            await self._anew(tenant_id, version)
        except TenantSealedError as error:
            return Reason(error.reason) if error.reason else Reason.UNREACHABLE
        except (CofferError, UnknownVersionError):
            return Reason.UNREACHABLE
        return None
