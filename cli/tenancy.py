"""The tenant registry, as the command line writes it: tenants, API keys, consumers' grants.

Every function is one transaction under the role `coffer_cli`, held to the tenant it is about, with its
audit event inside: no event, no change. `dsn` is the administrator's database URL, or that of
`coffer_cli` itself. Errors never repeat it: it holds a password.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import psycopg

from services.common import api_keys, audit
from services.common.database import InsecureDatabaseUrlError, require_secure

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

Connection = psycopg.Connection[tuple[Any, ...]]

ROLE: Final = "coffer_cli"
PLANS: Final = ("starter", "pro", "enterprise")
"""The plans of a new database; an operator may add others."""
_SLUG: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_CONSUMER: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_MAX_NAME: Final = 200
_CONNECT_SECONDS: Final = 5
_WINDOW_SECONDS: Final = 60
"""Of every limit that is set here."""


class TenancyError(Exception):
    """The registry refused, or cannot be reached. The text is for the person at the terminal."""


class RegistryUnreachableError(TenancyError):
    """The database does not answer, or holds no registry that this role may write."""


@dataclass(frozen=True, slots=True)
class TenantRow:
    """A tenant. `max_secrets` None: unlimited."""

    id: str
    slug: str
    name: str
    plan: str
    max_secrets: int | None
    status: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ApiKeyRow:
    """An API key, without the key.

    `rate_limit` in calls of `rate_window_seconds`; 0: none; None: what the secrets service is set to.
    """

    key_id: str
    key_prefix: str
    name: str
    scopes: tuple[str, ...]
    expires_at: datetime | None
    revoked_at: datetime | None
    created_at: datetime
    last_used_at: datetime | None
    rate_limit: int | None
    rate_window_seconds: int


@dataclass(frozen=True, slots=True)
class GrantRow:
    """What a consumer may fetch; None in either list: all of them."""

    id: str
    consumer: str
    collection_ids: tuple[str, ...] | None
    environment_names: tuple[str, ...] | None
    created_at: datetime


def find_tenant(dsn: str, slug: str) -> str | None:
    """The id of the tenant with this slug, None when there is none. Raises TenancyError."""
    with _transaction(dsn) as connection:
        row = connection.execute(
            "select tenant_id from tenancy.tenant where slug = %s", (slug,)
        ).fetchone()
    return None if row is None else str(row[0])


def list_tenants(dsn: str) -> list[TenantRow]:
    """Every tenant, by slug. Raises TenancyError."""
    with _transaction(dsn) as connection:
        rows = connection.execute(
            "select t.tenant_id::text, t.slug, t.name, t.plan, p.max_secrets, t.status, t.created_at"
            " from tenancy.tenant t join tenancy.plan p on p.name = t.plan order by t.slug"
        ).fetchall()
    return [TenantRow(*row) for row in rows]


def create_tenant(dsn: str, slug: str, name: str, plan: str) -> str:
    """Make a tenant; returns its id, a UUID. Raises TenancyError: bad or taken slug, unknown plan."""
    if not _SLUG.fullmatch(slug):
        raise TenancyError("a slug is 1 to 63 lower-case letters, digits and -, not - first")
    _check_name(name)
    tenant_id = str(uuid.uuid4())
    with _transaction(dsn, tenant_id) as connection:
        try:
            connection.execute(
                "insert into tenancy.tenant (tenant_id, slug, name, plan) values (%s, %s, %s, %s)",
                (tenant_id, slug, name, plan),
            )
        except psycopg.errors.UniqueViolation:
            raise TenancyError(f"the slug {slug} is taken") from None
        except psycopg.errors.ForeignKeyViolation:
            raise TenancyError(f"there is no plan {plan}") from None
        _append(connection, tenant_id, "tenant.created", "tenant", tenant_id, slug=slug, plan=plan)
    return tenant_id


def list_api_keys(dsn: str, tenant_id: str) -> list[ApiKeyRow]:
    """A tenant's keys, newest first. Raises TenancyError when there is no such tenant."""
    with _of_tenant(dsn, tenant_id) as connection:
        rows = connection.execute(
            "select key_id, key_prefix, name, scopes, expires_at, revoked_at, created_at,"
            " last_used_at, rate_limit, rate_window_seconds"
            " from tenancy.api_key where tenant_id = %s order by created_at desc, id",
            (tenant_id,),
        ).fetchall()
    return [ApiKeyRow(r[0], r[1], r[2], tuple(r[3]), *r[4:]) for r in rows]


