"""The job queue: Procrastinate, and what it leaves to its user. The only module that knows it.

A job is a seat at a lease and says no more than which; its table holds no tenant data. A seat has at most one
job waiting (`queueing_lock`) and one running (`lock`). Finished jobs are deleted, so the table does not grow.
A process sits at a lease once: another seat that it gets is offered again at once, a few times, so that
another process may take it, and after that when the dispatcher looks next.

What Procrastinate 3.10 does not do by itself and is done here: the jobs of dead workers go back into the
queue (`recover`); a worker that lost its database starts again (`work`); a job whose end could not be
written, which its living worker would hold for ever, is taken from it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import procrastinate
import psycopg
import structlog
from procrastinate import exceptions as queue_errors
from procrastinate.jobs import DeleteJobCondition, Status
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from services.common.database import PATIENCE, require_secure
from services.common.defects import describe
from services.common.errors import UnavailableError
from services.rewrap.model import LeaseRef

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from procrastinate.jobs import Job

    from services.rewrap.model import Seating

QUEUE: Final = "rewrap"
TASK: Final = "rewrap.lease"
SEARCH_PATH: Final = "-c search_path=procrastinate"
_POLL_SECONDS: Final = 1.0
_DRAIN_SECONDS: Final = 8.0
_RESTART_SECONDS: Final = 0.5
_FORGET_WORKER_SECONDS: Final = 60.0
_LONG_DUE: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""Due by any clock: this machine's may be hours ahead of the database's."""
_OFFERS: Final = 6
_OFFER_SECONDS: Final = 0.05
_LIVE_WORKERS: Final = """
select count(*) as live from procrastinate_workers
where last_heartbeat > now() - make_interval(secs => %(silent)s)
"""
_POOL_TIMEOUT_SECONDS: Final = 10.0

_log = structlog.get_logger(__name__)


