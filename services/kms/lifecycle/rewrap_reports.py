"""Use case: the signed report of a rewrap that has ended, format 1. Pure.

Members and their order are `RewrapStatement` of protos/coffer/kms/v1/kms.proto; every member is there, null
where there is nothing to say. Who says what: counts, times and the censuses before and after are rewrap's
own, as its lease keeps them; keys, their versions and the census at signing are what kms itself
finds. The sentences are part of what is signed: a report goes on saying what was promised when it was made.
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
        "state, reason, counts, failed_ids, times and the censuses before and after are what rewrap and"
        " secrets recorded while they worked; kms read them when it signed, and did not count them again."
        " done, failed, failed_ids, verified and kms_calls_waited_for were saved batch by batch, each in the"
        " transaction that did what they count. skipped is what was neither done nor failed of total when"
        " everything had been gone through; where it came to no such end, only what was met as such."
    ),
    (
        "to_key_id, what wraps that key, active_version_at_signing, revoked_versions and census_at_signing"
        " are what kms itself read, all at one moment, in the transaction that stored this report. A census"
        " counts every data key in the live database that can still be opened: of all environments, of older"
        " versions of values, and of deleted secrets that are not purged yet."
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
        " opened, and it may be revoked, except active_version_at_signing and versions made after signed_at:"
        " new data keys come under the active version, whether or not it has any yet. Nothing new comes under"
        " a version that was active before, and none becomes active again."
    ),
    (
        "revoked_versions were revoked from started_at, or where there is none from created_at, until"
        " signed_at. Data keys that were still under them open no more; the receipt of each says how many."
    ),
    (
        "kms_calls_waited_for counts the requests to the KMS of a cloud that batches which moved data keys"
        " waited for."
    ),
    (
        "duration_seconds is the time from started_at to finished_at, verification, waiting and pauses"
        " included, and rate_per_second is done divided by it: while data keys were moved, more were moved in"
        " a second."
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
        " them."
    ),
    (
        "Whether the version stored beside a wrap is the one in the wrap. Censuses go by the former, which"
        " the secrets service stores in one statement with the wrap; who may write there could make it say"
        " anything. Of the data keys in done and in verified the wrap itself was under to_version."
    ),
    (
        "Other requests to the KMS of a cloud than those in kms_calls_waited_for: those of the verification,"
        " those that open a master key anew before its time in memory is up, those of batches that failed and"
        " were tried again, those of the tenant's other calls. The log of that cloud has them all, so it may"
        " show more."
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
        "from_versions": _others(before, rewrap.version),
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
        "kms_calls_waited_for": rewrap.kms_calls,
        "created_at": time_text(rewrap.created_at),
        "started_at": time_text(rewrap.started_at),
        "finished_at": time_text(rewrap.finished_at),
        "duration_seconds": seconds,
        "rate_per_second": rate,
        "census_before": _census(before),
        "census_after": _census(rewrap.census_after),
        "census_at_signing": _census(rewrap.census_at_signing),
        "active_version_at_signing": rewrap.active_version,
        "revoked_versions": sorted(rewrap.revoked_versions),
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


def _others(census: Mapping[int, int] | None, version: int) -> dict[str, object] | None:
    """The versions of a census but one; None where nothing was counted, which is not the same as none."""
    if census is None:
        return None
    return {
        "versions": sorted(one for one, data_keys in census.items() if data_keys and one != version)
    }


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
