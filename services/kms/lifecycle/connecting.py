"""Use case: connect the tenant's own key, or replace the one connected. Pure.

The key is proven first, without a transaction, and stored only if what it replaces is still what it started
from; see docs/adr/0010 for the last attempt, which insists.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from services.common.errors import ConflictError
from services.kms import validation
from services.kms.keys.announcements import Announcement, Kind
from services.kms.model import Binding, Onboarded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.common.identity import Call, StepUp
    from services.kms.keys.master_keys import MasterKeys
    from services.kms.keys.turns import Turns
    from services.kms.lifecycle.proving import Proving
    from services.kms.model import Activated, KmsTarget
    from services.kms.ports import BindingStore, Registry

ATTEMPTS: Final = 4
"""The first, and three more when another change came between (DESIGN section 3)."""


class Connecting:
    """Belongs to one event loop. `turns` are those of all changes of a tenant's ring."""

    def __init__(
        self,
        store: BindingStore,
        registry: Registry,
        proving: Proving,
        master_keys: MasterKeys,
        *,
        turns: Turns,
        rules: validation.Rules,
        step_up_on_replace: bool,
    ) -> None:
        self._store = store
        self._registry = registry
        self._proving = proving
        self._master_keys = master_keys
        self._turns = turns
        self._rules = rules
        self._step_up_on_replace = step_up_on_replace

    async def put(self, call: Call, body: Mapping[str, object]) -> Onboarded:
        """Connect or replace the tenant's key; one that is draining is replaced too.

        Raises StepUpRequiredError and StepUpExpiredError where the operator asks for step-up and this takes
        the place of a connected key, StaticCredentialsRejectedError, ValidationError, KmsVerifyFailedError
        (nothing was stored), UnavailableError when too many of the tenant's calls wait for its KMS.
        """
        replacing = _Replacing(call, self._registry) if self._step_up_on_replace else None
        if replacing is not None and await self._store.current(call.tenant) is not None:
            replacing.require()
        target = validation.parse(body, call.tenant, self._rules)
        async with self._turns.take(call.tenant):
            for left in reversed(range(ATTEMPTS)):
                done = await self._try(call, target, replacing, last=not left)
                if done is not None:
                    return Onboarded(target, done)
        raise busy()

    async def _try(
        self, call: Call, target: KmsTarget, replacing: _Replacing | None, *, last: bool
    ) -> Activated | None:
        # What is proven does not depend on what it replaces: the last attempt therefore takes the place of
        # whatever is current by then, so that a crowd over several processes ends too. But who has not
        # stepped up replaces nothing: not even what was connected while the proof was under way.
        current = await self._store.current(call.tenant)
        if current is not None and replacing is not None:
            await replacing.consume()
        proof = await self._proving.probe(call.tenant, target)
        # From here on the key itself is named, not an alias that may be moved to another one.
        named = replace(target, resolved_key_ref=proof.key_ref or target.kms_key_ref)
        binding = Binding(call.tenant, uuid.uuid4(), named)
        mark = self._master_keys.mark(call.tenant)
        minted = await self._proving.mint(call.tenant, named)
        done = await self._store.onboard(
            call,
            binding,
            minted.new,
            instead_of=current.id if current else None,
            insist=last and (replacing is None or replacing.consumed),
        )
        if done is not None:
            unheard = self._master_keys.mark(call.tenant) == mark
            self._master_keys.heard(Announcement(Kind.REPLACED, call.tenant, binding.id))
            if unheard:
                mark = self._master_keys.mark(call.tenant)
                self._master_keys.keep_new(mark, minted, done.version, binding.id)
        return done


class _Replacing:
    """The step-up that a call needs, if it turns out to replace a connected key; used up once."""

    def __init__(self, call: Call, registry: Registry) -> None:
        self._call = call
        self._registry = registry
        self.consumed = False

    def require(self) -> StepUp:
        """Raises StepUpRequiredError or StepUpExpiredError unless the call brought a good token."""
        return self._call.require_step_up()

    async def consume(self) -> None:
        """Raises as `require`, and StepUpRequiredError `used`. Does nothing the second time."""
        if not self.consumed:
            await self._registry.consume_step_up(self._call.tenant, self.require())
            self.consumed = True


def busy() -> ConflictError:
    """Other changes came between each time."""
    return ConflictError(
        "Another change of this tenant's KMS came between; try again.", retry_after=1
    )
