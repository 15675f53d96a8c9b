"""Bring a database to this release: roles, schemas, every component's revisions, the task queue.

Any part may run twice; what is there is left as it is. Two runs at once wait for each other.

Whoever waits for a table keeps all who come later from it, the previous release among them, also where it
waits only for somebody who reads. So each part waits for a lock for a moment only, and begins anew after a
pause: a revision that does not finish leaves nothing, or what it may do again.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psycopg
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from procrastinate import schema as queue_schema
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from services.common.database import require_secure, sqlalchemy_url

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

COMPONENTS: Final = ("common", "kms", "secrets", "rewrap")
SCHEMAS: Final = ("tenancy", "audit", "kms", "secrets", "rewrap")
QUEUE_SCHEMA: Final = "procrastinate"
LOGIN_ROLES: Final = (
    "coffer_kms",
    "coffer_secrets",
    "coffer_secrets_purge",
    "coffer_rewrap",
    "coffer_rewrap_dispatch",
    "coffer_queue",
    "coffer_cli",
)
BOUNDS: Final = (
    "statement_timeout = '15s'",
    "lock_timeout = '10s'",
    "idle_in_transaction_session_timeout = '30s'",
)
"""For whatever a service forgets to bound itself."""
PLANNED_ROLES: Final = ("coffer_kms", "coffer_secrets", "coffer_secrets_purge", "coffer_rewrap")
PLANS: Final = (
    "plan_cache_mode = force_generic_plan",
    "enable_seqscan = off",
    "enable_hashjoin = off",
    "enable_mergejoin = off",
)
"""The statements of the services are constant, prepared look-ups by keys that begin with the tenant: one
plan, made once, that walks indexes, is right whatever the statistics say. Planning the read of a value
anew at each call took ten times as long as reading it, and a plan made for an empty table scans it when it
is full. `off` is a preference: where there is no index, the table is scanned all the same.
"""
_ONE_AT_A_TIME: Final = 0x434F464652  # "COFFR", the key of the advisory lock that migrations hold
_TURN_SECONDS: Final = 0.2
_HELD: Final = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)
LOCK_SECONDS: Final = 1.0
"""For so long a statement waits for a lock, and others for it."""
PAUSE_SECONDS: Final = 2.0
"""In which they have their turn."""
PATIENCE_SECONDS: Final = 1800.0
"""For so long a part is begun anew."""
_SERVICES: Final = Path(__file__).resolve().parents[2]


def migrate(admin_dsn: str, passwords: Mapping[str, str]) -> list[str]:
    """Migrate the database at `admin_dsn`; returns a line for each thing done.

    The administrator must be a superuser or be able to create roles and schemas. `passwords` maps
    login roles to passwords; a role without one keeps what it has (and cannot log in if new).
    Raises sqlalchemy.exc.DBAPIError when the database refuses, or somebody holds what is to be changed for
    longer than PATIENCE_SECONDS; what was committed until then stays.
    """
    engine = _engine(admin_dsn)
    try:
        with engine.connect() as guard:
            _take_turn(guard)
            return [
                *_patiently(lambda: _ensure_roles(engine, passwords)),
                *_patiently(lambda: _ensure_schemas(engine)),
                *(line for name in COMPONENTS for line in _upgrade(engine, name)),
                *_patiently(lambda: _ensure_queue(engine)),
            ]
    finally:
        engine.dispose()


def _engine(admin_dsn: str) -> sa.Engine:
    dsn = require_secure(admin_dsn)
    given = conninfo_to_dict(dsn).get("options") or ""
    options = f"{given} -c lock_timeout={LOCK_SECONDS * 1000:.0f}ms".strip()
    return sa.create_engine(
        sqlalchemy_url(admin_dsn),
        poolclass=sa.NullPool,
        # The URL's way through SQLAlchemy loses what is said to be empty.
        creator=lambda: psycopg.connect(dsn, options=options),
    )


def _patiently(part: Callable[[], list[str]]) -> list[str]:
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return part()
        except sa.exc.DBAPIError as error:
            if not isinstance(error.orig, _HELD) or time.monotonic() >= give_up_at:
                raise
        time.sleep(PAUSE_SECONDS)


def _take_turn(guard: sa.Connection) -> None:
    """Hold the lock until `guard` is closed.

    Neither waiting nor holding it may keep a snapshot: an index that is made concurrently would wait for
    that, and we for the index.
    """
    guard.execution_options(isolation_level="AUTOCOMMIT")
    query = sa.text("select pg_try_advisory_lock(:key)")
    while not guard.execute(query, {"key": _ONE_AT_A_TIME}).scalar():
        time.sleep(_TURN_SECONDS)


def revisions(engine: sa.Engine) -> dict[str, str | None]:
    """The revision each component's schema is at, None where it has none yet."""
    found: dict[str, str | None] = {}
    with engine.connect() as connection:
        for component in COMPONENTS:
            table = f"{_version_schema(component)}.schema_revision"
            exists = connection.execute(sa.text("select to_regclass(:t)"), {"t": table}).scalar()
            query = sa.text(f"select version_num from {table}")  # noqa: S608 - a constant
            found[component] = connection.execute(query).scalar() if exists else None
    return found


