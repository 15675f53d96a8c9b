"""Load generators and bare servers as processes of their own.

They are told what to do by JSON on standard input, so that no credential is on a command line, and answer
with JSON on standard output. A server ends when its standard input is closed, so none outlives us.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from typing import IO, TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

GRACE_SECONDS: Final = 60.0
"""What a child may take beyond the time it was told to work."""

INHERITED: Final = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR")


class ChildError(Exception):
    """A load generator or bare server failed; its last words are the text."""


def ask(module: str, order: Mapping[str, Any], *, seconds: float) -> dict[str, Any]:
    """Run `benchmarks.<module>` with an order and return its answer.

    Raises ChildError when it fails, or is not done GRACE_SECONDS after `seconds`.
    """
    try:
        done = subprocess.run(
            _argv(module),
            input=json.dumps(order),
            capture_output=True,
            text=True,
            timeout=seconds + GRACE_SECONDS,
            env=environment(),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ChildError(f"{module} did not end in time") from None
    if done.returncode != 0:
        raise ChildError(f"{module}: {done.stderr.strip()[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@contextlib.contextmanager
def serving(module: str, order: Mapping[str, Any]) -> Iterator[str]:
    """`benchmarks.<module>` as a server; yields the address it said. It is gone at the end."""
    with subprocess.Popen(
        _argv(module),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as process:
        try:
            yield _address(process, order)
        finally:
            if process.stdin is not None:
                with contextlib.suppress(OSError):
                    process.stdin.close()
            try:
                process.wait(GRACE_SECONDS / 6)
            except subprocess.TimeoutExpired:
                process.kill()


def read_order(stream: IO[str] = sys.stdin) -> dict[str, Any]:
    """In a child: the line with its order."""
    order: dict[str, Any] = json.loads(stream.readline())
    return order


def answer(content: Mapping[str, Any], stream: IO[str] = sys.stdout) -> None:
    """In a child: one line of JSON for whoever started it."""
    stream.write(json.dumps(content) + "\n")
    stream.flush()


def environment() -> dict[str, str]:
    """What a child inherits: no proxy, no setting of Coffer, no credential."""
    return {name: os.environ[name] for name in INHERITED if name in os.environ}


def _argv(module: str) -> tuple[str, ...]:
    # -P: the working folder must not be importable (`import secrets`!).
    return (sys.executable, "-P", "-m", f"benchmarks.{module}")


def _address(process: subprocess.Popen[str], order: Mapping[str, Any]) -> str:
    if process.stdin is None or process.stdout is None:
        raise ChildError("no pipes")
    process.stdin.write(json.dumps(order) + "\n")
    process.stdin.flush()
    told = process.stdout.readline()
    if not told:
        raise ChildError(f"a bare server ended at once with status {process.wait()}")
    return str(json.loads(told)["address"])