def create_api_key(
    dsn: str,
    tenant_id: str,
    name: str,
    scopes: Sequence[str],
    expires: datetime | None = None,
    *,
    rate_limit: int | None = None,
) -> str:
    """Make an API key; returns the token, which is shown now and stored nowhere.

    `expires` None: never. `rate_limit` as `limit_api_key`. Raises TenancyError: no such tenant, unknown
    scope.
    """
    unknown = sorted(set(scopes) - set(api_keys.SCOPES))
    if unknown:
        raise TenancyError(f"unknown scope {unknown[0]}; known are {', '.join(api_keys.SCOPES)}")
    _check_name(name)
    new = api_keys.generate()
    with _of_tenant(dsn, tenant_id) as connection:
        connection.execute(
            "insert into tenancy.api_key"
            " (tenant_id, id, key_id, key_prefix, sha256, name, scopes, expires_at, rate_limit)"
            " values (%s, gen_random_uuid(), %s, %s, %s, %s, %s, %s, %s)",
            (
                tenant_id,
                new.key_id,
                new.prefix,
                new.sha256,
                name,
                list(scopes),
                expires,
                rate_limit,
            ),
        )
        ends = None if expires is None else audit.moment(expires)
        details = {
            "name": name,
            "scopes": sorted(scopes),
            "expires_at": ends,
            "rate_limit": rate_limit,
            "rate_window_seconds": _WINDOW_SECONDS if rate_limit else None,
        }
        _append(connection, tenant_id, "api_key.created", "api_key", new.key_id, **details)
    return new.token


def api_key_works(dsn: str, tenant_id: str, token: str) -> bool:
    """Whether this is a key of the tenant that is neither revoked nor ended. Raises TenancyError."""
    with reading(dsn, tenant_id) as connection:
        row = connection.execute(
            "select 1 from tenancy.api_key where tenant_id = %s and sha256 = %s"
            " and revoked_at is null and (expires_at is null or expires_at > clock_timestamp())",
            (tenant_id, api_keys.digest(token)),
        ).fetchone()
    return row is not None


def limit_api_key(dsn: str, tenant_id: str, key_id: str, rate_limit: int | None) -> None:
    """Limit a key to `rate_limit` calls in 60 s from its next call on.

    0: no limit; None: what the secrets service is set to. Raises TenancyError: no such tenant or key.
    """
    with _of_tenant(dsn, tenant_id) as connection:
        changed = connection.execute(
            "update tenancy.api_key set rate_limit = %s, rate_window_seconds = %s"
            " where tenant_id = %s and key_id = %s and revoked_at is null",
            (rate_limit, _WINDOW_SECONDS, tenant_id, key_id),
        ).rowcount
        if not changed:
            raise TenancyError(f"the tenant has no API key {key_id}, or it was revoked")
        _append(connection, tenant_id, "api_key.limited", "api_key", key_id, rate_limit=rate_limit)


def lift_rate_limits(dsn: str, tenant_id: str) -> None:
    """Let what the secrets service is set to hold for none of a tenant's keys, nor for those that they make.

    A key with a limit of its own keeps it. May be repeated. Raises TenancyError when there is no such tenant.
    """
    with _of_tenant(dsn, tenant_id) as connection:
        rows = connection.execute(
            "update tenancy.api_key set rate_limit = 0"
            " where tenant_id = %s and rate_limit is null and revoked_at is null returning key_id",
            (tenant_id,),
        ).fetchall()
        for (key_id,) in rows:
            _append(connection, tenant_id, "api_key.limited", "api_key", key_id, rate_limit=0)


def revoke_api_key(dsn: str, tenant_id: str, key_id: str) -> bool:
    """Make a key useless at once. False when it was revoked before. Raises TenancyError: no such key."""
    with _of_tenant(dsn, tenant_id) as connection:
        row = connection.execute(
            "select revoked_at from tenancy.api_key where tenant_id = %s and key_id = %s for update",
            (tenant_id, key_id),
        ).fetchone()
        if row is None:
            raise TenancyError(f"the tenant has no API key {key_id}")
        if row[0] is not None:
            return False
        connection.execute(
            "update tenancy.api_key set revoked_at = clock_timestamp()"
            " where tenant_id = %s and key_id = %s",
            (tenant_id, key_id),
        )
        _append(connection, tenant_id, "api_key.revoked", "api_key", key_id)
    return True


def list_grants(dsn: str, tenant_id: str) -> list[GrantRow]:
    """A tenant's grants, by consumer. Raises TenancyError when there is no such tenant."""
    with _of_tenant(dsn, tenant_id) as connection:
        rows = connection.execute(
            "select id::text, consumer, collection_ids::text[], environment_names, created_at"
            " from tenancy.consumer_grant where tenant_id = %s order by consumer, created_at, id",
            (tenant_id,),
        ).fetchall()
    return [GrantRow(r[0], r[1], _tuple(r[2]), _tuple(r[3]), r[4]) for r in rows]


