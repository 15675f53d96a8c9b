"""The one way to PostgreSQL: a pool, and transactions that are held to a tenant.

Nothing foreign leaves: what the driver raises becomes `UnavailableError` or `DeadlineError`, except the
conditions a store asks for by SQLSTATE (`psycopg.errors`), which a store must catch itself.
"""

from __future__ import annotations

import contextlib
import ipaddress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout

from services.common.errors import DeadlineError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from uuid import UUID

Connection = psycopg.AsyncConnection[tuple[Any, ...]]

KEY_VERSION_NOT_ACTIVE: Final = "CF001"
"""SQLSTATE of `kms.hold_active` for a version that is not active."""
LEASE_REFUSED: Final = "CF002"
"""SQLSTATE of `rewrap.record_batch` for a wrong fence, state or cursor."""

_LOCAL: Final = ("localhost", "127.0.0.1", "::1")
PATIENCE: Final[dict[str, Any]] = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
"""How every connection of ours finds out that its packets are lost, in seconds, the last in milliseconds: the
kernel's own limits are a quarter of an hour and more. PostgreSQL's documentation, 34.1.2; on TCP only."""
_POOL_TIMEOUT_SECONDS: Final = 10.0
LOOK: Final = """
select set_config('coffer.tenant_id', %s, true),
    set_config('plan_cache_mode', 'force_custom_plan', true)
"""
"""How a transaction of `Database.looking` begins."""
LOCK_SECONDS: Final = 2.0
"""What a change of one tenant waits for a lock: all that time it keeps others from a connection."""


class InsecureDatabaseUrlError(ValueError):
    """A database on another host without `sslmode=verify-full`, or one that is not named. The text names no
    password.
    """


def require_secure(dsn: str) -> str:
    """The same database, if it is loopback, a socket, or reached by verified TLS.

    Whatever PGHOST, PGHOSTADDR or PGSERVICE say: where to connect is what `dsn` itself says. Raises
    InsecureDatabaseUrlError.
    """
    parts = {name: str(value) for name, value in conninfo_to_dict(dsn).items()}
    if "service" in parts:
        raise InsecureDatabaseUrlError(
            "the database must be named by its host: a service file may say anything"
        )
    hosts = [host for host in parts.get("host", "").split(",") if host]
    if not hosts:
        raise InsecureDatabaseUrlError(
            "the database URL must name a host, or the folder of a socket with ?host=/..."
        )
    addresses = [one for one in parts.get("hostaddr", "").split(",") if one]
    remote = [
        *(host for host in hosts if host not in _LOCAL and not host.startswith("/")),
        *(address for address in addresses if not _is_loopback(address)),
    ]
    if remote and parts.get("sslmode") != "verify-full":
        raise InsecureDatabaseUrlError(
            f"the database on {remote[0]} must be reached with sslmode=verify-full"
        )
    # An address from the environment, or of a service from there, would count more than the host.
    return make_conninfo(dsn, hostaddr=parts.get("hostaddr", ""))


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def sqlalchemy_url(dsn: str) -> str:
    """The same database for SQLAlchemy: `postgresql://...` through psycopg 3."""
    require_secure(dsn)
    parts = urlsplit(dsn)
    if parts.scheme not in {"postgresql", "postgres"}:
        raise ValueError("a database URL begins with postgresql://")
    query = urlencode(parse_qsl(parts.query))
    return urlunsplit(("postgresql+psycopg", parts.netloc, parts.path, query, ""))


def _in_utc(dsn: str) -> str:
    """The same database, with times in UTC whatever the server's default: a date at the end of the calendar
    must not leave it by an offset.
    """
    options = conninfo_to_dict(dsn).get("options") or ""
    return make_conninfo(dsn, options=f"{options} -c timezone=UTC".strip())


