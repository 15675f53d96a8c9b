"""The operating-system account PostgreSQL runs as, and what that account can reach."""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from cli.local.errors import LocalError, NotPassableError

CANDIDATES = ("postgres", "nobody")


@dataclass(frozen=True, slots=True)
class Account:
    """An existing unprivileged account. No account is ever created."""

    name: str
    uid: int
    gid: int

    def may_pass(self, folder: Path) -> bool:
        """Whether the mode bits let this account through `folder`. ACLs are not considered."""
        return self._allowed(folder.stat(), stat.S_IXUSR, stat.S_IXGRP, stat.S_IXOTH)

    def may_read(self, file: Path) -> bool:
        """Whether the mode bits let this account read `file`, its parents aside."""
        return self._allowed(file.stat(), stat.S_IRUSR, stat.S_IRGRP, stat.S_IROTH)

    def _allowed(self, found: os.stat_result, owner: int, group: int, other: int) -> bool:
        if found.st_uid == self.uid:
            return bool(found.st_mode & owner)
        if found.st_gid == self.gid:
            return bool(found.st_mode & group)
        return bool(found.st_mode & other)

    def blocked_by(self, path: Path) -> Path | None:
        """The first parent of `path`, from the root down, that this account cannot pass."""
        return next((p for p in reversed(path.resolve().parents) if not self.may_pass(p)), None)

    def require_reach(self, path: Path) -> None:
        """Raise NotPassableError naming the first parent of `path` that stops this account."""
        culprit = self.blocked_by(path)
        if culprit is not None:
            raise NotPassableError(path, culprit, self.name)


def database_account(cluster: Path) -> Account | None:
    """The account to run the server of `cluster` as; None means ourselves (we are not root).

    An existing cluster stays with its owner, so that an account that appears later does not
    take it over. Raises LocalError when the machine has no unprivileged account.
    """
    if os.geteuid() != 0:
        return None
    if cluster.exists() and (found := cluster.stat()).st_uid != 0:
        return Account(_name_of(found.st_uid), found.st_uid, found.st_gid)
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(name, entry.pw_uid, entry.pw_gid)
    raise LocalError(f"PostgreSQL refuses to run as root and none of {CANDIDATES} exists here")


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
