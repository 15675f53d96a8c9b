"""Use case: revoke a master-key version, which is cryptographic erasure, and its receipt. Pure.

The effect is one transaction of the store, which needs no cloud: it works for a sealed tenant, and for
versions whose binding was replaced long ago. The keys in memory go with the announcement of that commit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.common.errors import NotFoundError, ValidationError
from services.kms.keys.announcements import Announcement, Kind
from services.kms.lifecycle.receipts import RECEIPT_TYPE, receipt_statement

if TYPE_CHECKING:
    from services.common.identity import Call
    from services.kms.keys.master_keys import MasterKeys
    from services.kms.model import Erasure
    from services.kms.ports import Registry, RevocationStore, Signer


class Revoking:
    """Erases versions and keeps their receipts. Belongs to one event loop."""

    def __init__(
        self,
        store: RevocationStore,
        registry: Registry,
        master_keys: MasterKeys,
        signer: Signer,
    ) -> None:
        self._store = store
        self._registry = registry
        self._master_keys = master_keys
        self._signer = signer

    async def revoke(self, call: Call, version: int, *, confirm: str, force: bool) -> str:
        """Erase a retired version for ever; the signed receipt, a JWS.

        `confirm` must be the tenant's slug; a wrong one costs nothing but the call. After that the step-up
        token is used up, whatever follows. A version that is erased already gives its receipt again, so
        that who lost the answer and tries once more gets what was missing; nothing happens twice.

        Raises ValidationError, StepUpRequiredError, NotFoundError, KeyActiveError, KeyInUseError.
        """
        tenant = await self._registry.tenant(call.tenant)
        if tenant is None:
            raise NotFoundError("No such tenant.")
        if confirm != tenant.slug:
            raise ValidationError.of("confirm", "must be the tenant's slug")
        await self._registry.consume_step_up(call.tenant, call.step_up)
        receipt = await self._store.erase(call, version, force=force, sign=self._sign)
        # At once, and not with the echo: who has the answer must not be served from this process's cache.
        told = Announcement(Kind.REVOKED, call.tenant, None, version=version)
        self._master_keys.heard(told)
        return receipt

    async def receipt(self, call: Call, version: int) -> str:
        """The receipt as it was given. Raises NotFoundError for a version that was not erased."""
        found = await self._store.receipt(call.tenant, version)
        if found is None:
            raise NotFoundError("That key version was not revoked, so there is no receipt.")
        return found

    def _sign(self, erasure: Erasure) -> str:
        return self._signer.sign(RECEIPT_TYPE, receipt_statement(erasure))
