"""The rows of idempotency keys: `<schema>.idempotency` of the service that does the work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from services.common.idempotency.claim import ClaimLostError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from services.common.database import Connection
    from services.common.identity import Call

_COMPLETE: Final = """
update {schema}.idempotency i
set reply = done.reply
from unnest(%(key)s::text[], %(owner)s::uuid[], %(reply)s::bytea[]) as done (key, owner, reply)
where i.tenant_id = %(tenant)s and i.key = done.key and i.owner = done.owner
  and i.reply is null and i.refusal is null
"""


async def complete(
    connection: Connection, schema: str, tenant_id: UUID, outcomes: Sequence[tuple[Call, Any]]
) -> None:
    """Keep what each call will answer, in the transaction of its work, held to the tenant.

    `outcomes` pairs a call with what its use case returns; calls without a key are passed over. To be called
    right before the audit events are appended. Raises ClaimLostError when a claim is not its owner's now:
    the transaction must then be undone.
    """
    claimed = [(call.claim, outcome) for call, outcome in outcomes if call.claim is not None]
    if not claimed:
        return
    replies = []
    for claim, outcome in claimed:
        assert claim.encode is not None
        claim.completed = True
        replies.append(claim.encode(outcome))
    cursor = await connection.execute(
        _COMPLETE.format(schema=schema).encode(),
        {
            "tenant": tenant_id,
            "key": [claim.key for claim, _ in claimed],
            "owner": [claim.owner for claim, _ in claimed],
            "reply": replies,
        },
        prepare=True,
    )
    if cursor.rowcount != len(claimed):
        raise ClaimLostError
