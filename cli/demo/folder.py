"""Where a demo lives: a folder below the system's temporary one, gone when the demo is."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from cli.local.directory import DataDirectory
from cli.local.errors import LocalError
from cli.local.records import ProcessRecords

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "coffer-demo-"
ORPHAN_SECONDS = 10.0
SETTLED_SECONDS = 10.0
"""A folder locked for the first time so recently may belong to a demo that is just starting."""


@contextlib.contextmanager
def demo_folder(parent: Path | None = None) -> Iterator[Path]:
    """A new folder, removed at the end with everything in it.

    What demos that were killed left in `parent` (default: the system's temporary folder), processes
    included, is ended and removed first.
    """
    below = (parent or Path(tempfile.gettempdir())).resolve()
    for left in below.glob(f"{PREFIX}*"):
        _clear(left)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=below))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _clear(left: Path) -> None:
    """End and remove a demo whose supervisor is gone; leave alone what is alive or not ours."""
    directory = DataDirectory(left)
    with contextlib.suppress(OSError, LocalError):
        found = directory.lock_file.lstat()
        if found.st_uid != os.geteuid() or time.time() - found.st_mtime < SETTLED_SECONDS:
            return
        with directory.held():
            ProcessRecords(directory.run).end_orphans(ORPHAN_SECONDS)
        shutil.rmtree(left, ignore_errors=True)
