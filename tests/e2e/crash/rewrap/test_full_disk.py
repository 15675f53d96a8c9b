"""No space left on the database's device, in the middle of a rewrap's transactions."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.e2e.crash.rewrap.holdings import PATIENCE_SECONDS, new_holdings
from tests.fixtures.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.stack import FaultyStack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

KEYS = 2_000
FULL = Path("/dev/full")
MESSAGE = "No space left on device"
SINCE_WHICH_BATCH = 5

_TRIGGER = """
create function full_disk() returns trigger language plpgsql security definer as $$
begin
    if nextval('full_disk_at') > {after} then
        insert into full_disk values (1);
    end if;
    return new;
end $$;
create trigger full_disk before update on {table} for each row
    when (new.tenant_id = '{tenant}') execute function full_disk();
"""


@contextlib.contextmanager
def full_disk(faulty: FaultyStack, tenant: str, table: str, after: int) -> Iterator[None]:
    """After so many updates, each one of the tenant's rows in `table` needs a page that the device refuses.

    The kernel itself says so: the page is one of a table whose file leads to /dev/full.
    """
    with psycopg.connect(faulty.running.stack.admin_dsn, autocommit=True) as connection:
        connection.execute("create table full_disk (x int)")
        connection.execute("create sequence full_disk_at")
        file = _file_of(connection)
        file.unlink()
        file.symlink_to(FULL)
        connection.execute(_TRIGGER.format(table=table, tenant=tenant, after=after).encode())
        try:
            yield
        finally:
            connection.execute(f"drop trigger full_disk on {table}".encode())
            connection.execute(
                "drop function full_disk; drop table full_disk; drop sequence full_disk_at"
            )


def _file_of(connection: psycopg.Connection[tuple[str, ...]]) -> Path:
    row = connection.execute(
        "select current_setting('data_directory'), pg_relation_filepath('full_disk')"
    ).fetchone()
    assert row is not None
    return Path(*row)


@pytest.mark.skipif(not FULL.exists(), reason="this system has no device that is always full")
@pytest.mark.parametrize(
    ("table", "after"), [("secrets.data_key", 500), ("rewrap.lease", SINCE_WHICH_BATCH)]
)
def test_a_full_disk_stops_a_rewrap_and_space_lets_it_go_on(
    faulty: FaultyStack, table: str, after: int
) -> None:
    holdings = new_holdings(faulty.running, KEYS)
    log = faulty.running.stack.log_file("postgres")
    before = log.read_text().count(MESSAGE)
    with full_disk(faulty, holdings.user.id, table, after):
        lease_id = holdings.user.rotate()["rewrap_lease_id"]
        eventually(
            lambda: log.read_text().count(MESSAGE) > before + 3,
            "the database runs out of space",
            seconds=PATIENCE_SECONDS,
        )
        row = holdings.lease_row(lease_id)
        assert row is not None
        assert row["failed"] == 0
        assert row["done"] < KEYS, "the disk was full too late to matter"
        assert holdings.versions().get(row["target_version"], 0) == row["done"]
        holdings.assert_opens(every=20)
    holdings.assert_completed(lease_id)
