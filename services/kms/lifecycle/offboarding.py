"""Use case: back to the platform's key. Pure.

The customer's key stays the tenant's current binding, draining, until no stored data key hangs on any
version that a customer's key wraps: so what is not rewrapped yet opens meanwhile, and a sealed one is tried
again. Then the binding is left, and its cloud key is asked nothing any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from services.common.errors import InvalidStateError, NoKmsConfigError, UnavailableError
from services.kms.keys.announcements import Announcement, Kind
from services.kms.keys.proofs import mint
from services.kms.lifecycle.connecting import ATTEMPTS, busy
from services.kms.model import WrapError

if TYPE_CHECKING:
    from services.common.identity import Call
    from services.kms.keys.master_keys import MasterKeys
    from services.kms.keys.proofs import Minted
    from services.kms.keys.turns import Turns
    from services.kms.model import Activated
    from services.kms.ports import BindingStore, Clock, DrainWatch, Registry, WrappingKeys

DRAINING: Final = "draining"


class Offboarding:
    """Belongs to one event loop. `turns` are those of all changes of a tenant's ring."""

    def __init__(
        self,
        store: BindingStore,
        registry: Registry,
        wrapping: WrappingKeys,
        master_keys: MasterKeys,
        *,
        drains: DrainWatch,
        turns: Turns,
        clock: Clock,
    ) -> None:
        self._store = store
        self._registry = registry
        self._wrapping = wrapping
        self._master_keys = master_keys
        self._drains = drains
        self._turns = turns
        self._clock = clock

    async def offboard(self, call: Call) -> Activated:
        """A new master key under the platform's key; the rewrap begins. Uses up the step-up token.

        Needs no customer's cloud: works while the tenant is sealed, the rewrap waits then. What is left
        behind is whatever is connected at the moment of the change. Raises StepUpRequiredError,
        NoKmsConfigError, InvalidStateError (`draining`), ConflictError when other changes came between each
        time, UnavailableError when the platform's key cannot be used.
        """
        await self._registry.consume_step_up(call.tenant, call.step_up)
        async with self._turns.take(call.tenant):
            for _ in range(ATTEMPTS):
                done = await self._try(call)
                if done is not None:
                    self._drains.watch(call.tenant)
                    return done
        raise busy()

    async def _try(self, call: Call) -> Activated | None:
        await self._require_connected(call)
        mark = self._master_keys.mark(call.tenant)
        minted = await self._mint(call)
        done = await self._store.offboard(call, minted.new)
        if done is not None:
            self._master_keys.heard(Announcement(Kind.ROTATED, call.tenant, None))
            self._master_keys.keep_new(mark, minted, done.version, None)
        return done

    async def _require_connected(self, call: Call) -> None:
        binding = await self._store.current(call.tenant)
        if binding is None:
            raise NoKmsConfigError
        if binding.draining:
            raise draining("The tenant is on its way back to the platform's key already.")

    async def _mint(self, call: Call) -> Minted:
        method = self._wrapping.platform_method
        try:
            key = self._wrapping.platform(method)
            return await mint(key, method, call.tenant, clock=self._clock)
        except WrapError:
            raise UnavailableError(
                "The platform's key cannot be used at present; nothing was changed."
            ) from None


def draining(message: str) -> InvalidStateError:
    """What a ring on its way back to the platform's key does not allow."""
    return InvalidStateError(
        message,
        reason=DRAINING,
        hint="Wait until GET /admin/tenant-kms answers 404, or connect a key again with"
        " POST /admin/tenant-kms.",
    )
