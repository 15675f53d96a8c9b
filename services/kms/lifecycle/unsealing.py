"""Use case: try a sealed key now, because an administrator says that it can be used again. Pure.

The background tries it every 30 s anyway; this only saves the wait, and tells what is still wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from services.common.errors import (
    KeyRevokedError,
    NoKmsConfigError,
    NotSealedError,
    UnsealFailedError,
)
from services.kms.keys.proofs import probe
from services.kms.keys.turns import Turns
from services.kms.model import Reason, UnknownVersionError, WrapError

if TYPE_CHECKING:
    from services.common.identity import Call
    from services.kms.keys.master_keys import MasterKeys
    from services.kms.model import Binding
    from services.kms.ports import BindingStore, KeyStore, Registry, WrappingKeys

UNREACHABLE: Final = "unreachable"
ACCESS_DENIED: Final = "access_denied"


class Unsealing:
    """Belongs to one event loop."""

    def __init__(
        self,
        bindings: BindingStore,
        keys: KeyStore,
        registry: Registry,
        wrapping: WrappingKeys,
        master_keys: MasterKeys,
    ) -> None:
        self._bindings = bindings
        self._keys = keys
        self._registry = registry
        self._wrapping = wrapping
        self._master_keys = master_keys
        self._turns = Turns(1)

    async def unseal(self, call: Call) -> None:
        """Open the newest key of the tenant's current binding, and lift the seal. Uses up the step-up token.

        The provider is asked after this was called: an earlier question's answer is not taken for it.
        Raises StepUpRequiredError, NoKmsConfigError, NotSealedError, UnsealFailedError (`reason` is
        `unreachable` when there was no answer about the key, else `access_denied`; the true one begins the
        hint), UnavailableError when too many of the tenant's calls wait for its KMS.
        """
        await self._registry.consume_step_up(call.tenant, call.step_up)
        if (await self._sealed(call)) is None:
            raise NotSealedError
        async with self._turns.take(call.tenant):
            binding = await self._sealed(call)
            if binding is None:
                return  # it was unsealed while this waited
            try:
                lifted = await self._try(call, binding)
            except WrapError as error:
                raise _failed(binding, error.reason, error.hint) from None
            if not lifted and (still := await self._sealed(call)) is not None:
                raise _failed(still, _reason(still), "It was refused again a moment ago.")

    async def _sealed(self, call: Call) -> Binding | None:
        binding = await self._bindings.current(call.tenant)
        if binding is None:
            raise NoKmsConfigError
        return binding if binding.sealed_since is not None else None

    async def _try(self, call: Call, binding: Binding) -> bool:
        version = await self._keys.newest_under(binding.tenant_id, binding.id)
        if version is not None:
            try:
                return await self._master_keys.try_now(call, binding.tenant_id, version)
            except (KeyRevokedError, UnknownVersionError):
                return False  # revoked in this moment
        # Everything that it wrapped was revoked: a proof is all that can be had.
        epoch = await self._keys.epoch(binding.tenant_id)
        await probe(self._wrapping.customer(binding.tenant_id, binding.target), binding.tenant_id)
        return await self._keys.unseal(call, binding, epoch)


def _reason(binding: Binding) -> Reason:
    try:
        return Reason(binding.last_verify_error or "")
    except ValueError:
        return Reason.UNREACHABLE


def _failed(binding: Binding, reason: Reason, hint: str) -> UnsealFailedError:
    return UnsealFailedError(
        "The KMS key still cannot be used; the tenant stays sealed.",
        provider=binding.target.provider,
        reason=ACCESS_DENIED if reason.definite else UNREACHABLE,
        hint=f"{reason}: {hint}",
    )
