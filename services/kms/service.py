"""Use cases of the tenant's own KMS: connect, look, prove, rotate; and the door to unseal and off-board.

No database transaction is open during a cloud call: a change is proven first, and stored only if the
binding it started from is still the current one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.common.errors import (
    KmsVerifyFailedError,
    NoKmsConfigError,
    TenantSealedError,
)
from services.kms import validation
from services.kms.keys.announcements import Announcement, Kind
from services.kms.keys.turns import Turns
from services.kms.lifecycle.connecting import ATTEMPTS, Connecting, busy
from services.kms.lifecycle.describing import Describing
from services.kms.lifecycle.offboarding import Offboarding, draining
from services.kms.lifecycle.proving import Proving
from services.kms.lifecycle.unsealing import Unsealing
from services.kms.model import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.common.identity import Call
    from services.kms.keys.master_keys import MasterKeys
    from services.kms.model import Activated, Onboarded, Proof, TenantKms
    from services.kms.ports import (
        BindingStore,
        Clock,
        DrainWatch,
        KeyStore,
        Registry,
        SealedWatch,
        WrappingKeys,
    )


@dataclass(frozen=True, slots=True)
class SetupFacts:
    """The operator's own principals, None where not set up."""

    aws_principal_arn: str | None = None
    gcp_principal: str | None = None
    azure_application_id: str | None = None


class TenantKmsService:
    """The use cases of `/admin/tenant-kms`. Belongs to one event loop."""

    def __init__(
        self,
        store: BindingStore,
        registry: Registry,
        wrapping: WrappingKeys,
        master_keys: MasterKeys,
        tending: SealedWatch,
        *,
        keys: KeyStore,
        drains: DrainWatch,
        rules: validation.Rules,
        setup: SetupFacts,
        clock: Clock,
        step_up_on_replace: bool = False,
    ) -> None:
        self._store = store
        self._keys = keys
        self._registry = registry
        self._master_keys = master_keys
        self._tending = tending
        self._drains = drains
        self._rules = rules
        self.setup = setup
        # One change of a tenant at a time in this process, so that a crowd does not conflict.
        self._turns = Turns(1)
        self._describing = Describing(store, drains)
        self._proving = Proving(wrapping, clock=clock)
        self._connecting = Connecting(
            store,
            registry,
            self._proving,
            master_keys,
            turns=self._turns,
            rules=rules,
            step_up_on_replace=step_up_on_replace,
        )
        self._unsealing = Unsealing(store, keys, registry, wrapping, master_keys)
        self._offboarding = Offboarding(
            store,
            registry,
            wrapping,
            master_keys,
            drains=drains,
            turns=self._turns,
            clock=clock,
        )

    async def put(self, call: Call, body: Mapping[str, object]) -> Onboarded:
        """See `Connecting.put`."""
        return await self._connecting.put(call, body)

    async def describe(self, call: Call) -> TenantKms:
        """The current binding, every version, the census. Raises NoKmsConfigError.

        A binding that was drained is left here, if nobody has done it yet: what is shown is in use.
        """
        found = await self._describing.describe(call.tenant)
        if found is None:
            raise NoKmsConfigError
        binding = found.binding
        if binding.draining:
            self._drains.watch(call.tenant)
        if binding.sealed_since is not None:
            version = await self._keys.newest_under(call.tenant, binding.id)
            if version is not None:
                self._tending.watch(binding, version)
        return found

    async def unseal(self, call: Call) -> None:
        """See `Unsealing.unseal`."""
        await self._unsealing.unseal(call)

    async def offboard(self, call: Call) -> Activated:
        """See `Offboarding.offboard`."""
        return await self._offboarding.offboard(call)

    async def verify(self, call: Call, body: Mapping[str, object]) -> Proof:
        """Prove the key in `body`, or the current one for an empty body, whose outcome is recorded.

        Raises as `put`, and NoKmsConfigError.
        """
        if body:
            target = validation.parse(body, call.tenant, self._rules)
            return await self._proving.probe(call.tenant, target)
        binding = await self._store.current(call.tenant)
        if binding is None:
            raise NoKmsConfigError
        try:
            proof = await self._proving.probe(call.tenant, binding.target)
        except KmsVerifyFailedError as error:
            await self._store.record_verification(call, binding, Reason(error.reason or ""))
            raise
        await self._store.record_verification(call, binding, proof)
        # Read anew: it may have been sealed meanwhile. A proof lifts no seal, opening the stored key does.
        self._tending.hurry(binding)
        return proof

    async def rotate(self, call: Call) -> Activated:
        """A new master key under the same customer key. Uses up the step-up token, whatever follows.

        Raises StepUpRequiredError, NoKmsConfigError, InvalidStateError while draining, TenantSealedError
        (409), KmsVerifyFailedError, ConflictError.
        """
        await self._registry.consume_step_up(call.tenant, call.step_up)
        async with self._turns.take(call.tenant):
            for _ in range(ATTEMPTS):
                done = await self._try_rotate(call)
                if done is not None:
                    return done
        raise busy()

    async def _try_rotate(self, call: Call) -> Activated | None:
        binding = await self._store.current(call.tenant)
        if binding is None:
            raise NoKmsConfigError
        if binding.draining:
            raise draining(
                "The tenant is on its way back to the platform's key: nothing to rotate."
            )
        if binding.sealed_since is not None:
            raise TenantSealedError(reason=binding.last_verify_error, http_status=409)
        mark = self._master_keys.mark(call.tenant)
        minted = await self._proving.mint(call.tenant, binding.target)
        done = await self._store.rotate(call, binding, minted.new)
        if done is not None:
            self._master_keys.heard(Announcement(Kind.ROTATED, call.tenant, binding.id))
            self._master_keys.keep_new(mark, minted, done.version, binding.id)
        return done