def _version_schema(component: str) -> str:
    return "tenancy" if component == "common" else component


def _upgrade(engine: sa.Engine, component: str) -> list[str]:
    before = revisions(engine)[component]
    _patiently(lambda: _run_revisions(engine, component))
    after = revisions(engine)[component]
    return [] if before == after else [f"{component}: {before or 'empty'} -> {after}"]


def _run_revisions(engine: sa.Engine, component: str) -> list[str]:
    config = Config()
    config.set_main_option("script_location", str(_SERVICES / component / "migrations"))
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        config.attributes["schema"] = _version_schema(component)
        command.upgrade(config, "head")
        connection.commit()
    return []


def _ensure_roles(engine: sa.Engine, passwords: Mapping[str, str]) -> list[str]:
    done = []
    with engine.begin() as connection:
        present = set(connection.execute(sa.text("select rolname from pg_roles")).scalars())
        for role in ("coffer_owner", "coffer_functions", *LOGIN_ROLES):
            login = "login" if role in LOGIN_ROLES else "nologin"
            if role not in present:
                connection.exec_driver_sql(
                    f"create role {role} {login} nosuperuser nocreatedb nocreaterole nobypassrls"
                )
                done.append(f"role {role}")
        for role in ("coffer_owner", "coffer_functions", "coffer_queue", "coffer_cli"):
            connection.exec_driver_sql(f"grant {role} to current_user")
        for role in LOGIN_ROLES:
            for setting in (*BOUNDS, *(PLANS if role in PLANNED_ROLES else ())):
                connection.exec_driver_sql(f"alter role {role} set {setting}")
        for role, password in passwords.items():
            if role not in LOGIN_ROLES:
                raise ValueError(f"no such login role: {role}")
            # A literal composed by the driver: ALTER ROLE takes no bound parameter.
            statement = sql.SQL("alter role {} password {}").format(
                sql.Identifier(role), sql.Literal(password)
            )
            _driver(connection).execute(statement)
    return done


def _driver(connection: sa.Connection) -> psycopg.Connection[object]:
    """psycopg's own connection, for what cannot go through SQLAlchemy: scripts and composed SQL."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    return driver


def _ensure_schemas(engine: sa.Engine) -> list[str]:
    done = []
    with engine.begin() as connection:
        for schema in SCHEMAS:
            if not connection.execute(
                sa.text("select to_regnamespace(:s)"), {"s": schema}
            ).scalar():
                connection.exec_driver_sql(f"create schema {schema} authorization coffer_owner")
                done.append(f"schema {schema}")
            connection.exec_driver_sql(
                f"grant usage, create on schema {schema} to coffer_functions"
            )
    return done


def _ensure_queue(engine: sa.Engine) -> list[str]:
    """Procrastinate's own tables, as its own role in its own schema: they hold no tenant data."""
    with engine.begin() as connection:
        table = f"{QUEUE_SCHEMA}.procrastinate_jobs"
        if connection.execute(sa.text("select to_regclass(:t)"), {"t": table}).scalar():
            return []
        connection.exec_driver_sql(
            f"create schema if not exists {QUEUE_SCHEMA} authorization coffer_queue"
        )
        connection.exec_driver_sql("set local role coffer_queue")
        connection.exec_driver_sql(f"set local search_path = {QUEUE_SCHEMA}")
        _driver(connection).execute(queue_schema.SchemaManager.get_schema().encode())
    return [f"schema {QUEUE_SCHEMA}"]
