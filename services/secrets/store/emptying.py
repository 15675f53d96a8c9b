"""Emptying an environment that is about to be deleted: only deleted secrets may have anything there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from services.common import audit
from services.secrets.store import purges

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from services.common.database import Connection
    from services.secrets.groups import EnvironmentRow

_IN_USE: Final = """
select from secrets.secret_environment v
join secrets.secret s on s.tenant_id = v.tenant_id and s.id = v.secret_id
where v.tenant_id = %(tenant)s and v.environment_id = %(environment)s
  and v.deleted_at is null and s.deleted_at is null
limit 1
"""
# Of live secrets only counters of removed values can be there. Who wants to store a value there again waits
# for the environment, so they need not be held, and must not: such a writer may hold its secret already.
_HOLD: Final = """
select s.id, s.name, (select c.value_version from secrets.secret_environment c
    where c.tenant_id = s.tenant_id and c.secret_id = s.id and c.environment_id = %(environment)s)
from secrets.secret s
where s.tenant_id = %(tenant)s and s.deleted_at is not null
  and (s.base_environment_id = %(environment)s or s.id in (
    select v.secret_id from secrets.secret_environment v
    where v.tenant_id = %(tenant)s and v.environment_id = %(environment)s))
order by s.id for update of s
"""
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
          and v.environment_id <> %(environment)s
        order by e.is_default desc, e.name collate "C" limit 1
    ) home
    where s.tenant_id = %(tenant)s and s.id = any (%(secrets)s::uuid[])
      and s.base_environment_id = %(environment)s
)
update secrets.secret s
set base_environment_id = moved.environment_id,
    certificate_type = moved.certificate_type,
    certificate_expires_at = moved.certificate_expires_at,
    metadata = case when s.metadata is not null then %(unknown)s::jsonb || jsonb_build_object(
        'expires_at', to_char(moved.certificate_expires_at at time zone 'UTC',
            'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
        'has_private_key', moved.has_private_key,
        'has_passphrase', moved.has_passphrase) end
from moved where s.tenant_id = %(tenant)s and s.id = moved.id
returning s.id, s.name, moved.name
"""
_WITHOUT_HOME: Final = """
select s.id from secrets.secret s
where s.tenant_id = %(tenant)s and s.base_environment_id = %(environment)s
order by s.id
"""
_FORGET: Final = """
delete from secrets.secret_environment v
where v.tenant_id = %(tenant)s and v.environment_id = %(environment)s
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


async def is_in_use(connection: Connection, tenant_id: UUID, environment_id: UUID) -> bool:
    """Whether a live secret has a value there."""
    parameters = {"tenant": tenant_id, "environment": environment_id}
    return await (await connection.execute(_IN_USE, parameters)).fetchone() is not None


async def empty_environment(
    connection: Connection, tenant_id: UUID, row: EnvironmentRow
) -> list[audit.Event]:
    """Remove all that is stored there, and give the secrets that were made there another base.

    Returns an event for each secret that lost its value there, that has another base now, and that was
    purged because it has no value anywhere else. The caller holds the usage row and the environment for
    update and has found it not in use: so no value is stored there and no secret restored before the
    transaction ends.
    """
    parameters = {"tenant": tenant_id, "environment": row.id, "unknown": _UNKNOWN}
    cursor = await connection.execute(_HOLD, parameters)
    held = {found: (name, version) async for found, name, version in cursor}
    cursor = await connection.execute(_REBASE, parameters | {"secrets": list(held)})
    rebased = [
        _event("secret.rebased", moved, {"name": name, "from": row.name, "to": base})
        async for moved, name, base in cursor
    ]
    cursor = await connection.execute(_WITHOUT_HOME, parameters)
    homeless = [secret_id async for (secret_id,) in cursor]
    purged = await purges.purge(connection, tenant_id, homeless)
    erased = await purges.erase_values(connection, tenant_id, list(held), row.id)
    await connection.execute(_FORGET, parameters)
    removed = []
    for secret_id, versions in erased.items():
        name, version = held[secret_id]
        details = {
            "name": name,
            "environment": row.name,
            "value_version": version,
            "versions": versions,
        }
        removed.append(_event("secret.environment_removed", secret_id, details))
    return [*removed, *rebased, *purged]


def _event(action: str, secret_id: UUID, details: Mapping[str, object]) -> audit.Event:
    return audit.Event(action, "secret", str(secret_id), details)
