"""The receipt of an erasure, format 1: what it says, and what it says that it does not cover. Pure.

Members and their order are `RevocationStatement` of protos/coffer/kms/v1/kms.proto; every member is there,
null where there is nothing to say. The sentences are part of what is signed: a receipt goes on saying what
was promised when it was made, whatever a later release promises.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from services.kms.model import Erasure

RECEIPT_TYPE: Final = "coffer-revocation-receipt"
FORMAT: Final = "coffer/revocation-receipt/1"

COVERS: Final = (
    (
        "The wrapped bytes of this master-key version were erased from the live database, in the same"
        " transaction that stored this receipt."
    ),
    (
        "Every running kms process forgets its open copy when the database announces the erasure, normally"
        " within milliseconds; one that cannot hear announcements stops using open keys within 5 seconds."
    ),
    (
        "Unused data keys under this version that the secrets service holds ready can no longer be stored"
        " with a value, and are overwritten within 30 seconds; it keeps no data key of a stored value beyond"
        " the request that reads it."
    ),
    (
        "From then on nothing in the live database or in the memory of the services opens a data key under"
        " this version, nor a value sealed under such a data key."
    ),
)
DOES_NOT_COVER: Final = (
    (
        "The database's write-ahead log and its archives, which hold the erased bytes for as long as the"
        " operator keeps them."
    ),
    (
        "Backups, dumps and snapshots made before the erasure: with the wrapping key still usable, they open"
        " what they hold. Destroying that wrapping key, once no other version needs it, closes these too."
    ),
    "Replicas of the database, until they have replayed the erasure.",
    (
        "The dead row version in the database's files, until vacuum has reused its space, and what the"
        " storage below keeps of it."
    ),
    "Memory dumps, swap and hibernation images of processes that had the key open.",
    (
        "Requests that were under way when the version was erased, and values that consumers had already"
        " fetched."
    ),
)


def receipt_statement(erasure: Erasure) -> dict[str, object]:
    """What is signed."""
    return {
        "format": FORMAT,
        "tenant_id": str(erasure.tenant_id),
        "tenant_slug": erasure.tenant_slug,
        "key_id": str(erasure.key_id),
        "version": erasure.version,
        "wrap_method": str(erasure.wrap_method),
        "provider": erasure.provider,
        "kms_key_ref": erasure.kms_key_ref,
        "created_at": time_text(erasure.created_at),
        "retired_at": time_text(erasure.retired_at),
        "revoked_at": time_text(erasure.revoked_at),
        "data_keys_lost": erasure.data_keys,
        "forced": erasure.forced,
        "actor": erasure.actor,
        "request_id": erasure.request_id,
        "covers": list(COVERS),
        "does_not_cover": list(DOES_NOT_COVER),
    }


def time_text(moment: datetime | None) -> str | None:
    """RFC 3339 in UTC, cut to milliseconds, as all times of the wire contract."""
    if moment is None:
        return None
    at = moment.astimezone(UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"
