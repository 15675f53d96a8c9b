"""Rewraps so slow that a test can act in the middle of one, on any machine."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fixtures.stack import RunningStack


_THROTTLE = """
create function rewrap.throttled() returns trigger language plpgsql as $$
begin
    new.throttle_per_second := {per_second};
    return new;
end $$;
create trigger throttled before insert on rewrap.lease for each row
    execute function rewrap.throttled();
"""
_NO_THROTTLE = "drop function rewrap.throttled() cascade"


@contextlib.contextmanager
def throttled(stack: RunningStack, per_second: int) -> Iterator[None]:
    """Every lease issued meanwhile is held to so many keys a second, before a worker can take it."""
    _run(stack, _THROTTLE.format(per_second=per_second))
    try:
        yield
    finally:
        _run(stack, _NO_THROTTLE)


def unthrottle(stack: RunningStack, lease_id: int) -> None:
    """What is left of the lease goes as fast as it can."""
    stack.execute(
        "update rewrap.lease set throttle_per_second = null where id = %(id)s", id=lease_id
    )


def _run(stack: RunningStack, statements: str) -> None:
    with psycopg.connect(stack.stack.admin_dsn) as connection:
        connection.execute(statements.encode())
