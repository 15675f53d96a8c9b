"""The data directory: its layout, and the lock that lets one supervisor at a time use it."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cli.local.errors import AlreadyRunningError, DataDirectoryError
from cli.local.files import PRIVATE_FILE, private_folder

PASSABLE = 0o711
LOCK_NAME = "supervisor.lock"


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """Where everything of one local stack lives. Naming a path creates nothing."""

    root: Path

    @property
    def lock_file(self) -> Path:
        """Held (flock) by the running supervisor; its presence marks the directory as ours."""
        return self.root / LOCK_NAME

    @property
    def credentials_file(self) -> Path:
        """Exists only while every service is ready."""
        return self.root / "credentials.json"

    @property
    def secrets(self) -> Path:
        """Keys and passwords, each made once. Losing this folder loses the stored data."""
        return self.root / "secrets"

    @property
    def pki(self) -> Path:
        """Development CA and certificates; may be deleted while stopped, then made anew."""
        return self.root / "pki"

    @property
    def logs(self) -> Path:
        """One appended file per child, and the supervisor's own."""
        return self.root / "logs"

    @property
    def run(self) -> Path:
        """Ready files and process records of the present run."""
        return self.root / "run"

    @property
    def postgres(self) -> Path:
        """The database cluster and its socket."""
        return self.root / "postgres"

    @property
    def devcloud(self) -> Path:
        """State of the cloud stand-in."""
        return self.root / "devcloud"

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Create the directory, take its lock, lay out the folders; release the lock at the end.

        Raises AlreadyRunningError when another process holds it, DataDirectoryError when the folder
        holds something that is not a stack's (it would have its permissions changed) or
        cannot be written. A killed holder's lock is released by the kernel.
        """
        try:
            descriptor = self._lock()
            try:
                self._lay_out()
                yield
            finally:
                os.ftruncate(descriptor, 0)
                os.close(descriptor)
        except PermissionError as error:
            raise DataDirectoryError(f"{error.filename or self.root}: {error.strerror}") from error

    def _lock(self) -> int:
        self.root.mkdir(parents=True, exist_ok=True)
        if not self.lock_file.exists() and any(self.root.iterdir()):
            raise DataDirectoryError(
                f"{self.root} is not empty and is no data directory of coffer; choose another one"
            )
        descriptor = os.open(self.lock_file, os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).strip()
            os.close(descriptor)
            pid = int(holder) if holder.isdigit() else None
            raise AlreadyRunningError(self.root, pid) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        return descriptor

    def _lay_out(self) -> None:
        # The database runs as another account when we are root: it must pass, not read.
        self.root.chmod(PASSABLE if os.geteuid() == 0 else 0o700)
        for folder in (self.secrets, self.pki, self.logs, self.run, self.devcloud):
            private_folder(folder)
