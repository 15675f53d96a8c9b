"""Data keys and sealed fields as a verification reads them: by primary key, few bytes at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import UUID

import psycopg

from services.common.database import LEASE_REFUSED
from services.secrets.leases import LeaseRefusedError
from services.secrets.model import WrappedKey
from services.secrets.store.damage import DamageError, before_damage, damage_told, next_id
from services.secrets.store.data_keys import LOOKED_AT
from services.secrets.verifying import Sample, SampledKey, SealedField, VerifyOutcome

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from services.common.database import Database
    from services.secrets.verifying import VerifyOrder

PART_BYTES: Final = 2 * 1024 * 1024
"""Sealed fields that are read at once; the last of them may go beyond it."""

# Sizes are known without fetching a field, as long as nothing compares, sorts or joins on fields; `before`
# is that of all fields before it, and what is beyond the part is never read. Each look-up is one by a unique
# key, and `limit 1` keeps it one (see `accesses`). The first row tells how many are wanted, and where the
# window ends if it held fewer (see `data_keys`). No field of a key that is passed over is read: it may be
# what cannot be read.
_SAMPLE: Final = """
with wanted as materialized (
    select id, wrapped from (
        select id, wrapped, key_version from secrets.data_key
        where tenant_id = %(tenant)b and id > %(after)b and id <= %(until)b
        order by id limit %(window)b::bigint
    ) looked
    where key_version = %(version)b::bigint order by id limit %(limit)b::bigint
), placed as (
    select *, sum(size) over (
            order by id rows between unbounded preceding and 1 preceding) as before,
        case when not %(pass_over)b then
            case size when octet_length(value) then 'value' when octet_length(content) then 'content'
                when octet_length(private_key) then 'private_key'
                when octet_length(passphrase) then 'passphrase'
                when octet_length(normal_form) then 'normal_form' end end as name
    from (
        select w.id, w.wrapped, v.secret_id, v.environment_id, v.value_version,
            v.value, v.content, v.private_key, v.passphrase, v.normal_form,
            least(octet_length(v.value), octet_length(v.content), octet_length(v.private_key),
                octet_length(v.passphrase), octet_length(v.normal_form)) as size
        from wanted w
        left join lateral (select * from secrets.value_version x
            where x.tenant_id = %(tenant)b and x.data_key_id = w.id limit 1) v on true
    ) sized
)
(select found, case when found < %(limit)b::bigint then (
        select id from secrets.data_key
        where tenant_id = %(tenant)b and id > %(after)b and id <= %(until)b
        order by id offset %(window)b::bigint - 1 limit 1
    ) end, null::bytea, null::uuid, null::uuid, null::bigint, null::text, null::bytea
 from (select count(*) as found from wanted) counted)
union all
(select null, id, wrapped, secret_id, environment_id, value_version, name,
    case name when 'value' then value when 'content' then content
        when 'private_key' then private_key when 'passphrase' then passphrase
        when 'normal_form' then normal_form end
 from placed
 where coalesce(before, 0) < %(bytes)b::bigint order by id)
"""
_RECORD: Final = """
select rewrap.record_verified(%(tenant)b, %(lease)b::bigint, %(fence)b::bigint, %(lane)b::smallint,
    %(after)t::uuid, %(cursor)b, %(finished)b, %(verified)b::bigint, %(failed)t::uuid[])
"""


class PostgresSamples:
    """`ports.SampleStore`: each method is one transaction held to one tenant."""

    def __init__(
        self, database: Database, *, looked_at: int = LOOKED_AT, part_bytes: int = PART_BYTES
    ) -> None:
        self._database = database
        self._looked_at = looked_at
        self._part_bytes = part_bytes

    async def sample(self, order: VerifyOrder, after: UUID, limit: int) -> Sample:
        """As `ports.SampleStore.sample`. Raises DamageError where what cannot be read cannot be named."""
        window = max(self._looked_at, limit)
        try:
            return await self._sample(order, after, limit, window)
        except DamageError as error:
            return await self._before_damage(order, after, limit, window, error)

    async def _before_damage(
        self, order: VerifyOrder, after: UUID, limit: int, window: int, error: DamageError
    ) -> Sample:
        """As `PostgresStaleKeys`: what comes before the first key that cannot be read, and that one."""
        found = await before_damage(lambda rows: self._sample(order, after, limit, rows), window)
        if found is not None and (found.finished or found.cut or len(found.keys) == limit):
            return found
        keys, cursor = (found.keys, found.cursor) if found else ((), after)
        key_id = await next_id(self._database, order.tenant_id, cursor, order.until)
        if key_id is None:
            return Sample(keys, order.until, finished=True, cut=False)
        before = UUID(int=key_id.int - 1)
        try:
            await self._sample(order, before, 1, 1)
        except DamageError:
            return Sample(keys, key_id, finished=False, cut=False, unreadable=key_id)
        if before <= after:
            raise error
        return Sample(keys, before, finished=False, cut=False)

    async def _sample(self, order: VerifyOrder, after: UUID, limit: int, window: int) -> Sample:
        parameters = {
            "tenant": order.tenant_id,
            "after": after,
            "until": order.until,
            "version": order.target_version,
            "limit": limit,
            "window": window,
            "bytes": self._part_bytes,
            "pass_over": order.pass_over,
        }
        async with self._database.tenant(order.tenant_id) as connection:
            cursor = connection.cursor(binary=True)
            with damage_told():
                await cursor.execute(_SAMPLE, parameters, prepare=True)
            (wanted, end_of_window, *_), *rows = await cursor.fetchall()
        keys = tuple(_sampled(row[1:], order.target_version) for row in rows)
        cut = len(keys) < wanted
        if cut or len(keys) == limit:
            return Sample(keys, keys[-1].key.id, finished=False, cut=cut)
        return Sample(keys, end_of_window or order.until, finished=end_of_window is None, cut=False)

    async def record(
        self,
        order: VerifyOrder,
        *,
        verified: int,
        failed: Sequence[UUID],
        cursor: UUID,
        finished: bool,
    ) -> VerifyOutcome:
        """As `ports.SampleStore.record`."""
        parameters = {
            "tenant": order.tenant_id,
            "lease": order.lease_id,
            "fence": order.fence,
            "lane": order.lane,
            "after": order.after,
            "cursor": cursor,
            "finished": finished,
            "verified": verified,
            "failed": list(failed),
        }
        async with self._database.tenant(order.tenant_id) as connection:
            try:
                await connection.execute(_RECORD, parameters, prepare=True)
            except psycopg.Error as error:
                if error.sqlstate == LEASE_REFUSED:
                    raise LeaseRefusedError from None
                raise
        return VerifyOutcome(verified, len(failed), cursor, finished)


def _sampled(row: Sequence[Any], version: int) -> SampledKey:
    key_id, wrapped, secret_id, environment_id, value_version, name, sealed = row
    key = WrappedKey(key_id, bytes(wrapped), version)
    if secret_id is None:
        return SampledKey(key, None)
    content = None if sealed is None else bytes(sealed)
    return SampledKey(key, SealedField(secret_id, environment_id, value_version, name, content))