class ProcrastinateQueue:
    """The port `JobQueue`, and the loop that works on what is queued. Construction does no I/O."""

    def __init__(self, dsn: str, *, heartbeat_seconds: float, stalled_seconds: float) -> None:
        """A worker says every `heartbeat_seconds` that it lives; after `stalled_seconds` without a word
        its jobs are taken over. Raises InsecureDatabaseUrlError.
        """
        dsn = require_secure(dsn)
        given = conninfo_to_dict(dsn).get("options") or ""
        self._pool: AsyncConnectionPool[Any] = AsyncConnectionPool(
            dsn,
            min_size=1,
            max_size=6,
            timeout=_POOL_TIMEOUT_SECONDS,
            kwargs={
                "application_name": "rewrap queue",
                **PATIENCE,
                "options": f"{given} {SEARCH_PATH}".strip(),
            },
            check=AsyncConnectionPool.check_connection,
            open=False,
            name="rewrap queue",
        )
        self._app = procrastinate.App(connector=procrastinate.PsycopgConnector())
        self._heartbeat = heartbeat_seconds
        self._stalled = stalled_seconds
        self._at_work: set[int] = set()
        self._suspects: set[int] = set()
        self._worker_id: int | None = None
        self._offering: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Start the pool; does not wait for the database to answer."""
        await self._pool.open(wait=False)
        await self._app.open_async(pool=self._pool)

    async def close(self) -> None:
        """Close every connection."""
        for task in self._offering:
            task.cancel()
        await self._pool.close()

    async def ping(self) -> bool:
        """Whether the queue can be used now."""
        try:
            return await self._app.check_connection_async()
        except (queue_errors.ConnectorException, PoolTimeout):
            return False

    async def enqueue(self, wanted: Sequence[Seating]) -> int:
        """As the port says: a seat with a job, waiting or running, is taken."""
        with _translated():
            taken: dict[LeaseRef, set[int]] = {}
            for job in await self._jobs():
                taken.setdefault(_lease(job), set()).add(_seat(job))
            workers = await self._live_workers()
            made = 0
            for seating in wanted:
                seats = taken.get(seating.ref, set())
                free = (seat for seat in itertools.count() if seat not in seats)
                for seat in itertools.islice(
                    free, max(0, min(seating.seats, workers) - len(seats))
                ):
                    with contextlib.suppress(queue_errors.AlreadyEnqueued):
                        await self._defer(seating.ref, seat)
                        made += 1
        return made

    async def requeue(self, ref: LeaseRef) -> None:
        """Put a lease at the end of the queue, from within its own job."""
        with _translated(), contextlib.suppress(queue_errors.AlreadyEnqueued):
            await self._defer(ref)

    async def recover(self) -> int:
        """As the port says."""
        with _translated():
            stalled = list(
                await self._app.job_manager.get_stalled_jobs(
                    queue=QUEUE, seconds_since_heartbeat=self._stalled
                )
            )
            stalled += await self._forgotten()
            lost = [job for job in stalled if job.id not in self._at_work]
            for job in lost:
                await self._take_over(job)
        return len(lost)

    async def crowded(self) -> bool:
        """As the port says: a job is queued whose lease no other job works on."""
        with _translated():
            jobs = await self._jobs()
        at_work = {_lease(job) for job in jobs if job.status == Status.DOING.value}
        return any(job.status == Status.TODO.value and _lease(job) not in at_work for job in jobs)

    async def work(
        self,
        handle: Callable[[LeaseRef], Awaitable[object]],
        *,
        busy: Callable[[LeaseRef], bool],
        concurrency: int,
        stop: asyncio.Event,
    ) -> None:
        """Hand jobs to `handle`, so many at once, until `stop`; then wait for those under way.

        `busy`: whether this process works on the lease already. Whatever goes wrong with the queue is
        logged, and the worker starts again.
        """
        self._define(handle, busy)
        while not stop.is_set():
            worker = asyncio.create_task(self._run_worker(concurrency))
            stopped = asyncio.create_task(stop.wait())
            try:
                await asyncio.wait({worker, stopped}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                stopped.cancel()
                worker.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await self._watch_end(worker)
            if not stop.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_RESTART_SECONDS):
                        await stop.wait()

    async def _run_worker(self, concurrency: int) -> None:
        await self._app.run_worker_async(
            queues=[QUEUE],
            concurrency=concurrency,
            fetch_job_polling_interval=_POLL_SECONDS,
            shutdown_graceful_timeout=_DRAIN_SECONDS,
            delete_jobs=DeleteJobCondition.ALWAYS,
            install_signal_handlers=False,
            update_heartbeat_interval=self._heartbeat,
            stalled_worker_timeout=max(_FORGET_WORKER_SECONDS, self._stalled),
        )

    async def _watch_end(self, worker: asyncio.Task[None]) -> None:
        try:
            await worker
        except (queue_errors.ProcrastinateException, psycopg.Error, PoolTimeout) as error:
            _log.warning("queue_worker_lost", kind=type(error).__name__)
        except Exception as error:  # noqa: BLE001 - without a worker every lease stands still
            _log.error("queue_worker_defect", **describe(error))

    def _define(
        self,
        handle: Callable[[LeaseRef], Awaitable[object]],
        busy: Callable[[LeaseRef], bool],
    ) -> None:
        async def lease(
            context: procrastinate.JobContext,
            *,
            tenant_id: str,
            lease_id: int,
            seat: int = 0,
            offers: int = 0,
        ) -> None:
            ref = LeaseRef(UUID(tenant_id), lease_id)
            job_id = context.job.id
            self._worker_id = context.job.worker_id
            if busy(ref):
                self._offer(ref, seat, offers + 1)
                return
            if job_id is not None:
                self._at_work.add(job_id)
            try:
                await handle(ref)
            finally:
                self._at_work.discard(job_id or 0)

        self._app.task(name=TASK, queue=QUEUE, pass_context=True)(lease)

    def _offer(self, ref: LeaseRef, seat: int, offers: int) -> None:
        """Put a seat back, once the job that has it has ended; not for ever: nobody else may be there."""
        if offers > _OFFERS:
            return

        async def put_back() -> None:
            await asyncio.sleep(_OFFER_SECONDS)
            with contextlib.suppress(UnavailableError, queue_errors.AlreadyEnqueued), _translated():
                await self._defer(ref, seat, offers)

        task = asyncio.create_task(put_back())
        self._offering.add(task)
        task.add_done_callback(self._offering.discard)

    async def _live_workers(self) -> int:
        row = await self._app.connector.execute_query_one_async(_LIVE_WORKERS, silent=self._stalled)
        return max(1, int(row["live"]))

    async def _jobs(self) -> list[Job]:
        return list(await self._app.job_manager.list_jobs_async(queue=QUEUE))

    async def _defer(self, ref: LeaseRef, seat: int = 0, offers: int = 0) -> None:
        name = f"{ref.tenant_id}:{ref.lease_id}:{seat}"
        deferrer = self._app.configure_task(TASK, queue=QUEUE, lock=name, queueing_lock=name)
        await deferrer.defer_async(
            tenant_id=str(ref.tenant_id), lease_id=ref.lease_id, seat=seat, offers=offers
        )

    async def _forgotten(self) -> list[Job]:
        """Jobs that this process's worker holds and does not work on, seen so twice in a row."""
        if self._worker_id is None:
            return []
        held = await self._app.job_manager.list_jobs_async(
            queue=QUEUE, status=Status.DOING.value, worker_id=self._worker_id
        )
        idle = {job.id: job for job in held if job.id is not None and job.id not in self._at_work}
        sure = [job for job_id, job in idle.items() if job_id in self._suspects]
        self._suspects = set(idle)
        return sure

    async def _take_over(self, job: Job) -> None:
        """Back into the queue; away with it when its lease is queued already, or another was faster."""
        try:
            await self._app.job_manager.retry_job(job, retry_at=_LONG_DUE)
        except queue_errors.UniqueViolation:
            if job.id is not None:
                await self._app.job_manager.finish_job_by_id_async(
                    job.id, Status.FAILED, delete_job=True
                )
        except queue_errors.ConnectorException as error:
            _log.info("job_not_taken_over", job=job.id, kind=type(error).__name__)


def _lease(job: Job) -> LeaseRef:
    return LeaseRef(UUID(str(job.task_kwargs["tenant_id"])), int(str(job.task_kwargs["lease_id"])))


def _seat(job: Job) -> int:
    return int(str(job.task_kwargs.get("seat", 0)))


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (queue_errors.ConnectorException, psycopg.OperationalError, PoolTimeout) as error:
        raise UnavailableError from error
