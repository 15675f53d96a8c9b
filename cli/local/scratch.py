"""Places and databases for tests, benchmarks and the demo: short-lived, gone afterwards."""

import contextlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cli.local.directory import PASSABLE
from cli.local.files import private_folder
from cli.local.postgres import Postgres
from cli.local.records import ProcessRecords
from cli.local.supervisor import Event, Supervisor


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder below the system's temporary one that a database started by root can live in.

    pytest's tmp_path cannot (0700). It is removed at the end with everything in it.
    """
    folder = Path(tempfile.mkdtemp(prefix="coffer-")).resolve()
    try:
        if os.geteuid() == 0:
            folder.chmod(PASSABLE)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class ScratchPostgres:
    """A supervised PostgreSQL of its own in a folder; a killed server comes back by itself."""

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        """`durable=True` for measurements (fsync on)."""
        self._folder = folder
        self._postgres = Postgres(folder / "pg", secrets.token_urlsafe(), durable=durable)
        records = ProcessRecords(folder / "run")
        self._supervisor = Supervisor(records, _ignore)

    @property
    def dsn(self) -> str:
        """The superuser's URL."""
        return self._postgres.dsn()

    def start(self) -> None:
        """Make the cluster and start the server. Raises LocalError."""
        private_folder(self._folder / "run")
        self._postgres.prepare()
        self._supervisor.start([self._postgres.spec(self._folder / "postgres.log")])

    def pid(self) -> int:
        """The postmaster's present pid."""
        return self._supervisor.pid("postgres")

    def wait_ready(self, *, other_than: int, seconds: float = 30) -> int:
        """Wait until a server with another pid accepts connections."""
        return self._supervisor.wait_ready("postgres", seconds, other_than=other_than)

    def stop(self) -> None:
        """Stop the server; the folder is the caller's to remove."""
        self._supervisor.stop()
        self._postgres.forget_socket()


@contextlib.contextmanager
def scratch_postgres(*, durable: bool = False) -> Iterator[ScratchPostgres]:
    """A running PostgreSQL in a scratch folder, both gone at the end."""
    with scratch_folder() as folder:
        server = ScratchPostgres(folder, durable=durable)
        try:
            server.start()
            yield server
        finally:
            server.stop()


def _ignore(event: Event) -> None:
    """Nobody listens."""
