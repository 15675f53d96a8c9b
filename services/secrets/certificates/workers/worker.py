"""The process in which untrusted material is parsed. One job at a time, until its pipe closes.

It is a new interpreter (a fork of a process that uses gRPC is unsafe) without an environment. It
imports the parser and what that needs, leaves no core file, writes nothing anywhere, takes no more
memory than it was given, and dies with its parent: at once when idle (the pipe closes), after the
processor time of one job when busy (the kernel's timer, which needs no interpreter lock).
"""

import contextlib
import os
import signal
import sys
import warnings
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, Literal

from cryptography.exceptions import InternalError

from services.secrets.certificates.material import CertificateMaterial
from services.secrets.certificates.read import read_sent
from services.secrets.certificates.refusal import CertificateRefused
from services.secrets.certificates.sent import Sent

if sys.platform != "win32":
    import resource

_STANDARD_STREAMS: Final = (0, 1, 2)
_RUST: Final = "pyo3_runtime"
"""The module of PanicException, which cannot be imported."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker's first word: it has imported everything and takes jobs."""


@dataclass(frozen=True, slots=True)
class Job:
    """Parse this, as of `now` (aware), within `cpu_seconds` of processor time."""

    sent: Sent
    now: datetime
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Broken:
    """A fault of ours: the name of the exception's class, never its text, which may quote input."""

    name: str


@dataclass(frozen=True, slots=True)
class GaveUp:
    """The material asked for more `memory` than there is for one job, or made a library `crash`
    where it should have refused (a panic in Rust, an error of OpenSSL that it does not expect)."""

    over: Literal["memory", "crash"]


Outcome = CertificateMaterial | CertificateRefused | Broken
Answer = Outcome | GaveUp


def main(descriptor: int, memory_bytes: int) -> None:
    """The process's main function; returns when the other end of the socket `descriptor` closes.

    `memory_bytes` is all that it may have for data, the interpreter's own (some 20 MiB) included;
    only Linux holds it to that.
    """
    _harden(memory_bytes)
    pipe = Connection(descriptor)
    with contextlib.suppress(EOFError, OSError):
        pipe.send(Ready())
        while True:
            pipe.send(_answer(pipe.recv()))


def _harden(memory_bytes: int) -> None:
    warnings.simplefilter("ignore")
    with Path(os.devnull).open("r+b") as nothing:  # what a crash prints may quote its input
        for stream in _STANDARD_STREAMS:
            os.dup2(nothing.fileno(), stream)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is for the parent alone
    if sys.platform != "win32":
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold private keys
        signal.signal(signal.SIGPROF, signal.SIG_DFL)  # whose action is to end the process
        _limit_memory(memory_bytes)


def _answer(job: Job) -> Answer:
    _limit_cpu(job.cpu_seconds)
    try:
        return read_sent(job.sent, job.now)
    except CertificateRefused as refusal:
        return refusal.with_traceback(None)
    except MemoryError:
        return GaveUp("memory")
    except (InternalError, RecursionError):
        return GaveUp("crash")
    except BaseException as error:  # noqa: BLE001 - a panic in Rust is no Exception; on we go
        return GaveUp("crash") if type(error).__module__ == _RUST else Broken(type(error).__name__)
    finally:
        _limit_cpu(0)


def _limit_cpu(seconds: float) -> None:
    if sys.platform != "win32":
        signal.setitimer(signal.ITIMER_PROF, seconds)


def _limit_memory(memory_bytes: int) -> None:
    """Of what is allocated, not of the address space, which libraries and arenas fill with nothing."""
    if sys.platform != "win32":
        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        room = memory_bytes if most == resource.RLIM_INFINITY else min(memory_bytes, most)
        with contextlib.suppress(ValueError, OSError):  # macOS knows the limit, and may refuse it
            resource.setrlimit(resource.RLIMIT_DATA, (room, room))
