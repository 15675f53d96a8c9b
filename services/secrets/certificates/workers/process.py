"""One worker process as its parent sees it. Blocking: for a thread, not for the event loop."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from multiprocessing.connection import Connection
from typing import Final

from services.secrets.certificates.workers.worker import Answer, Job, Ready

START_SECONDS: Final = 60.0
"""For the interpreter and its imports; about 0.3 s on an idle machine."""

_END_SECONDS: Final = 10.0
_NEEDED_VARIABLES: Final = (
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "OPENSSL_CONF",
    "OPENSSL_MODULES",
)
"""Of the environment: by what Python and the cryptography under it find their own libraries."""

_MAIN: Final = (
    "import sys; sys.path[:] = sys.argv[3:]; "
    "from services.secrets.certificates.workers.worker import main; "
    "main(int(sys.argv[1]), int(sys.argv[2]))"
)
_CRASHES: Final = frozenset({signal.SIGSEGV, signal.SIGABRT, signal.SIGILL, signal.SIGFPE})


class WorkerDied(Exception):  # noqa: N818 - an event
    """The process ended before it answered; `crashed` tells that it did so by its own fault
    (a memory fault or abort), as opposed to being killed or not coming up."""

    def __init__(self, *, crashed: bool = False) -> None:
        super().__init__(crashed)
        self.crashed = crashed


class WorkerOutOfTime(Exception):  # noqa: N818 - an event
    """The job used up its processor time (`cpu`), or the machine gave it none (`wall`)."""

    def __init__(self, which: str) -> None:
        super().__init__(which)
        self.which = which


class WorkerProcess:
    """Starts in the constructor; every failure ends it, so a worker is alive and idle or gone.

    A new interpreter, which knows where modules are found and nothing else of this process: no
    environment, which holds the service's passwords, no open files, and not its main module.

    Not `multiprocessing`: what it spawns has this process's environment, and imports its main
    module, with whatever that imports, before anything else. Nor `concurrent.futures`: there one
    dead worker fails the jobs of all others, and workers outlive a killed parent because each holds
    both ends of its queue.
    """

    def __init__(self, memory_bytes: int, start_seconds: float = START_SECONDS) -> None:
        """Raises WorkerDied when it did not come up in time."""
        ours, theirs = socket.socketpair()
        self._pipe = Connection(ours.detach())
        command = [sys.executable, "-I", "-c", _MAIN, str(theirs.fileno()), str(memory_bytes)]
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [*command, *sys.path],
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        except OSError:  # no more processes or memory
            self._pipe.close()
            raise WorkerDied from None
        finally:
            theirs.close()  # so that the death of the worker is seen as the end of the pipe
        try:
            if not self._pipe.poll(start_seconds) or not isinstance(self._pipe.recv(), Ready):
                raise WorkerDied
        except (EOFError, OSError, WorkerDied):
            self.kill()
            raise WorkerDied from None

    @property
    def pid(self) -> int:
        """The process id, also after its end."""
        return self._process.pid

    def ask(self, job: Job, wall_seconds: float) -> Answer:
        """The worker's answer. Raises WorkerOutOfTime or WorkerDied; then the process is gone."""
        try:
            self._pipe.send(job)
            if self._pipe.poll(wall_seconds):
                answer: Answer = self._pipe.recv()
                return answer
        except (EOFError, OSError):
            self._end()
            ended_by = -(self._process.returncode or 0)
            if sys.platform != "win32" and ended_by == signal.SIGPROF:
                raise WorkerOutOfTime("cpu") from None
            raise WorkerDied(crashed=ended_by in _CRASHES) from None
        self.kill()
        raise WorkerOutOfTime("wall")

    def signal_end(self) -> None:
        """Ends the process at once, from any thread; `ask`, if under way, raises WorkerDied."""
        self._process.kill()

    def kill(self) -> None:
        """Ends the process and reaps it; not while another thread is in `ask`. Twice is once."""
        self._process.kill()
        self._end()

    def _end(self) -> None:
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:  # the pipe broke, yet the process lives
            self._process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_SECONDS)
        with contextlib.suppress(OSError):
            self._pipe.close()


def _environment() -> dict[str, str]:
    return {name: os.environ[name] for name in _NEEDED_VARIABLES if name in os.environ}
