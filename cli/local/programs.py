"""What a stack is composed of in the product: the programs, the migrations, the tenant registry."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import psycopg

from cli.local.demo_tenant import Tenancy
from cli.local.errors import LocalError
from cli.local.services import product_programs

Migrate = Callable[[str, Mapping[str, str]], object]


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts a stack runs.

    `argv` has the programs of kms, secrets, rewrap, gateway and devcloud; `migrate` is given the
    administrator's URL and the login roles' passwords; `roles` are those login roles.
    """

    argv: Mapping[str, tuple[str, ...]]
    migrate: Migrate
    roles: tuple[str, ...]
    tenancy: Tenancy


def product_parts() -> Parts:
    """The real ones. They are imported here, so that `coffer --help` does not wait for them."""
    from cli import tenancy  # noqa: PLC0415
    from services.common.migrations import runner  # noqa: PLC0415

    return Parts(product_programs(), runner.migrate, runner.LOGIN_ROLES, tenancy)


@contextlib.contextmanager
def database_faults() -> Iterator[None]:
    """Turn what goes wrong while a database is prepared into a LocalError.

    Only the server's primary message is shown: a whole error repeats its statement, and a
    statement may hold a password.
    """
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415

    from cli.tenancy import TenancyError  # noqa: PLC0415

    try:
        yield
    except TenancyError as error:
        raise LocalError(f"the tenant demo could not be made: {error}") from None
    except (DBAPIError, psycopg.Error) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        told = cause.diag.message_primary if isinstance(cause, psycopg.Error) else None
        kind = type(cause).__name__
        raise LocalError(f"the database could not be prepared: {told or kind}") from None
