"""Files that a person named, read with a limit, and sentences about those that cannot be used."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, NoReturn

import typer

from cli.commands import fail
from cli.exits import Exit
from cli.stored.calls import STDIN, without_line_end
from services.secrets.certificates.limits import MAX_PASSPHRASE_BYTES

if TYPE_CHECKING:
    from pathlib import Path

_KIB: Final = 1024


def read(file: Path, limit: int) -> bytes:
    """All of a file, or of standard input for `-`.

    Leaves with a sentence and Exit.FAILED when there is none, it cannot be read, is empty, or has more
    than `limit` bytes, of which no more than that are read.
    """
    name = shown(file)
    try:
        if file == STDIN:
            data = sys.stdin.buffer.read(limit + 1)
        else:
            with file.open("rb") as opened:
                data = opened.read(limit + 1)
    except FileNotFoundError:
        fail(f"{name}: there is no such file", Exit.FAILED)
    except IsADirectoryError:
        fail(f"{name} is a directory: name the files in it", Exit.FAILED)
    except OSError as error:
        fail(f"{name} cannot be read: {error.strerror}", Exit.FAILED)
    if not data:
        fail(f"{name} is empty", Exit.FAILED)
    if len(data) > limit:
        fail_too_large(name, limit)
    return data


def read_text(file: Path, limit: int) -> str:
    """The same, unchanged, of what is UTF-8. Leaves as `read` does, and when it is not."""
    try:
        return read(file, limit).decode()
    except UnicodeDecodeError:
        fail(f"{shown(file)} is not UTF-8 text", Exit.FAILED)


def read_passphrase(file: Path) -> str:
    """The text of a file without one line end at its end, and without an editor's byte order mark.

    Leaves as `read` does, and when it is not UTF-8.
    """
    data = read(file, MAX_PASSPHRASE_BYTES + len("\ufeff".encode()) + len("\r\n"))
    try:
        return without_line_end(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        fail(f"{shown(file)} is not UTF-8 text", Exit.FAILED)


def ask_passphrase() -> str:
    """What was typed, which is not shown. Leaves with Exit.FAILED when there is no terminal."""
    if not sys.stdin.isatty():
        fail("there is no terminal to ask on: use --passphrase-file", Exit.FAILED)
    typed: str = typer.prompt("Passphrase", hide_input=True, err=True)
    return typed


def fail_too_large(name: str, limit: int) -> NoReturn:
    """Leaves with Exit.FAILED."""
    most = f"{limit} bytes" if limit < 10 * _KIB else f"{limit // _KIB} KiB"
    fail(f"{name} is too large: at most {most} are accepted", Exit.FAILED)


def shown(file: Path) -> str:
    """What the file is called in sentences."""
    return "standard input" if file == STDIN else str(file)
