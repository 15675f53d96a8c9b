"""What moving a data key costs the database, as docs/rewrap.md tells those who size one.

What would go wrong unnoticed: an index on what changes, or pages without room, and each key writes three
times as much, the table grows with every rotation, and replicas lag.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.crash.rewrap.holdings import new_holdings
from tests.fixtures.eventually import eventually

if TYPE_CHECKING:
    from tests.fixtures.stack import RunningStack

pytestmark = pytest.mark.slow

KEYS = 5_000
WAL_BYTES = 400
"""For a key, without full pages, and for all else that happens meanwhile: about 205 for itself."""
ROTATIONS = 3
_WRITES = """
select n_tup_upd, n_tup_hot_upd, pg_table_size(relid), pg_indexes_size(relid),
    (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint
from pg_stat_user_tables where relid = 'secrets.data_key'::regclass
"""


def test_a_key_is_one_write_in_its_page_and_the_table_does_not_grow(stack: RunningStack) -> None:
    holdings = new_holdings(stack, KEYS)
    stack.at_rest()
    ((updated, hot, table, indexes, wal),) = stack.rows(_WRITES)
    for _ in range(ROTATIONS):
        lease = holdings.user.ended_lease(holdings.user.rotate()["rewrap_lease_id"])
        assert (lease["state"], lease["done"]) == ("completed", KEYS)
    ((*_, table_now, indexes_now, wal_now),) = stack.rows(_WRITES)
    assert (wal_now - wal) / (ROTATIONS * KEYS) < WAL_BYTES
    assert table_now - table < table // 10
    assert indexes_now == indexes

    def counted() -> tuple[int, int] | None:  # each connection tells its counts a second later
        ((all_now, hot_now, *_),) = stack.rows(_WRITES)
        return (all_now, hot_now) if all_now - updated >= ROTATIONS * KEYS else None

    all_now, hot_now = eventually(counted, "the writes are counted")
    # All of them but where an older snapshot keeps what is dead in a page.
    assert hot_now - hot >= 0.9 * (all_now - updated)
