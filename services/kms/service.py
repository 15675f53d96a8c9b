"""Use cases of the tenant's own KMS: connect, look, prove, rotate.

No database transaction is open during a cloud call: a change is proven first, and stored only if the
binding it started from is still the current one.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from services.common.errors import (
    ConflictError,
    KmsVerifyFailedError,
    NoKmsConfigError,
    TenantSealedError,
)
from services.kms import validation
from services.kms.keys.announcements import Announcement, Kind
from services.kms.keys.proofs import mint, probe
from services.kms.keys.turns import Turns
from services.kms.model import Binding, KeyStatus, Proof, WrapError, WrapMethod

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from services.common.identity import Call
    from services.kms.keys.master_keys import MasterKeys
    from services.kms.keys.proofs import Minted
    from services.kms.model import Activated, KmsTarget, TenantKms
    from services.kms.ports import BindingStore, Clock, Registry, SealedWatch, WrappingKeys

_ATTEMPTS: Final = 4
"""The first, and three more when another change came between (DESIGN section 3)."""
_SELF: Final = "self"


@dataclass(frozen=True, slots=True)
class SetupFacts:
    """The operator's own principals, None where not set up."""

    aws_principal_arn: str | None = None
    gcp_principal: str | None = None
    azure_application_id: str | None = None


@dataclass(frozen=True, slots=True)
class Onboarded:
    """What onboarding did."""

    target: KmsTarget
    activated: Activated


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
        rules: validation.Rules,
        setup: SetupFacts,
        clock: Clock,
    ) -> None:
        self._store = store
        self._registry = registry
        self._wrapping = wrapping
        self._master_keys = master_keys
        self._tending = tending
        self._rules = rules
        self._clock = clock
        self.setup = setup
        # One change of a tenant at a time in this process, so that a crowd does not conflict.
        self._turns = Turns(1)

    async def put(self, call: Call, body: Mapping[str, object]) -> Onboarded:
        """Connect or replace the tenant's key.

        Raises StaticCredentialsRejectedError, ValidationError, KmsVerifyFailedError (nothing was stored),
        UnavailableError when too many of the tenant's calls wait for its KMS.
        """
        target = validation.parse(body, call.tenant, self._rules)
        async with self._turns.take(call.tenant):
            for left in reversed(range(_ATTEMPTS)):
                done = await self._try_put(call, target, insist=not left)
                if done is not None:
                    return Onboarded(target, done)
        raise _busy()

    async def describe(self, call: Call) -> TenantKms:
        """The current binding, every version, the census. Raises NoKmsConfigError."""
        found = await self._store.describe(call.tenant)
        if found is None:
            raise NoKmsConfigError
        if found.binding.sealed_since is not None:
            for key in found.keys:
                if key.status is KeyStatus.ACTIVE and key.wrap_method is WrapMethod.CUSTOMER_KMS:
                    self._tending.watch(found.binding, key.version)
        return found

    async def verify(self, call: Call, body: Mapping[str, object]) -> Proof:
        """Prove the key in `body`, or the current one for an empty body, whose outcome is recorded.

        Raises as `put`, and NoKmsConfigError.
        """
        if body:
            target = validation.parse(body, call.tenant, self._rules)
            return await self._probe(call.tenant, target)
        binding = await self._store.current(call.tenant)
        if binding is None:
            raise NoKmsConfigError
        key = self._wrapping.customer(call.tenant, binding.target)
        try:
            proof = await probe(key, call.tenant)
        except WrapError as error:
            await self._store.record_verification(binding, error.reason)
            raise _failed(binding.target, error) from None
        await self._store.record_verification(binding, None)
        # Read anew: it may have been sealed meanwhile. A proof lifts no seal, opening the stored key does.
        self._tending.hurry(call.tenant)
        return proof

    async def rotate(self, call: Call) -> Activated:
        """A new master key under the same customer key. Uses up the step-up token, whatever follows.

        Raises StepUpRequiredError, NoKmsConfigError, TenantSealedError (409), KmsVerifyFailedError,
        ConflictError.
        """
        await self._registry.consume_step_up(call.tenant, call.step_up)
        async with self._turns.take(call.tenant):
            for _ in range(_ATTEMPTS):
                done = await self._try_rotate(call)
                if done is not None:
                    return done
        raise _busy()

    async def _try_put(self, call: Call, target: KmsTarget, *, insist: bool) -> Activated | None:
        # What is proven does not depend on what it replaces: the last attempt therefore takes the place of
        # whatever is current by then, so that a crowd over several processes ends too.
        current = await self._store.current(call.tenant)
        proof = await self._probe(call.tenant, target)
        # From here on the key itself is named, not an alias that may be moved to another one.
        named = replace(target, resolved_key_ref=proof.key_ref or target.kms_key_ref)
        binding = Binding(call.tenant, uuid.uuid4(), named)
        mark = self._master_keys.mark(call.tenant)
        minted = await self._mint(call.tenant, named)
        done = await self._store.onboard(
            call,
            binding,
            minted.new,
            instead_of=current.id if current else None,
            insist=insist,
        )
        if done is not None:
            unheard = self._master_keys.mark(call.tenant) == mark
            self._heard(Kind.REPLACED, binding)
            if unheard:
                mark = self._master_keys.mark(call.tenant)
                self._master_keys.keep_new(mark, minted, done.version, binding.id)
        return done

    async def _try_rotate(self, call: Call) -> Activated | None:
        binding = await self._store.current(call.tenant)
        if binding is None:
            raise NoKmsConfigError
        if binding.sealed_since is not None:
            raise TenantSealedError(reason=binding.last_verify_error, http_status=409)
        mark = self._master_keys.mark(call.tenant)
        minted = await self._mint(call.tenant, binding.target)
        done = await self._store.rotate(call, binding, minted.new)
        if done is not None:
            self._heard(Kind.ROTATED, binding)
            self._master_keys.keep_new(mark, minted, done.version, binding.id)
        return done

    def _heard(self, kind: Kind, binding: Binding) -> None:
        """Take note at once of what the other processes are being told."""
        self._master_keys.heard(Announcement(kind, binding.tenant_id, binding.id, _SELF))

    async def _probe(self, tenant_id: UUID, target: KmsTarget) -> Proof:
        try:
            return await probe(self._wrapping.customer(tenant_id, target), tenant_id)
        except WrapError as error:
            raise _failed(target, error) from None

    async def _mint(self, tenant_id: UUID, target: KmsTarget) -> Minted:
        key = self._wrapping.customer(tenant_id, target)
        try:
            return await mint(key, WrapMethod.CUSTOMER_KMS, tenant_id, clock=self._clock)
        except WrapError as error:
            raise _failed(target, error) from None


def _failed(target: KmsTarget, error: WrapError) -> KmsVerifyFailedError:
    return KmsVerifyFailedError(
        "The KMS key could not be used; nothing was changed.",
        provider=target.provider,
        reason=error.reason,
        hint=error.hint,
    )


def _busy() -> ConflictError:
    return ConflictError("Another change of this tenant's KMS came between; try again.")
