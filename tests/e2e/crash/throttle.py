"""Rewraps so slow that a test can act in the middle of one, on any machine."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fixtures.stack import RunningStack


@contextlib.contextmanager
def throttled(stack: RunningStack, per_second: int) -> Iterator[None]:
    """Every lease issued meanwhile is held to so many keys a second, before a worker can take it."""
    _set(stack, f"set default {per_second}")
    try:
        yield
    finally:
        _set(stack, "drop default")


def unthrottle(stack: RunningStack, lease_id: int) -> None:
    """What is left of the lease goes as fast as it can."""
    stack.execute(
        "update rewrap.lease set throttle_per_second = null where id = %(id)s", id=lease_id
    )


def _set(stack: RunningStack, what: str) -> None:
    with psycopg.connect(stack.stack.admin_dsn) as connection:
        connection.execute(f"alter table rewrap.lease alter throttle_per_second {what}".encode())
