"""Files of the data directory: private, complete or absent, never half-written."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700


def write_private(path: Path, content: bytes | str) -> None:
    """Write `path` with mode 0600 so that readers see the old content, the new, or no file.

    The content is on disk before the name is (fsync of file and folder), so a crash of the
    machine does not leave an empty key file either. Raises OSError.
    """
    data = content.encode() if isinstance(content, str) else content
    with private_stream(path) as file:
        file.write(data)


@contextlib.contextmanager
def private_stream(path: Path) -> Iterator[BinaryIO]:
    """Write `path` as `write_private` does, piece by piece; when the block raises there is no new file."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable: a rename alone is not."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def private_folder(path: Path) -> Path:
    """Create `path` with mode 0700, or tighten it to that when it exists."""
    path.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    path.chmod(PRIVATE_FOLDER)
    return path
