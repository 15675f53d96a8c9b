"""Reads untrusted certificate material in other processes, within a deadline.

Key derivation and RSA arithmetic hold the interpreter lock for up to seconds, and a parser in C may
crash: neither may happen in the process that serves requests.
"""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from queue import SimpleQueue
from typing import Final

from services.secrets.certificates.material import CertificateMaterial
from services.secrets.certificates.read import SUPPORTED_TYPES
from services.secrets.certificates.refusal import CertificateRefused, Field
from services.secrets.certificates.sent import check_sent
from services.secrets.certificates.workers.process import WorkerDied, WorkerOutOfTime, WorkerProcess
from services.secrets.certificates.workers.worker import Broken, GaveUp, Job, Outcome

CPU_SECONDS: Final = 2.0
"""Processor time for one job; the dearest material within the limits takes about 1.3 s."""

WALL_SECONDS: Final = 10.0
"""Time for one job on a machine that is busy with other things."""

MEMORY_BYTES: Final = 512 * 1024 * 1024
"""Memory of one worker: the interpreter takes 20 MiB, a key under scrypt up to 256 MiB."""

MAX_WAITING: Final = 64
"""Jobs under way and waiting, together; beyond it a caller is sent away at once. First come, first
served: whoever serves several tenants must see to it that none of them fills it (`payloads`)."""

_ATTEMPTS: Final = 2


class CertificateReaderUnavailable(Exception):  # noqa: N818 - a state, mapped to 503
    """Not the input's fault: closed, overloaded, or the worker could not run. A retry is safe."""


class CertificateReaderFailed(Exception):  # noqa: N818 - a fault of ours; the sender gets a refusal
    """The parser raised what it promised not to raise. Holds the class's name, no input."""


class _Lane:
    """A place for one worker at a time, used by one thread at a time; `interrupt` by any."""

    def __init__(self, memory_bytes: int) -> None:
        self._memory_bytes = memory_bytes
        self._lock = threading.Lock()
        self._worker: WorkerProcess | None = None
        self.is_closed = False

    @property
    def pid(self) -> int | None:
        worker = self._worker
        return worker.pid if worker is not None else None

    def worker(self) -> WorkerProcess:
        """The living worker, started if there is none. Raises WorkerDied."""
        with self._lock:
            if self.is_closed:
                raise WorkerDied
            if self._worker is None:
                self._worker = WorkerProcess(self._memory_bytes)
            return self._worker

    def drop(self) -> None:
        """Forgets a worker that is gone."""
        with self._lock:
            self._worker = None

    def renew(self) -> None:
        """Ends a worker that answers, but of which nobody knows in what state it is."""
        with self._lock:
            worker, self._worker = self._worker, None
        if worker is not None:
            worker.kill()

    def interrupt(self) -> None:
        """No further worker, and the end of the present one; whoever waits for it reaps it."""
        self.is_closed = True
        with self._lock:
            if self._worker is not None:
                self._worker.signal_end()

    def reap(self) -> None:
        """After `interrupt`, when no thread uses the lane any more."""
        if self._worker is not None:
            self._worker.kill()
            self._worker = None


