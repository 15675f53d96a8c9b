"""Data keys and sealed fields as a verification reads them: by primary key, few bytes at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import psycopg

from services.common.database import LEASE_REFUSED
from services.secrets.leases import LeaseRefusedError
from services.secrets.model import WrappedKey
from services.secrets.store.data_keys import LOOKED_AT
from services.secrets.verifying import Sample, SampledKey, SealedField, VerifyOutcome

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any
    from uuid import UUID

    from services.common.database import Database
    from services.secrets.verifying import VerifyOrder

PART_BYTES: Final = 2 * 1024 * 1024
"""Sealed fields that are read at once; the last of them may go beyond it."""

# Sizes are known without fetching a field, and `before` is that of all fields before it: what is beyond the
# part is never read. Each look-up is one by a unique key, and `limit 1` keeps it one (see `accesses`). The
# first row is the window's.
_SAMPLE: Final = """
with looked as materialized (
    select id, wrapped, key_version from secrets.data_key
    where tenant_id = %(tenant)b and id > %(after)b and id <= %(until)b
    order by id limit %(window)b::bigint
), wanted as materialized (
    select id, wrapped from looked where key_version = %(version)b::bigint
    order by id limit %(limit)b::bigint
), placed as (
    select w.id, w.wrapped, v.secret_id, v.environment_id, v.value_version, f.name, f.sealed,
        sum(octet_length(f.sealed)) over (
            order by w.id rows between unbounded preceding and 1 preceding) as before
    from wanted w
    left join lateral (select * from secrets.value_version x
        where x.tenant_id = %(tenant)b and x.data_key_id = w.id limit 1) v on true
    left join lateral (
        select n.name, n.sealed from (values ('value', v.value), ('content', v.content),
            ('private_key', v.private_key), ('passphrase', v.passphrase),
            ('normal_form', v.normal_form)) n (name, sealed)
        where n.sealed is not null order by octet_length(n.sealed), n.name limit 1) f on true
)
(select (select count(*) from looked), (select count(*) from wanted),
    (select id from looked order by id desc limit 1), null::bytea, null::uuid, null::uuid,
    null::bigint, null::text, null::bytea)
union all
(select null, null, id, wrapped, secret_id, environment_id, value_version, name, sealed from placed
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
        """As `ports.SampleStore.sample`."""
        window = max(self._looked_at, limit)
        parameters = {
            "tenant": order.tenant_id,
            "after": after,
            "until": order.until,
            "version": order.target_version,
            "limit": limit,
            "window": window,
            "bytes": self._part_bytes,
        }
        async with self._database.tenant(order.tenant_id) as connection:
            cursor = connection.cursor(binary=True)
            await cursor.execute(_SAMPLE, parameters, prepare=True)
            (looked, wanted, last, *_), *rows = await cursor.fetchall()
        keys = tuple(_sampled(row[2:], order.target_version) for row in rows)
        cut = len(keys) < wanted
        if cut or len(keys) == limit:
            return Sample(keys, keys[-1].key.id, finished=False, cut=cut)
        if looked == window:
            return Sample(keys, last, finished=False, cut=False)
        return Sample(keys, order.until, finished=True, cut=False)

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
