"""Reports of rewraps: the one transaction in which the lease is read, keys are counted and the paper comes.

The lease is rewrap's; a function of its schema is the only way to it. The paper is kms's, so that nobody
else can store another one; and once it is there, the lease is not looked at any more.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

from services.common import audit
from services.common.authentication import find_tenant
from services.common.errors import NotFoundError
from services.kms.lifecycle.rewrap_reports import NotEndedError
from services.kms.model import EndedRewrap, WrapMethod
from services.kms.store import ring
from services.kms.store.counting import allow_counting

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from services.common.database import Connection, Database
    from services.common.identity import Call
    from services.kms.store.counting import Counting

_LEASE: Final = """
    select finished_at, state, reason, target_version, total, done, skipped, failed, failed_ids,
        verified, kms_calls, created_at, started_at, census_before, census_after
    from rewrap.lease_report(%s, %s)
"""
# One statement, so that all of it is of one moment: between two a rotation could come, and a version be
# called empty that is not. The time is from before that moment: nothing is left out that came until then.
_FACTS: Final = """
    select statement_timestamp(), k.id, k.wrap_method, b.provider, k.provider_key_version,
        (select a.version from kms.master_key a
         where a.tenant_id = %(tenant)s and a.status = 'active'),
        array(select r.version from kms.master_key r
              where r.tenant_id = %(tenant)s and r.status = 'revoked' and r.revoked_at >= %(since)s
              order by r.version),
        array(select array[c.key_version, c.data_keys] from secrets.census(%(tenant)s) c)
    from kms.master_key k
    left join kms.binding b on b.tenant_id = k.tenant_id and b.id = k.binding_id
    where k.tenant_id = %(tenant)s and k.version = %(version)s
"""
_FIND: Final = "select jws from kms.rewrap_report where tenant_id = %s and lease_id = %s"
_KEEP: Final = "insert into kms.rewrap_report (tenant_id, lease_id, jws) values (%s, %s, %s)"
_MAX_ID: Final = 2**63 - 1


class StoredReports:
    """Implements ReportStore."""

    def __init__(self, database: Database, counting: Counting) -> None:
        """`counting` is the process's, for all who count."""
        self._database = database
        self._counting = counting

    async def report(
        self, call: Call, tenant_id: UUID, lease_id: int, sign: Callable[[EndedRewrap], str]
    ) -> str | None:
        """See ReportStore."""
        if lease_id > _MAX_ID:
            return None
        async with self._database.tenant(tenant_id) as connection:
            kept = await _kept(connection, tenant_id, lease_id)
        return kept or await self._make(call, tenant_id, lease_id, sign)

    async def _make(
        self, call: Call, tenant_id: UUID, lease_id: int, sign: Callable[[EndedRewrap], str]
    ) -> str | None:
        async with self._counting.place(tenant_id), self._database.tenant(tenant_id) as connection:
            await allow_counting(connection)
            lease = await _lease(connection, tenant_id, lease_id)
            if lease is None:
                return None
            # Another may have stored it while this one waited for its place, or for the lease's row.
            kept = await _kept(connection, tenant_id, lease_id)
            if kept is not None:
                return kept
            paper = sign(await _facts(connection, tenant_id, lease_id, lease))
            await connection.execute(_KEEP, (tenant_id, lease_id, paper))
            await audit.append(connection, tenant_id, call, [_event(lease_id, paper)])
            return paper


async def _kept(connection: Connection, tenant_id: UUID, lease_id: int) -> str | None:
    row = await ring.one(connection, _FIND, tenant_id, lease_id)
    return None if row is None else str(row[0])


def _event(lease_id: int, paper: str) -> audit.Event:
    """Whoever holds a paper can compare it, also when its key was stolen and proves nothing any more."""
    facts = {"jws_sha256": hashlib.sha256(paper.encode()).hexdigest()}
    return audit.Event("rewrap.report.signed", "rewrap_lease", str(lease_id), facts)


async def _lease(connection: Connection, tenant_id: UUID, lease_id: int) -> tuple[Any, ...] | None:
    """Of _LEASE; the row is locked until the end of the transaction. Raises NotEndedError."""
    row = await ring.one(connection, _LEASE, tenant_id, lease_id)
    if row is not None and row[0] is None:
        raise NotEndedError(str(row[1]))
    return row


async def _facts(
    connection: Connection, tenant_id: UUID, lease_id: int, lease: tuple[Any, ...]
) -> EndedRewrap:
    finished, state, reason, version, *counts, created, started, before, after = lease
    total, done, skipped, failed, failed_ids, verified, kms_calls = counts
    tenant = await find_tenant(connection, tenant_id)
    if tenant is None:
        raise NotFoundError("No such tenant.")
    asked = {"tenant": tenant_id, "version": version, "since": started or created}
    found = await (await connection.execute(_FACTS, asked)).fetchone()
    assert found is not None
    now, key_id, method, provider, key_ref, active, revoked, census = found
    customers = method == WrapMethod.CUSTOMER_KMS
    return EndedRewrap(
        tenant_id=tenant_id,
        tenant_slug=tenant.slug,
        lease_id=lease_id,
        state=state,
        reason=reason,
        version=version,
        key_id=key_id,
        wrap_method=WrapMethod(method),
        provider=provider if customers else None,
        kms_key_ref=key_ref if customers else None,
        total=total,
        done=done,
        skipped=skipped,
        failed=failed,
        failed_ids=tuple(failed_ids),
        verified=verified,
        kms_calls=kms_calls,
        created_at=created,
        started_at=started,
        finished_at=finished,
        census_before=_census(before),
        census_after=_census(after),
        census_at_signing=dict(census),
        active_version=active,
        revoked_versions=tuple(revoked),
        signed_at=now,
    )


def _census(kept: list[dict[str, int]] | None) -> dict[int, int] | None:
    """As rewrap keeps it: `[{"version": 1, "data_keys": 10}]`."""
    if kept is None:
        return None
    return {int(row["version"]): int(row["data_keys"]) for row in kept}
