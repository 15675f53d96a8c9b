"""Use case: the signed report of a rewrap that has ended, format 1. Pure.

Members and their order are `RewrapStatement` of protos/coffer/kms/v1/kms.proto; every member is there, null
where there is nothing to say. Who says what: counts, times and the censuses before and after are rewrap's
own, as its lease keeps them; the key and the census at signing are what kms itself finds. The sentences are
part of what is signed: a report goes on saying what was promised when it was made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from services.common.errors import InvalidStateError, NotFoundError
from services.kms.lifecycle.receipts import time_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from services.common.identity import Call
    from services.kms.model import EndedRewrap
    from services.kms.ports import Notary, ReportStore

REPORT_TYPE: Final = "coffer-rewrap-report"
FORMAT: Final = "coffer/rewrap-report/1"
_ACTOR: Final = "service:kms"
"""Whoever asks first: who signs is kms."""
_LEAST_SECONDS: Final = 0.001
"""Times are told to the millisecond; no rate is of less."""

COVERS: Final = (
    (
        "state, reason, counts, failed_ids, kms_calls, times and the censuses before and after are what the"
        " rewrap service recorded while it worked, each count in the transaction that did what it counts."
        " kms read them from the live database when it signed, and did not count them again."
    ),
    (
        "to_key_id, what wraps that key, and census_at_signing are what kms itself read, in the transaction"
        " that stored this report. A census counts every data key in the live database: of all environments,"
        " of older versions of values, and of deleted secrets that are not purged yet."
    ),
    (
        "Each data key in done was opened by kms under its former version, wrapped under to_version, opened"
        " again from the new wrap and compared, before the new wrap took the place of the former one in the"
        " live database."
    ),
    (
        "Each data key in verified was read back from the live database after everything had been moved, was"
        " opened by kms under to_version, and opened a sealed field of the value that it protects; what was"
        " opened was neither looked at nor kept."
    ),
    (
        "A version that census_at_signing does not list wraps no data key that is stored and can still be"
        " opened. Nothing new comes under a version that is not active: unless it was made active after"
        " signed_at, it may be revoked."
    ),
)
DOES_NOT_COVER: Final = (
    (
        "Data keys that are not in verified: the sample is as large as the operator set it, 10,000 unless set"
        " otherwise. They were compared when they were wrapped, and not read back."
    ),
    "Other sealed fields of a value than the one that was opened.",
    "Data keys under versions that were erased: they are not moved, and no census counts them.",
    (
        "Whether rewrap counted right: kms signs its counts as it found them, and its own census beside"
        " them. kms_calls leaves out requests whose batch failed and was tried again."
    ),
    (
        "Copies of the database: write-ahead log and archives, replicas until they have replayed, backups,"
        " dumps and snapshots, dead row versions until vacuum. They hold data keys as they were wrapped"
        " before, which the former versions open."
    ),
    (
        "The former versions themselves. A rewrap erases none; revoking a version does, and has a receipt of"
        " its own."
    ),
    "Anything after signed_at.",
)


class RewrapReports:
    """Makes reports, each once."""

    def __init__(self, store: ReportStore, notary: Notary) -> None:
        self._store = store
        self._notary = notary

    async def of(self, call: Call, tenant_id: UUID, lease_id: int) -> str:
        """The report, a JWS: made and stored at the first call, the same bytes ever after.

        What is stored is handed out only if it is a report of this lease with a good signature. Raises
        NotFoundError for no such lease of this tenant, InvalidStateError for one that has not ended,
        NotTheReportError, and as KeyStore and Notary.
        """
        try:
            found = await self._store.report(call.acting(_ACTOR), tenant_id, lease_id, self._sign)
        except NotEndedError as error:
            raise InvalidStateError(
                f"The rewrap is {error.state}; there is a report when it has ended.",
                hint="Wait until it has ended, or cancel it, and ask again.",
            ) from None
        if found is None:
            raise NotFoundError("There is no such rewrap.")
        said = self._notary.read(REPORT_TYPE, found)
        wanted = {"tenant_id": str(tenant_id), "lease_id": lease_id}
        if said is None or {name: said.get(name) for name in wanted} != wanted:
            raise NotTheReportError
        return found

    def _sign(self, rewrap: EndedRewrap) -> str:
        return self._notary.sign(REPORT_TYPE, report_statement(rewrap))


class NotEndedError(Exception):
    """The rewrap has not ended; it is in `state`. Nothing was stored."""

    def __init__(self, state: str) -> None:
        super().__init__(state)
        self.state = state


class NotTheReportError(Exception):
    """What is stored as the report of a rewrap is not its report: somebody has a hand in the database."""


def report_statement(rewrap: EndedRewrap) -> dict[str, object]:
    """What is signed."""
    seconds, rate = _pace(rewrap)
    before = rewrap.census_before
    return {
        "format": FORMAT,
        "tenant_id": str(rewrap.tenant_id),
        "tenant_slug": rewrap.tenant_slug,
        "lease_id": rewrap.lease_id,
        "state": rewrap.state,
        "reason": rewrap.reason,
        "from_versions": sorted(version for version in before or () if version != rewrap.version),
        "to_version": rewrap.version,
        "to_key_id": str(rewrap.key_id),
        "to_wrap_method": str(rewrap.wrap_method),
        "to_provider": rewrap.provider,
        "to_kms_key_ref": rewrap.kms_key_ref,
        "total": rewrap.total,
        "done": rewrap.done,
        "skipped": rewrap.skipped,
        "failed": rewrap.failed,
        "failed_ids": [str(one) for one in rewrap.failed_ids],
        "verified": rewrap.verified,
        "kms_calls": rewrap.kms_calls,
        "created_at": time_text(rewrap.created_at),
        "started_at": time_text(rewrap.started_at),
        "finished_at": time_text(rewrap.finished_at),
        "duration_seconds": seconds,
        "rate_per_second": rate,
        "census_before": _census(before),
        "census_after": _census(rewrap.census_after),
        "census_at_signing": _census(rewrap.census_at_signing),
        "signed_at": time_text(rewrap.signed_at),
        "covers": list(COVERS),
        "does_not_cover": list(DOES_NOT_COVER),
    }


def _pace(rewrap: EndedRewrap) -> tuple[float | None, float | None]:
    """Seconds from start to end, to the millisecond, and data keys moved per second of that."""
    if rewrap.started_at is None:
        return None, None
    took = (rewrap.finished_at - rewrap.started_at).total_seconds()
    seconds = max(round(took, 3), 0.0)
    return seconds, round(rewrap.done / max(seconds, _LEAST_SECONDS), 1)


def _census(found: Mapping[int, int] | None) -> dict[str, object] | None:
    if found is None:
        return None
    return {
        "versions": [
            {"version": version, "data_keys": data_keys}
            for version, data_keys in sorted(found.items())
            if data_keys
        ]
    }
