"""From PEM text to a TLS context. OpenSSL loads a private key from a file only, so there has to be one."""

from __future__ import annotations

import contextlib
import os
import ssl
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def client_context(
    pem: str, *, ca_file: str | Path | None = None, ca_data: str | None = None
) -> ssl.SSLContext:
    """A context of a client whose private key, certificate and chain are in `pem`.

    None means the CAs of the system, and nothing else does. Raises ValueError, OSError, ssl.SSLError.
    """
    # The standard library takes an empty text for none, and would trust every public CA.
    for name, given in (("ca_file", ca_file), ("ca_data", ca_data)):
        if given is not None and not given:
            raise ValueError(f"{name} is empty: name the CA, or leave it away for the system's CAs")
    context = ssl.create_default_context(
        ssl.Purpose.SERVER_AUTH, cafile=None if ca_file is None else str(ca_file), cadata=ca_data
    )
    with _as_file(pem.encode()) as path:
        # A password, so that OpenSSL never asks the terminal for one.
        context.load_cert_chain(path, password="")
    return context


@contextlib.contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    with contextlib.ExitStack() as until:
        path = _in_memory(content, until) or _on_disk(content, until)
        yield path


def _in_memory(content: bytes, until: contextlib.ExitStack) -> str | None:
    """A file without a name that never reaches a disk (Linux); None where there is no such thing."""
    if not hasattr(os, "memfd_create"):
        return None
    try:
        descriptor = os.memfd_create("coffer", os.MFD_CLOEXEC)
    except OSError:
        return None
    until.callback(os.close, descriptor)
    path = Path(f"/proc/self/fd/{descriptor}")
    if not path.exists():
        return None
    _write(descriptor, content)
    return str(path)


def _on_disk(content: bytes, until: contextlib.ExitStack) -> str:
    """A file of this user alone (mode 0600), removed at the end whatever happens."""
    descriptor, path = tempfile.mkstemp(prefix="coffer-")
    until.callback(Path(path).unlink)
    until.callback(os.close, descriptor)
    _write(descriptor, content)
    return path


def _write(descriptor: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]
