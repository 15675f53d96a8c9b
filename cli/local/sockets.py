"""The folder of PostgreSQL's unix socket: beside the cluster, or a short one when that is too long.

The kernel allows about 107 bytes for a socket's path, libpq and other systems a few less.
"""

import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cli.local.account import Account
from cli.local.errors import LocalError
from cli.local.files import PRIVATE_FOLDER, write_private

LONGEST_SOCKET_PATH = 100
SOCKET_NAME = ".s.PGSQL.5432"


@dataclass(frozen=True, slots=True)
class SocketFolder:
    """Where the socket of the server kept in `home` is."""

    home: Path

    @property
    def path(self) -> Path:
        """The folder; LocalError when it has to be a short one and `ensure` was never called."""
        if not self._too_long:
            return self._beside
        remembered = self._remembered()
        if remembered is None:
            raise LocalError(f"the socket folder of {self.home} has not been made")
        return remembered

    def ensure(self, account: Account | None) -> None:
        """Create it with mode 0700 for `account` (None: ourselves), or reuse the remembered one."""
        if not self._too_long:
            self._beside.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
            _give(self._beside, account)
            return
        remembered = self._remembered()
        if remembered is not None and _is_private(remembered, account):
            return
        made = Path(tempfile.mkdtemp(prefix="coffer-pg-"))
        _give(made, account)
        if account is not None:
            account.require_reach(made / SOCKET_NAME)
        write_private(self._memory, str(made))

    def remove(self) -> None:
        """Remove a short folder again, after the server has stopped."""
        remembered = self._remembered()
        if remembered is not None:
            shutil.rmtree(remembered, ignore_errors=True)
            self._memory.unlink(missing_ok=True)

    @property
    def _beside(self) -> Path:
        return self.home / "socket"

    @property
    def _too_long(self) -> bool:
        return len(os.fsencode(self._beside / SOCKET_NAME)) > LONGEST_SOCKET_PATH

    @property
    def _memory(self) -> Path:
        return self.home / "socket_folder"

    def _remembered(self) -> Path | None:
        try:
            return Path(self._memory.read_text())
        except FileNotFoundError:
            return None


def _give(folder: Path, account: Account | None) -> None:
    folder.chmod(PRIVATE_FOLDER)
    if account is not None:
        os.chown(folder, account.uid, account.gid)


def _is_private(folder: Path, account: Account | None) -> bool:
    # A name in a shared temporary folder may have become somebody else's since it was remembered.
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return False
    owner = os.geteuid() if account is None else account.uid
    private = stat.S_ISDIR(found.st_mode) and stat.S_IMODE(found.st_mode) == PRIVATE_FOLDER
    return private and found.st_uid == owner