class CertificateReader:
    """`workers` processes, started by `start` and ended by `aclose`; the constructor does no I/O.

    Promised: the event loop is never blocked; a job that takes too long or too much memory, or kills
    its worker, costs that worker only, which is replaced before the next job, and is refused; a worker
    killed from outside is replaced and its job tried again; no process survives `aclose`, nor this
    process's death by more than `cpu_seconds` of processor time. Not promised: an order of answers.
    """

    def __init__(
        self,
        *,
        workers: int = 2,
        cpu_seconds: float = CPU_SECONDS,
        wall_seconds: float = WALL_SECONDS,
        memory_bytes: int = MEMORY_BYTES,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._workers = workers
        self._cpu_seconds = cpu_seconds
        self._wall_seconds = wall_seconds
        self._memory_bytes = memory_bytes
        self._max_waiting = max_waiting
        self._under_way = 0
        self._threads: ThreadPoolExecutor | None = None
        self._lanes: SimpleQueue[_Lane] = SimpleQueue()
        self._all: tuple[_Lane, ...] = ()

    @property
    def worker_pids(self) -> tuple[int, ...]:
        """The processes that live now, for tests and diagnosis."""
        return tuple(pid for lane in self._all if (pid := lane.pid) is not None)

    async def start(self) -> None:
        """Starts the workers and waits for them; call it once. Raises CertificateReaderUnavailable."""
        self._threads = ThreadPoolExecutor(self._workers, thread_name_prefix="certificate-reader")
        self._all = tuple(_Lane(self._memory_bytes) for _ in range(self._workers))
        self._lanes = SimpleQueue()
        loop = asyncio.get_running_loop()
        try:
            await asyncio.gather(
                *(loop.run_in_executor(self._threads, lane.worker) for lane in self._all)
            )
        except WorkerDied:
            await self.aclose()
            raise CertificateReaderUnavailable("a certificate worker did not start") from None
        except BaseException:  # cancelled
            await self.aclose()
            raise
        for lane in self._all:
            self._lanes.put(lane)

    async def aclose(self) -> None:
        """Ends every worker; jobs under way fail as unavailable. May be called twice."""
        threads, self._threads = self._threads, None
        if threads is None:
            return
        await asyncio.to_thread(_end, threads, self._all)
        self._all = ()

    async def read(
        self,
        content: str,
        private_key: str | None,
        passphrase: str | None,
        certificate_type: str,
        now: datetime,
    ) -> CertificateMaterial:
        """As `read.read_certificate`, elsewhere.

        Raises CertificateRefused, CertificateReaderUnavailable, CertificateReaderFailed. A caller
        that is cancelled goes at once; its job ends by itself.
        """
        sent = check_sent(content, private_key, passphrase, certificate_type, SUPPORTED_TYPES)
        if self._threads is None or self._under_way >= self._max_waiting:
            raise CertificateReaderUnavailable("the certificate reader is closed or overloaded")
        job = Job(sent, now, self._cpu_seconds)
        self._under_way += 1
        future = asyncio.get_running_loop().run_in_executor(self._threads, self._run, job)
        future.add_done_callback(self._finished)
        answer = await future
        if isinstance(answer, CertificateMaterial):
            return answer
        if isinstance(answer, Broken):
            raise CertificateReaderFailed(answer.name)
        raise answer

    def _finished(self, future: asyncio.Future[Outcome]) -> None:
        self._under_way -= 1
        if not future.cancelled():
            future.exception()  # a caller that went away does not fetch it; that is no fault

    def _run(self, job: Job) -> Outcome:
        """In a thread; there are as many threads as lanes, so one is always free here."""
        lane = self._lanes.get()
        try:
            return _ask(lane, job, self._wall_seconds)
        finally:
            self._lanes.put(lane)


def _end(threads: ThreadPoolExecutor, lanes: tuple[_Lane, ...]) -> None:
    for lane in lanes:
        lane.interrupt()
    threads.shutdown(wait=True)  # jobs that still wait find their lane closed
    for lane in lanes:
        lane.reap()


def _ask(lane: _Lane, job: Job, wall_seconds: float) -> Outcome:
    for _ in range(_ATTEMPTS):
        try:
            answer = lane.worker().ask(job, wall_seconds)
            if not isinstance(answer, GaveUp):
                return answer
            lane.renew()
            return _too_large(job) if answer.over == "memory" else _crashed(job)
        except WorkerDied as end:
            if end.crashed:
                lane.drop()
                return _crashed(job)
            if lane.is_closed:
                break
        except WorkerOutOfTime as late:
            lane.drop()
            if late.which == "cpu":
                return _too_expensive(job)
            break
        lane.drop()
    raise CertificateReaderUnavailable("a certificate worker ended before it answered")


def _crashed(job: Job) -> CertificateRefused:
    return CertificateRefused(
        _dearest_field(job),
        "malformed",
        "The parser broke down over this material, so it cannot be stored. Export it again from "
        "where it came from.",
    )


def _too_expensive(job: Job) -> CertificateRefused:
    return CertificateRefused(
        _dearest_field(job),
        "unsupported_algorithm",
        f"Reading this takes more than {job.cpu_seconds:g} s of processor time, so it was given "
        "up: use a key encryption with fewer iterations, or fewer certificates.",
    )


def _too_large(job: Job) -> CertificateRefused:
    return CertificateRefused(
        _dearest_field(job),
        "unsupported_algorithm",
        "Reading this takes more memory than one certificate is given, so it was given up: use a key "
        "encryption that needs less, or fewer certificates.",
    )


def _dearest_field(job: Job) -> Field:
    """Where the cause most likely is: opening a key costs more than reading any certificate."""
    return "private_key" if job.sent.private_key is not None else "certificate_content"
