"""What the same PostgreSQL commits when nothing else is asked of it: pgbench, from the server's own wheel.

`commits`: one row and a commit; `three_inserts`: three rows in one transaction, the least that a secret,
its version and an audit event need. Prepared statements, one statement after the other on each
connection, through the unix socket, with pgbench in a process of its own. Neither is a ceiling: they
commit one client's rows at a time, and a service that commits several clients' rows together can be above
them.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

import psycopg

from cli.local.binaries import readable_installation

GRACE_SECONDS: Final = 30.0
_ROW: Final = "values (gen_random_uuid(), gen_random_uuid(), decode(repeat('5a', 300), 'hex'));\n"

SCRIPTS: Final = {
    "commits": f"insert into benchmark.one {_ROW}",
    "three_inserts": "begin;\n"
    + "".join(f"insert into benchmark.{table} {_ROW}" for table in ("one", "two", "three"))
    + "commit;\n",
}
TABLE: Final = """
create table if not exists benchmark.{name} (
    tenant_id uuid not null, id uuid not null, payload bytea not null, primary key (tenant_id, id)
)
"""


class PgbenchError(Exception):
    """pgbench failed; its last words are the text."""


def prepare(dsn: str) -> None:
    """Make the tables."""
    with psycopg.connect(dsn) as connection:
        connection.execute("create schema if not exists benchmark")
        for name in ("one", "two", "three"):
            connection.execute(TABLE.format(name=name).encode())


def rate(dsn: str, script: str, *, clients: int, seconds: int) -> float:
    """Transactions per second of a script of SCRIPTS. Raises PgbenchError."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(SCRIPTS[script])
        file.flush()
        arguments = {"--client": clients, "--jobs": 1, "--time": seconds, "--file": file.name}
        done = subprocess.run(
            [
                readable_installation(None) / "bin" / "pgbench",
                "--no-vacuum",
                "--protocol=prepared",
                *(f"{name}={value}" for name, value in arguments.items()),
            ],
            env=environment(dsn),
            capture_output=True,
            text=True,
            timeout=seconds + GRACE_SECONDS,
            check=False,
        )
    found = re.search(r"^tps = ([0-9.]+)", done.stdout, re.MULTILINE)
    if done.returncode != 0 or found is None:
        raise PgbenchError(done.stderr.strip()[-2000:])
    return float(found[1])


def environment(dsn: str) -> dict[str, str]:
    """libpq's variables of a URL: a password has no place on a command line."""
    url = urlsplit(dsn)
    host = parse_qs(url.query).get("host", [url.hostname or ""])[0]
    return {
        "PATH": os.defpath,
        "LC_ALL": "C",
        "PGHOST": host,
        "PGPORT": str(url.port or 5432),
        "PGUSER": unquote(url.username or ""),
        "PGPASSWORD": unquote(url.password or ""),
        "PGDATABASE": Path(url.path).name,
    }