def grant_consumer(
    dsn: str,
    tenant_id: str,
    consumer: str,
    *,
    collection_ids: Sequence[str] | None = None,
    environment_names: Sequence[str] | None = None,
) -> str:
    """Let `spiffe://coffer/consumer/<consumer>` fetch the tenant's values; returns the grant's id.

    None: all collections, all environments. The same grant again changes nothing. Raises TenancyError:
    no such tenant, a bad consumer name. Not checked: that the collections and environments exist.
    """
    if not _CONSUMER.fullmatch(consumer):
        raise TenancyError("a consumer's name is 1 to 63 of a-z 0-9 . _ -, beginning with a-z 0-9")
    limits = (
        None if collection_ids is None else sorted(set(collection_ids)),
        None if environment_names is None else sorted(set(environment_names)),
    )
    with _of_tenant(dsn, tenant_id) as connection:
        row = connection.execute(
            "select id::text from tenancy.consumer_grant where tenant_id = %s and consumer = %s"
            " and collection_ids is not distinct from %s::uuid[]"
            " and environment_names is not distinct from %s::text[]",
            (tenant_id, consumer, *limits),
        ).fetchone()
        if row is not None:
            return str(row[0])
        grant_id = str(uuid.uuid4())
        connection.execute(
            "insert into tenancy.consumer_grant"
            " (tenant_id, id, consumer, collection_ids, environment_names)"
            " values (%s, %s, %s, %s::uuid[], %s::text[])",
            (tenant_id, grant_id, consumer, *limits),
        )
        allowed = _allowed(consumer, *limits)
        _append(connection, tenant_id, "grant.created", "grant", grant_id, **allowed)
    return grant_id


def delete_grant(dsn: str, tenant_id: str, grant_id: str) -> None:
    """Take a grant back. Raises TenancyError when the tenant has no such grant."""
    with _of_tenant(dsn, tenant_id) as connection:
        row = connection.execute(
            "delete from tenancy.consumer_grant where tenant_id = %s and id = %s"
            " returning consumer, collection_ids::text[], environment_names",
            (tenant_id, _uuid(grant_id, "a grant's id")),
        ).fetchone()
        if row is None:
            raise TenancyError(f"the tenant has no grant {grant_id}")
        _append(connection, tenant_id, "grant.deleted", "grant", grant_id, **_allowed(*row))


def _allowed(
    consumer: str, collection_ids: list[str] | None, environment_names: list[str] | None
) -> dict[str, object]:
    """What an event says of a grant; null: all."""
    return {
        "consumer": consumer,
        "collection_ids": collection_ids,
        "environment_names": environment_names,
    }


@contextlib.contextmanager
def reading(dsn: str, tenant_id: str) -> Iterator[Connection]:
    """A transaction that reads what an existing tenant has. Raises TenancyError."""
    with _transaction(dsn, _uuid(tenant_id, "a tenant's id")) as connection:
        found = connection.execute(
            "select 1 from tenancy.tenant where tenant_id = %s", (tenant_id,)
        ).fetchone()
        if found is None:
            raise TenancyError(f"there is no tenant {tenant_id}")
        yield connection


@contextlib.contextmanager
def _of_tenant(dsn: str, tenant_id: str) -> Iterator[Connection]:
    """A transaction on an existing tenant. Changes of one tenant's registry wait for each other."""
    with _transaction(dsn, _uuid(tenant_id, "a tenant's id")) as connection:
        found = connection.execute(
            "select 1 from tenancy.tenant where tenant_id = %s for update", (tenant_id,)
        ).fetchone()
        if found is None:
            raise TenancyError(f"there is no tenant {tenant_id}")
        yield connection


@contextlib.contextmanager
def _transaction(dsn: str, tenant_id: str | None = None) -> Iterator[Connection]:
    try:
        with psycopg.connect(
            require_secure(dsn), application_name="coffer cli", connect_timeout=_CONNECT_SECONDS
        ) as connection:
            connection.execute(f"set local role {ROLE}")
            if tenant_id is not None:
                connection.execute("select set_config('coffer.tenant_id', %s, true)", (tenant_id,))
            yield connection
    except InsecureDatabaseUrlError as error:
        raise RegistryUnreachableError(str(error)) from None
    except psycopg.OperationalError as error:
        kind = type(error).__name__
        raise RegistryUnreachableError(f"the database cannot be reached ({kind})") from None
    except _NOT_MIGRATED:
        raise RegistryUnreachableError(
            "the database holds no tenant registry for this login; run `coffer migrate` first"
        ) from None
    except psycopg.ProgrammingError as error:
        raise RegistryUnreachableError(f"the database refused ({type(error).__name__})") from None


_NOT_MIGRATED: Final = (
    psycopg.errors.UndefinedTable,
    psycopg.errors.InvalidSchemaName,
    psycopg.errors.UndefinedFunction,
    psycopg.errors.InsufficientPrivilege,
    psycopg.errors.InvalidParameterValue,
    psycopg.errors.UndefinedObject,
)


def _append(
    connection: Connection,
    tenant_id: str,
    action: str,
    resource_type: str,
    resource_id: str,
    **details: object,
) -> None:
    event = {
        "action": action,
        "resource_type": resource_type,
        "resource_id": resource_id,
        "actor": f"cli:{_person()}",
        "details": json.dumps(details, sort_keys=True, separators=(",", ":")),
        "ip_address": None,
        "request_id": str(uuid.uuid4()),
    }
    connection.execute("select audit.append(%s, %s::jsonb)", (tenant_id, json.dumps([event])))


def _person() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # an account without a name, as in many containers
        return "unknown"


def _check_name(name: str) -> None:
    if not 1 <= len(name) <= _MAX_NAME:
        raise TenancyError(f"a name has 1 to {_MAX_NAME} characters")


def _uuid(text: str, what: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise TenancyError(f"{what} is a UUID") from None


def _tuple(values: list[str] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(values)