class Database:
    """A pool of connections under one login role. Construction does no I/O."""

    def __init__(self, dsn: str, *, name: str, max_connections: int = 16) -> None:
        """`name` is shown in `pg_stat_activity`. Raises InsecureDatabaseUrlError."""
        self.max_connections = max_connections
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            _in_utc(require_secure(dsn)),
            min_size=1,
            max_size=max_connections,
            timeout=_POOL_TIMEOUT_SECONDS,
            kwargs={
                "application_name": name,
                **PATIENCE,
                "prepare_threshold": 1,
                # Transactions are begun by `transaction` alone; a single read needs none.
                "autocommit": True,
            },
            check=None,
            open=False,
            name=name,
        )

    async def open(self) -> None:
        """Start the pool; does not wait for the database to answer."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close()

    async def ping(self) -> bool:
        """Whether the database answers now."""
        try:
            async with self.transaction() as connection:
                await connection.execute("select 1")
        except (UnavailableError, DeadlineError):
            return False
        return True

    async def rows(self, query: str, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
        """The rows of one reading statement without a tenant, in one round trip. Raises as `transaction`.

        Tried once more where the connection was dead: so never for a statement that writes.
        """
        with translated():
            try:
                return await self._rows(query, parameters)
            except PoolTimeout:
                raise
            except psycopg.OperationalError:
                await self._pool.check()
                return await self._rows(query, parameters)

    async def write(self, query: str, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
        """The rows of one writing statement without a tenant, a transaction of its own, in one round trip.

        Sent once: raises UnavailableError where it may or may not have been done. Raises as `transaction`.
        """
        with translated():
            return await self._rows(query, parameters)

    async def _rows(self, query: str, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(query.encode(), parameters, prepare=True)
            return await cursor.fetchall()

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A transaction without a tenant: row-level security shows it no tenant's rows.

        Commits when the block ends, rolls back when it raises. Raises UnavailableError when the database
        cannot be reached (what was in flight may or may not be committed) and DeadlineError when a
        statement or lock took too long (rolled back).
        """
        with translated():
            async with contextlib.AsyncExitStack() as block:
                yield await self._begin(block)

    @contextlib.asynccontextmanager
    async def looking(self, tenant_id: UUID) -> AsyncIterator[Connection]:
        """As `tenant`, for lists: each statement is planned for what this tenant has.

        The one plan that the services' roles keep for all (`migrations.runner.PLANS`) takes every tenant for
        one of average size, and sorts all that a big one has where an index has the order.
        """
        async with self.transaction() as connection:
            await connection.execute(LOOK, (str(tenant_id),))
            yield connection

    @contextlib.asynccontextmanager
    async def tenant(self, tenant_id: UUID) -> AsyncIterator[Connection]:
        """A transaction held to one tenant's rows by row-level security. Raises as `transaction`."""
        async with self.transaction() as connection:
            await connection.execute(
                "select set_config('coffer.tenant_id', %s, true)", (str(tenant_id),)
            )
            yield connection

    @contextlib.asynccontextmanager
    async def change(self, tenant_id: UUID) -> AsyncIterator[Connection]:
        """As `tenant`, for what changes rows that others may hold.

        Waits LOCK_SECONDS for each lock, then raises UnavailableError; nothing was changed.
        """
        async with self.transaction() as connection:
            await connection.execute(
                "select set_config('coffer.tenant_id', %s, true),"
                " set_config('lock_timeout', %s, true)",
                (str(tenant_id), f"{LOCK_SECONDS * 1000:.0f}ms"),
            )
            try:
                yield connection
            except psycopg.errors.LockNotAvailable as error:
                raise UnavailableError(
                    "Others are changing the same: nothing was changed, try again."
                ) from error

    async def _begin(self, block: contextlib.AsyncExitStack) -> Connection:
        """A connection in a transaction that ends with `block`.

        After a restart of the database the pool is full of dead connections. BEGIN finds that out before
        anything was done, so it is tried once more on a connection that was checked.
        """
        try:
            return await self._begin_once(block)
        except PoolTimeout:
            raise  # an OperationalError too, but nothing is dead: all connections are in use
        except psycopg.OperationalError:
            await self._pool.check()
            return await self._begin_once(block)

    async def _begin_once(self, block: contextlib.AsyncExitStack) -> Connection:
        async with contextlib.AsyncExitStack() as attempt:
            connection = await attempt.enter_async_context(self._pool.connection())
            await attempt.enter_async_context(connection.transaction())
            await block.enter_async_context(attempt.pop_all())
            return connection


@contextlib.contextmanager
def translated() -> Any:
    """Turn the driver's faults of connection and time into ours."""
    try:
        yield
    except (psycopg.errors.QueryCanceled, psycopg.errors.LockNotAvailable) as error:
        raise DeadlineError from error
    except (psycopg.OperationalError, PoolTimeout, PoolClosed) as error:
        raise UnavailableError from error
