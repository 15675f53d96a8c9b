"""The rows of idempotency keys: `<schema>.idempotency` of the service that does the work.

All times are the database's. Each function runs in the caller's transaction, held to the tenant. Only
`complete` may wait for a row, for a moment: nothing else waits for what another transaction holds, since the
one that completes a claim holds its row until it commits, which may be long.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from services.common.idempotency.claim import ClaimLostError, Kept, Standing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from services.common.database import Connection
    from services.common.idempotency.claim import Claim
    from services.common.identity import Call

KEPT_HOURS: Final = 24
"""Wire contract, "Idempotency"."""

_EXPIRED: Final = f"created_at <= now() - interval '{KEPT_HOURS} hours'"
_UNTIL: Final = "clock_timestamp() + make_interval(secs => %(seconds)s)"
_HELD: Final = """
select i.key from {schema}.idempotency i
where i.tenant_id = %(tenant)s and i.key = %(key)s and i.owner = %(owner)s
    and i.reply is null and i.refusal is null
"""

# Nothing of these texts but the schema's name is put in by us, and that is a constant of the service.
# An insert waits for another of the same key. So only who has this lock inserts: it is held for no longer
# than a claim takes to commit, and who has it after somebody sees what that one left.
_HOLD: Final = """
select set_config('coffer.tenant_id', %(tenant)s::text, true),
    pg_try_advisory_xact_lock(hashtextextended('{schema} ' || %(tenant)s::text || %(key)s, 0))
"""
_INSERT: Final = f"""
insert into {{schema}}.idempotency (tenant_id, key, fingerprint, owner, claimed_until)
select %(tenant)s, %(key)s, %(fingerprint)s, %(owner)s, {_UNTIL}
where not exists (
    select from {{schema}}.idempotency where tenant_id = %(tenant)s and key = %(key)s)
on conflict do nothing
returning owner
"""  # noqa: S608
_READ: Final = f"""
select fingerprint = %(fingerprint)s, reply, refusal, claimed_until <= clock_timestamp(), {_EXPIRED}
from {{schema}}.idempotency where tenant_id = %(tenant)s and key = %(key)s
"""  # noqa: S608
_TAKE: Final = f"""
update {{schema}}.idempotency
set fingerprint = %(fingerprint)s, owner = %(owner)s, claimed_until = {_UNTIL},
    created_at = clock_timestamp(), reply = null, refusal = null
where tenant_id = %(tenant)s and key = (
    select key from {{schema}}.idempotency
    where tenant_id = %(tenant)s and key = %(key)s and ({_EXPIRED} or (
        fingerprint = %(fingerprint)s
        and reply is null and refusal is null and claimed_until <= clock_timestamp()))
    for update skip locked)
returning owner
"""  # noqa: S608
_RENEW: Final = f"""
with renewed as (
    update {{schema}}.idempotency set claimed_until = {_UNTIL}
    where tenant_id = %(tenant)s and key = ({_HELD} for update skip locked)
)
{_HELD}
"""  # noqa: S608
_KEEP: Final = f"""
update {{schema}}.idempotency set reply = %(reply)s, refusal = %(refusal)s
where tenant_id = %(tenant)s and key = ({_HELD} for update skip locked) returning owner
"""  # noqa: S608
_RELEASE: Final = f"""
delete from {{schema}}.idempotency
where tenant_id = %(tenant)s and key = ({_HELD} for update skip locked) returning owner
"""  # noqa: S608
# No join: the one plan for all tenants takes each for one of average size, and may join by walking all that a
# big one has.
_COMPLETE: Final = """
update {schema}.idempotency
set reply = (%(reply)s::bytea[])[array_position(%(key)s::text[], key)]
where tenant_id = %(tenant)s and key = any (%(key)s::text[])
  and owner = (%(owner)s::uuid[])[array_position(%(key)s::text[], key)]
  and reply is null and refusal is null
"""


@dataclass(frozen=True, slots=True)
class Rows:
    """The statements of one schema about single claims."""

    schema: str

    async def hold(self, connection: Connection, tenant_id: UUID, claim: Claim) -> bool:
        """Hold the transaction to the tenant, and its key against inserting; whether nobody else does.

        To be called first, as `Database.tenant` would.
        """
        row = await self._one(connection, _HOLD, tenant_id, claim, {})
        return row is not None and row[1]

    async def insert(
        self, connection: Connection, tenant_id: UUID, claim: Claim, mark: bytes, seconds: float
    ) -> bool:
        """Claim a key that is not there, for the request with the fingerprint `mark`; whether it was not.

        The caller must hold the key, else it may wait.
        """
        asked = {"fingerprint": mark, "seconds": seconds}
        return await self._one(connection, _INSERT, tenant_id, claim, asked) is not None

    async def read(
        self, connection: Connection, tenant_id: UUID, claim: Claim, mark: bytes
    ) -> Standing | None:
        """What is stored of the key, seen by a request with the fingerprint `mark`."""
        row = await self._one(connection, _READ, tenant_id, claim, {"fingerprint": mark})
        if row is None:
            return None
        is_same, reply, refusal, has_lapsed, has_expired = row
        is_kept = reply is not None or refusal is not None
        kept = Kept(reply, refusal) if is_kept else None
        return Standing(is_same, kept, has_lapsed, has_expired)

    async def take(
        self, connection: Connection, tenant_id: UUID, claim: Claim, mark: bytes, seconds: float
    ) -> bool:
        """Claim a key that is free (see `Standing.is_free`); whether it was, and nobody is completing it."""
        asked = {"fingerprint": mark, "seconds": seconds}
        return await self._one(connection, _TAKE, tenant_id, claim, asked) is not None

    async def renew(
        self, connection: Connection, tenant_id: UUID, claim: Claim, seconds: float
    ) -> bool:
        """Hold the claim for so long from now; whether it is still there to be held.

        One that is being completed is left as it is: nobody can take it over meanwhile.
        """
        found = await self._one(connection, _RENEW, tenant_id, claim, {"seconds": seconds})
        return found is not None

    async def keep(self, connection: Connection, tenant_id: UUID, claim: Claim, kept: Kept) -> bool:
        """Keep what the request came to, after the fact; whether the claim was still there, and free."""
        asked = {"reply": kept.reply, "refusal": kept.refusal}
        return await self._one(connection, _KEEP, tenant_id, claim, asked) is not None

    async def release(self, connection: Connection, tenant_id: UUID, claim: Claim) -> None:
        """Forget a claim of which nothing is kept, and nothing is being kept just now.

        Work of it that still goes on cannot be completed then.
        """
        await self._one(connection, _RELEASE, tenant_id, claim, {})

    async def _one(
        self,
        connection: Connection,
        statement: str,
        tenant_id: UUID,
        claim: Claim,
        asked: Mapping[str, Any],
    ) -> tuple[Any, ...] | None:
        cursor = await connection.execute(
            statement.format(schema=self.schema).encode(),
            {"tenant": tenant_id, "key": claim.key, "owner": claim.owner, **asked},
            prepare=True,
        )
        return await cursor.fetchone()


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
