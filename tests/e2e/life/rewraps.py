"""Rewraps of one tenant that get nowhere, so that a test can look at what is before their end."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fixtures.tenant_user import TenantUser


@contextlib.contextmanager
def rewraps_held(tenant: TenantUser) -> Iterator[None]:
    """Nobody can swap a stored data key of the tenant meanwhile; to be held for moments only."""
    with psycopg.connect(tenant.stack.stack.admin_dsn) as connection:
        connection.execute(
            "select from secrets.data_key where tenant_id = %s for update", (tenant.id,)
        )
        yield
        connection.rollback()
