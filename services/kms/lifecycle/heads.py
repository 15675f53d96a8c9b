"""Use case: sign the head of a tenant's audit chain. Pure.

Members and their order are `AuditHeadStatement` of protos/coffer/kms/v1/kms.proto. Promised: at that moment
the chain had this many events, and the last of them this hash. Not promised: that the chain holds; who has
all its events verifies that (docs/audit.md), and the signed head says which events those were.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from services.common.errors import NotFoundError
from services.kms.lifecycle.receipts import time_text

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from services.common.audit_chain import Head
    from services.kms.ports import Signer

HEAD_TYPE: Final = "coffer-audit-head"
FORMAT: Final = "coffer/audit-head/1"


class HeadStore(Protocol):
    """Heads of audit chains. Raises UnavailableError and DeadlineError."""

    async def read(self, tenant_id: UUID) -> tuple[Head, datetime] | None:
        """The tenant's head, and when it was read. None for no such tenant."""
        ...


class AuditHeads:
    """Signs heads; changes nothing."""

    def __init__(self, store: HeadStore, signer: Signer) -> None:
        self._store = store
        self._signer = signer

    async def sign(self, tenant_id: UUID) -> str:
        """The paper, a JWS. Raises NotFoundError for no such tenant."""
        found = await self._store.read(tenant_id)
        if found is None:
            raise NotFoundError("No such tenant.")
        return self._signer.sign(HEAD_TYPE, head_statement(tenant_id, *found))


def head_statement(tenant_id: UUID, head: Head, signed_at: datetime) -> dict[str, object]:
    """What is signed."""
    return {
        "format": FORMAT,
        "tenant_id": str(tenant_id),
        "seq": head.seq,
        "hash": head.hash.hex(),
        "signed_at": time_text(signed_at),
    }
