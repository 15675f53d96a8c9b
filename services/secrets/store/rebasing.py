"""Giving deleted secrets another base environment: where their metadata are from, and who names none goes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from services.common.database import Connection
    from services.secrets.groups import EnvironmentRow

# What is shown of a certificate is what was read from its base environment's value. Another environment's
# is sealed, so of that only what is stored in clear beside it is known.
_REBASE: Final = """
with moved as materialized (
    select s.id, home.environment_id, home.name, home.certificate_type, home.certificate_expires_at,
        home.has_private_key, home.has_passphrase
    from secrets.secret s
    cross join lateral (
        select v.environment_id, e.name, x.certificate_type, x.certificate_expires_at,
            x.private_key is not null as has_private_key,
            x.passphrase is not null as has_passphrase
        from secrets.secret_environment v
        join secrets.environment e on e.tenant_id = v.tenant_id and e.id = v.environment_id
        join secrets.value_version x on x.tenant_id = v.tenant_id and x.secret_id = v.secret_id
            and x.environment_id = v.environment_id and x.value_version = v.value_version
        where v.tenant_id = s.tenant_id and v.secret_id = s.id and v.deleted_at is null
          and v.environment_id <> %(from)s
          and (%(to)s::uuid is null or v.environment_id = %(to)s::uuid)
        order by e.is_default desc, e.name collate "C" limit 1
    ) home
    where s.tenant_id = %(tenant)s and s.id = any (%(secrets)s::uuid[])
      and s.base_environment_id = %(from)s
)
update secrets.secret s
set base_environment_id = moved.environment_id,
    lost_base = coalesce(s.lost_base, %(lost)s::text),
    certificate_type = moved.certificate_type,
    certificate_expires_at = moved.certificate_expires_at,
    metadata = case when s.metadata is not null then %(unknown)s::jsonb || jsonb_build_object(
        'expires_at', to_char(moved.certificate_expires_at at time zone 'UTC',
            'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
        'has_private_key', moved.has_private_key,
        'has_passphrase', moved.has_passphrase) end
from moved where s.tenant_id = %(tenant)s and s.id = moved.id
returning s.id, moved.name
"""
_UNKNOWN: Final = json.dumps(
    {
        "subject": None,
        "issuer": None,
        "expires_at": None,
        "has_private_key": False,
        "has_passphrase": False,
        "not_before": None,
        "serial_number": None,
        "sha256_fingerprint": None,
        "dns_names": [],
        "ip_addresses": [],
        "key_algorithm": None,
        "key_size": None,
        "signature_algorithm": None,
        "is_ca": None,
        "chain_length": None,
        "warnings": [
            {
                "code": "unreadable_field",
                "message": "What was read from this certificate went with its environment. Store the"
                " certificate again to see it.",
            }
        ],
    }
)


async def rebase(
    connection: Connection, tenant_id: UUID, secret_ids: Sequence[UUID], gone: EnvironmentRow
) -> dict[UUID, str]:
    """Move those that have `gone` as their base to another environment where they have a value.

    The default one comes first, then the others by name. They remember the name of the first base that they
    lost. Returns the names of the new bases; a secret without a value elsewhere is left out and stays. The
    caller holds the secrets' rows and the usage row.
    """
    parameters = {
        "tenant": tenant_id,
        "secrets": list(secret_ids),
        "from": gone.id,
        "to": None,
        "lost": gone.name,
        "unknown": _UNKNOWN,
    }
    cursor = await connection.execute(_REBASE, parameters)
    return {secret_id: base async for secret_id, base in cursor}


async def settle(
    connection: Connection, tenant_id: UUID, secret_id: UUID, base: UUID, chosen: UUID
) -> None:
    """Move one from its base to the `chosen` environment, where it has a value. Held as for `rebase`."""
    parameters = {
        "tenant": tenant_id,
        "secrets": [secret_id],
        "from": base,
        "to": chosen,
        "lost": None,
        "unknown": _UNKNOWN,
    }
    await connection.execute(_REBASE, parameters)
