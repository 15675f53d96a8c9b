"""What a fault does to a process: for real, with signals."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from cli.local.records import MARKER, SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterable

POSTGRES = "postgres"
DEATH_SECONDS = 10.0
_LOOK_SECONDS = 0.001


class PlantedError(Exception):
    """An error that nobody expects, as a defect would raise it."""


def kill(child: str) -> None:
    """SIGKILL a child of the stack that this process belongs to; return when it is gone.

    A database goes with all its processes at once, as its machine would.
    """
    record = Path(os.environ[MARKER]) / f"{child}{SUFFIX}"
    pid = int(json.loads(record.read_bytes())["pid"])
    if pid == os.getpid():
        os.kill(pid, signal.SIGKILL)
    victims = [psutil.Process(pid)]
    if child == POSTGRES:
        victims += victims[0].children(recursive=True)
    for victim in victims:
        with contextlib.suppress(psutil.NoSuchProcess):
            victim.kill()
    _await_death(victims)


def kill_backend(arguments: Iterable[Any]) -> None:
    """SIGKILL the server process of the connection among the arguments, or of any service's connection."""
    pid = next((found for one in arguments if (found := _backend_of(one))), None)
    victim = psutil.Process(pid) if pid else _any_backend()
    victim.kill()
    _await_death([victim])


def stop_self() -> None:
    """SIGSTOP; returns when somebody sends SIGCONT."""
    os.kill(os.getpid(), signal.SIGSTOP)


def _backend_of(argument: Any) -> int | None:
    return getattr(getattr(argument, "info", None), "backend_pid", None)


def _any_backend() -> psutil.Process:
    record = Path(os.environ[MARKER]) / f"{POSTGRES}{SUFFIX}"
    server = psutil.Process(int(json.loads(record.read_bytes())["pid"]))
    for child in server.children():
        if " coffer_" in " ".join(child.cmdline()):
            return child
    raise PlantedError("no service has a connection")


def _await_death(victims: Iterable[psutil.Process]) -> None:
    deadline = time.monotonic() + DEATH_SECONDS
    for victim in victims:
        while _lives(victim):
            if time.monotonic() > deadline:
                raise PlantedError("the victim of a fault did not die")
            time.sleep(_LOOK_SECONDS)


def _lives(victim: psutil.Process) -> bool:
    try:
        return bool(victim.is_running() and victim.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
