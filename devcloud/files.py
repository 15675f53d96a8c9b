"""Private files that survive a crash: replaced whole or not at all.

Promised: a reader sees the old or the new content, never a mixture, and content that `write_json`
returned from outlives `kill -9` and, through fsync of file and folder, a power cut. Mode is 0600
from the first byte on. Not promised: anything on file systems without atomic rename.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Replace `path` atomically by `content`, readable by the owner alone."""
    # mkstemp makes the file 0600 whatever the umask, in the folder where the rename happens.
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in `path`, None where there is no such file. Raises ValueError naming the file."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        content = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{path} is not a JSON file") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} does not hold a JSON object")  # noqa: TRY004 - content, not code
    return content


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class FolderInUseError(Exception):
    """Another live process holds the folder."""


class FolderLock:
    """Holds a folder for one process; the kernel lets go when the process dies, however it dies.

    Needed because SO_REUSEPORT would let a second server bind the same port, and two processes
    would then overwrite each other's state file.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "lock"
        self._handle: int | None = None

    def __enter__(self) -> Self:
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(handle)
            raise FolderInUseError(f"{self._path.parent} is in use by another devcloud") from error
        self._handle = handle
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
