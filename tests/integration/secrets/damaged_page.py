"""A page of a table that the database cannot read, as after a fault of the disk."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psycopg

if TYPE_CHECKING:
    from tests.fixtures.database import TestDatabase

PAGE: Final = 8192
HEADER: Final = b"\xff" * 24
_FREE: Final = "select max(pg_relation_filenode(oid))::bigint + 1000 from pg_class"


def damage(database: TestDatabase, table: str, page: int) -> None:
    """Overwrite the header of a page on disk.

    The table goes on in a copy of its file: what the server holds of the old one in memory is not asked.
    """
    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        connection.execute("checkpoint")
        row = connection.execute(
            "select current_setting('data_directory'), pg_relation_filepath(%s)", (table,)
        ).fetchone()
        free = connection.execute(_FREE).fetchone()
        assert row is not None
        assert free is not None
        old = Path(row[0], row[1])
        for fork in ("", "_fsm", "_vm"):
            if (source := old.with_name(old.name + fork)).exists():
                copied = shutil.copy(source, old.with_name(f"{free[0]}{fork}"))
                os.chown(copied, source.stat().st_uid, source.stat().st_gid)
        with old.with_name(str(free[0])).open("r+b") as file:
            file.seek(page * PAGE)
            file.write(HEADER)
        connection.execute("set allow_system_table_mods = on")
        connection.execute(
            "update pg_class set relfilenode = %s where oid = %s::regclass", (free[0], table)
        )
