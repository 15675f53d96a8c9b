"""The bare loop: read a batch, rewrap it, write it, commit; one process, one connection, no service.

The crypto is kms's own (`services.kms.keys.hierarchy`), each new wrap opened and compared as kms does. The
table is a copy of secrets.data_key in the same database, with as many rows, wrapped under master keys of
the benchmark. As the limit of the limit, `sql` moves the same rows in the same batches with nothing
leaving the server and no crypto at all.
"""

from __future__ import annotations

import hashlib
import os
import time
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import psycopg

from benchmarks.children import answer, read_order
from services.common.envelope import DATA_KEY_BYTES
from services.kms.keys.hierarchy import OpenMasterKey

if TYPE_CHECKING:
    from collections.abc import Sequence

    Connection = psycopg.Connection[tuple[Any, ...]]

BATCH: Final = 1_000
TABLES: Final = {"loop": "benchmark.data_key_loop", "sql": "benchmark.data_key_sql"}
FIRST: Final = UUID(int=0)

CREATE: Final = """
create schema if not exists benchmark;
drop table if exists {table};
create table {table} (like secrets.data_key including all) with (fillfactor = 50);
"""
READ: Final = """
select id, wrapped from {table} where tenant_id = %s and id > %s and key_version <> %s
order by id limit %s
"""
WRITE: Final = """
update {table} d set wrapped = n.wrapped, key_version = %s
from unnest(%s::uuid[], %s::bytea[], %s::bytea[]) n (id, old, wrapped)
where d.tenant_id = %s and d.id = n.id and d.wrapped = n.old
"""
IN_SQL: Final = """
with batch as (
    select id from {table} where tenant_id = %s and id > %s and key_version <> %s
    order by id limit %s
), moved as (
    update {table} d set key_version = %s, wrapped = overlay(d.wrapped placing sha256(d.wrapped) from 21)
    from batch b where d.tenant_id = %s and d.id = b.id returning d.id
)
select (select count(*) from moved), (select id from batch order by id desc limit 1)
"""


def master_key(tenant_id: UUID, version: int) -> OpenMasterKey:
    """A master key of the benchmark: worthless, and the same in every process."""
    return OpenMasterKey(
        hashlib.sha256(f"benchmark {version}".encode()).digest(), tenant_id, version
    )


def fill(dsn: str, tenant_id: UUID, ids: Sequence[UUID]) -> None:
    """Make both tables, with a fresh data key for each id, wrapped under version 1."""
    wrap = master_key(tenant_id, 1).wrap
    wrapped = wrap([(key_id.bytes, os.urandom(DATA_KEY_BYTES)) for key_id in ids])
    with psycopg.connect(dsn) as connection:
        for table in TABLES.values():
            connection.execute(CREATE.format(table=table).encode())
            copy = f"copy {table} (tenant_id, id, key_version, wrapped) from stdin"
            with connection.cursor().copy(copy.encode()) as rows:
                for key_id, form in zip(ids, wrapped, strict=True):
                    rows.write_row((tenant_id, key_id, 1, form))


def loop(connection: Connection, tenant_id: UUID, target: int) -> int:
    """Move every row from version `target - 1` to `target`; returns how many."""
    old, new = master_key(tenant_id, target - 1), master_key(tenant_id, target)
    read, write = (sql.format(table=TABLES["loop"]).encode() for sql in (READ, WRITE))
    after, moved = FIRST, 0
    while True:
        with connection.transaction():
            rows = connection.execute(
                read, (tenant_id, after, target, BATCH), prepare=True, binary=True
            ).fetchall()
            if not rows:
                return moved
            ids = [row[0] for row in rows]
            forms = [row[1] for row in rows]
            fresh = _rewrap(old, new, ids, forms)
            done = connection.execute(
                write, (target, ids, forms, fresh, tenant_id), prepare=True, binary=True
            )
            moved += done.rowcount
            after = ids[-1]


def in_sql(connection: Connection, tenant_id: UUID, target: int) -> int:
    """Move every row to `target` inside the server; returns how many."""
    statement = IN_SQL.format(table=TABLES["sql"]).encode()
    after, moved = FIRST, 0
    while True:
        with connection.transaction():
            row = connection.execute(
                statement, (tenant_id, after, target, BATCH, target, tenant_id), prepare=True
            ).fetchone()
        if row is None or not row[0]:
            return moved
        moved += row[0]
        after = row[1]


def _rewrap(
    old: OpenMasterKey, new: OpenMasterKey, ids: Sequence[UUID], forms: Sequence[bytes]
) -> list[bytes]:
    plain = [
        (key_id.bytes, old.unwrap(key_id.bytes, form))
        for key_id, form in zip(ids, forms, strict=True)
    ]
    fresh = new.wrap(plain)
    for (key_id, data_key), form in zip(plain, fresh, strict=True):
        if new.unwrap(key_id, form) != data_key:
            raise ValueError("a new wrap does not open")
    return fresh


def run(order: dict[str, Any]) -> dict[str, Any]:
    """Both ways once; rows per second of each."""
    tenant_id, target = UUID(order["tenant_id"]), int(order["target"])
    rates: dict[str, Any] = {}
    with psycopg.connect(order["dsn"], autocommit=True) as connection:
        for name, move in (("loop", loop), ("sql", in_sql)):
            began = time.perf_counter()
            moved = move(connection, tenant_id, target)
            rates[name] = moved / (time.perf_counter() - began)
            rates[f"{name}_moved"] = moved
    return rates


if __name__ == "__main__":
    answer(run(read_order()))
