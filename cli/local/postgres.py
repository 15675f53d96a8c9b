"""A real PostgreSQL for one data directory: private cluster, unix socket only, scram.

What is promised: a committed row survives `kill -9` of any of its processes; with `durable` also a
crash of the machine. Nothing listens on TCP, no account is made, no folder outside the data
directory changes its mode. As root the server runs as an existing unprivileged account.
What is not: TLS (the wheel has none), replication, upgrades between major versions.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg

from cli.local.account import Account, database_account
from cli.local.binaries import readable_installation
from cli.local.children import ChildSpec
from cli.local.errors import LocalError
from cli.local.files import sync_folder, write_private
from cli.local.records import end
from cli.local.sockets import SocketFolder
from services.common.database import require_secure

SUPERUSER = "postgres"
DATABASE = "postgres"
CLUSTER = "data"
LEFTOVER_SECONDS = 5.0
CONNECT_SECONDS = 2
FIRST_ATTEMPTS = 5

SETTINGS = {
    "listen_addresses": "",
    "shared_buffers": "256MB",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",  # short statements only: planning a compilation costs more than it saves
    # A failed statement could hold a password (ALTER ROLE) or a value; the log may not.
    "log_min_error_statement": "panic",
    "log_parameter_max_length": "0",
    "log_error_verbosity": "terse",
}
NOT_DURABLE = {"fsync": "off", "full_page_writes": "off"}
"""For tests: faster, and a killed process still loses nothing. synchronous_commit=off would."""


@dataclass(frozen=True, slots=True)
class Accepting:
    """Ready when the server answers a connection."""

    dsn: str = field(repr=False)

    def arm(self) -> None:
        """Nothing to forget: a dead server does not answer."""

    def is_ready(self, pid: int) -> bool:  # noqa: ARG002 - the socket is this server's alone
        """Whether a superuser can connect now."""
        try:
            psycopg.connect(require_secure(self.dsn), connect_timeout=CONNECT_SECONDS).close()
        except psycopg.OperationalError:
            return False
        return True


class Postgres:
    """The cluster below `folder`. The superuser's password must stay the same for its life."""

    def __init__(self, folder: Path, password: str, *, durable: bool = True) -> None:
        """Does nothing yet. `folder` is resolved, and made at `prepare`."""
        self._folder = folder.absolute()
        self._socket = SocketFolder(self._folder)
        self._password = password
        self._durable = durable

    @property
    def cluster(self) -> Path:
        """PGDATA."""
        return self._folder / CLUSTER

    @staticmethod
    def exists_in(folder: Path) -> bool:
        """Whether a whole cluster is there (a broken-off initdb leaves none)."""
        return (folder / CLUSTER / "PG_VERSION").exists()

    def dsn(self, user: str = SUPERUSER, password: str | None = None) -> str:
        """The URL by which `user` (default: the superuser) reaches the server on this machine."""
        secret = quote(self._password if password is None else password, safe="")
        host = quote(str(self._socket.path), safe="/")
        return f"postgresql://{user}:{secret}@/{DATABASE}?host={host}"

    def prepare(self) -> None:
        """Make the cluster if there is none, and its socket folder.

        Raises NotPassableError where root has put it below a folder that the server's account
        cannot pass, LocalError when initdb fails.
        """
        account = database_account(self.cluster)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._folder.chmod(0o700 if account is None else 0o711)
        if account is not None:
            account.require_reach(self.cluster)
        for broken_off in self._folder.glob("init-*"):
            shutil.rmtree(broken_off)
        if not self.exists_in(self._folder):
            self._initialise(account)
        self._socket.ensure(account)

    def spec(self, log_file: Path) -> ChildSpec:
        """The server as a supervised child; call it after `prepare`."""
        account = database_account(self.cluster)
        settings = SETTINGS | {"unix_socket_directories": str(self._socket.path)}
        settings |= {} if self._durable else NOT_DURABLE
        server = readable_installation(account) / "bin" / "postgres"
        return ChildSpec(
            name="postgres",
            argv=(
                str(server),
                "-D",
                str(self.cluster),
                *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")),
            ),
            env={"PATH": os.defpath, "LC_ALL": "C"},
            log_file=log_file,
            readiness=Accepting(self.dsn()),
            stop_signal=signal.SIGINT,  # "fast": ends sessions, checkpoints
            first_attempts=FIRST_ATTEMPTS,  # a killed one's memory may be held for an instant
            account=account,
            prepare=self.end_leftovers,
        )

    def end_leftovers(self) -> None:
        """End server processes of this cluster that outlived their supervisor or postmaster.

        Known by name and working folder, which for PostgreSQL is the cluster. Also removes the
        pid file, whose number may belong to somebody else by now. Only for the cluster's owner:
        the supervisor that holds the directory's lock and has no server running.
        """
        pid_file = self.cluster / "postmaster.pid"
        with contextlib.suppress(OSError, ValueError, IndexError):
            postmaster = int(pid_file.read_text().split()[0])
            for process in self._processes():
                if process.pid == postmaster:
                    end(process, signal.SIGINT, LEFTOVER_SECONDS)
        for process in self._processes():
            end(process, signal.SIGKILL, LEFTOVER_SECONDS)
        pid_file.unlink(missing_ok=True)

    def forget_socket(self) -> None:
        """After a clean stop: remove a socket folder that is not below the data directory."""
        self._socket.remove()

    def _initialise(self, account: Account | None) -> None:
        # Made under another name and renamed when whole: initdb writes PG_VERSION early.
        work = Path(tempfile.mkdtemp(prefix="init-", dir=self._folder))
        try:
            password_file = work / "password"
            write_private(password_file, self._password)
            if account is not None:
                for path in (work, password_file):
                    os.chown(path, account.uid, account.gid)
            self._run_initdb(work / CLUSTER, password_file, account)
            (work / CLUSTER).rename(self.cluster)
            sync_folder(self._folder)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _run_initdb(self, data: Path, password_file: Path, account: Account | None) -> None:
        initdb = readable_installation(account) / "bin" / "initdb"
        flags = [] if self._durable else ["--no-sync"]
        done = subprocess.run(  # noqa: S603 - a binary of the wheel, arguments of ours
            [
                str(initdb),
                f"--pgdata={data}",
                f"--username={SUPERUSER}",
                f"--pwfile={password_file}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                *flags,
            ],
            env={"PATH": os.defpath, "LC_ALL": "C"},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            user=None if account is None else account.uid,
            group=None if account is None else account.gid,
            extra_groups=None if account is None else [],
        )
        if done.returncode != 0:
            raise LocalError(f"initdb failed:\n{done.stdout.decode(errors='replace').strip()}")

    def _processes(self) -> list[psutil.Process]:
        found = []
        cluster = str(self.cluster.resolve())
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.name() == "postgres" and process.cwd() == cluster:
                    found.append(process)
        return found
