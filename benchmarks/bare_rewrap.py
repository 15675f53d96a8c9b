"""The bare loop: read a batch, rewrap it, write it, commit; one process, one connection, no service.

The crypto is kms's own (`services.kms.keys.hierarchy.rewrap`), each new wrap opened and compared as kms does.
The table is a copy of secrets.data_key in the same database, with as many rows in the same physical order,
wrapped under master keys of the benchmark; no row-level security, no lease. Beside it LR (`sql_rewrap`).
"""

from __future__ import annotations

import hashlib
import os
import time
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import psycopg

from benchmarks import sql_rewrap
from benchmarks.children import answer, read_order
from services.common.envelope import DATA_KEY_BYTES, WRAPPED_DATA_KEY_BYTES
from services.kms.keys import hierarchy
from services.kms.keys.hierarchy import OpenMasterKey

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Connection = psycopg.Connection[tuple[Any, ...]]

BATCH: Final = 1_000
TABLES: Final = {"loop": "benchmark.data_key_loop", "sql": sql_rewrap.TABLE}
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


def master_key(tenant_id: UUID, version: int) -> OpenMasterKey:
    """A master key of the benchmark: worthless, and the same in every process."""
    return OpenMasterKey(
        hashlib.sha256(f"benchmark {version}".encode()).digest(), tenant_id, version
    )


def fill(dsn: str, tenant_id: UUID, ids: Sequence[UUID]) -> None:
    """Make both tables, with a fresh data key for each id in this order, wrapped under version 1."""
    wrap = master_key(tenant_id, 1).wrap
    tenants = {"loop": tenant_id, "sql": sql_rewrap.tenant_of(tenant_id)}
    with psycopg.connect(dsn) as connection:
        for name, table in TABLES.items():
            connection.execute(CREATE.format(table=table).encode())
            copy = f"copy {table} (tenant_id, id, key_version, wrapped) from stdin (format binary)"
            with connection.cursor().copy(copy.encode()) as rows:
                rows.set_types(["uuid", "uuid", "int8", "bytea"])
                for part in _parts(ids):
                    wrapped = wrap([(key_id.bytes, os.urandom(DATA_KEY_BYTES)) for key_id in part])
                    for key_id, form in zip(part, wrapped, strict=True):
                        rows.write_row((tenants[name], key_id, 1, form))
        sql_rewrap.prepare(connection, tenant_id)
    with psycopg.connect(dsn, autocommit=True) as connection:
        for table in TABLES.values():
            connection.execute(f"vacuum analyze {table}".encode())


def _parts(ids: Sequence[UUID]) -> Iterator[Sequence[UUID]]:
    for at in range(0, len(ids), BATCH):
        yield ids[at : at + BATCH]


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


def _rewrap(
    old: OpenMasterKey, new: OpenMasterKey, ids: Sequence[UUID], forms: Sequence[bytes]
) -> list[bytes]:
    packed = b"".join(key_id.bytes + form for key_id, form in zip(ids, forms, strict=True))
    wrapped, missed = hierarchy.rewrap(new, [old], packed)
    if missed:
        raise ValueError("a data key does not open")
    size = WRAPPED_DATA_KEY_BYTES
    return [wrapped[at : at + size] for at in range(0, len(wrapped), size)]


def in_sql(connection: Connection, tenant_id: UUID, target: int) -> int:
    """Move every row to `target` inside the server; returns how many."""
    return sql_rewrap.rewrap(connection, tenant_id, target, BATCH)


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
