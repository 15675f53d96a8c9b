"""Proving a customer's key, and what a failed proof says to the tenant's administrator. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.common.errors import KmsVerifyFailedError
from services.kms.keys.proofs import mint, probe
from services.kms.model import WrapError, WrapMethod

if TYPE_CHECKING:
    from uuid import UUID

    from services.kms.keys.proofs import Minted
    from services.kms.model import KmsTarget, Proof
    from services.kms.ports import Clock, WrappingKeys


class Proving:
    """Stores nothing. Both raise KmsVerifyFailedError, and UnavailableError when nobody was asked."""

    def __init__(self, wrapping: WrappingKeys, *, clock: Clock) -> None:
        self._wrapping = wrapping
        self._clock = clock

    async def probe(self, tenant_id: UUID, target: KmsTarget) -> Proof:
        """Wrap and unwrap 32 random bytes."""
        try:
            return await probe(self._wrapping.customer(tenant_id, target), tenant_id)
        except WrapError as error:
            raise failed(target, error) from None

    async def mint(self, tenant_id: UUID, target: KmsTarget) -> Minted:
        """A new master key, itself unwrapped and compared."""
        key = self._wrapping.customer(tenant_id, target)
        try:
            return await mint(key, WrapMethod.CUSTOMER_KMS, tenant_id, clock=self._clock)
        except WrapError as error:
            raise failed(target, error) from None


def failed(target: KmsTarget, error: WrapError) -> KmsVerifyFailedError:
    """The wire contract's `kms_verify_failed`."""
    return KmsVerifyFailedError(
        "The KMS key could not be used; nothing was changed.",
        provider=target.provider,
        reason=error.reason,
        hint=error.hint,
    )
