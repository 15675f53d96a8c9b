"""Statements about the seal of a binding. Each runs in the caller's transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.kms.model import Reason, SealedKey
from services.kms.store.ring import one

if TYPE_CHECKING:
    from datetime import datetime

    from services.common.database import Connection
    from services.kms.model import Binding


@dataclass(frozen=True, slots=True)
class Before:
    """A binding's seal before it was sealed (again). `refused`: sealed by a definite answer."""

    sealed_since: datetime | None
    refused: bool


async def seal(connection: Connection, binding: Binding, reason: Reason) -> Before | None:
    """Seal it; what was there before, None for no such binding. The ring is held.

    A definite answer stays the reason for as long as nothing but silence follows it.
    """
    row = await one(
        connection,
        "select sealed_since, last_verify_error from kms.binding where tenant_id = %s and id = %s"
        " for update",
        binding.tenant_id,
        binding.id,
    )
    if row is None:
        return None
    before = Before(row[0], row[0] is not None and _definite(row[1]))
    if reason.definite or not before.refused:
        await connection.execute(
            "update kms.binding set sealed_since = coalesce(sealed_since, clock_timestamp()),"
            " last_verify_error = %s where tenant_id = %s and id = %s",
            (reason, binding.tenant_id, binding.id),
        )
    return before


async def unseal(connection: Connection, binding: Binding) -> bool:
    """Unseal it; whether it was sealed. The ring is held."""
    row = await one(
        connection,
        "update kms.binding set sealed_since = null, last_verified_at = clock_timestamp(),"
        " last_verify_error = null where tenant_id = %s and id = %s"
        " and sealed_since is not null returning id",
        binding.tenant_id,
        binding.id,
    )
    return row is not None


async def record_verification(
    connection: Connection, binding: Binding, failure: Reason | None
) -> bool:
    """Note a proof's outcome; whether the binding is still there. A seal stays, and so does its reason."""
    cursor = await connection.execute(
        "update kms.binding set last_verify_error ="
        " case when sealed_since is null then %(failure)s else last_verify_error end,"
        " last_verified_at ="
        " case when %(failure)s::text is null then clock_timestamp() else last_verified_at end"
        " where tenant_id = %(tenant)s and id = %(id)s",
        {"failure": failure, "tenant": binding.tenant_id, "id": binding.id},
    )
    return cursor.rowcount > 0


async def sealed(connection: Connection, limit: int) -> list[SealedKey]:
    """Of all tenants, as `kms.sealed_bindings` promises."""
    cursor = await connection.execute("select * from kms.sealed_bindings(%s)", (limit,))
    return [SealedKey(*row) for row in await cursor.fetchall()]


def _definite(reason: str | None) -> bool:
    try:
        return reason is not None and Reason(reason).definite
    except ValueError:
        return False
