"""Rewraps of tenants with many keys, each beside LR and the bare loop over copies of the same rows."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import psycopg

from benchmarks.children import ask
from benchmarks.figures import Sample, Series
from benchmarks.ground import ApiError, made_since
from benchmarks.limits import files
from benchmarks.more_workers import one_more_worker
from benchmarks.processes import Peaks, cpu_ms_each
from benchmarks.sections import Section

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from benchmarks.ground import BenchTenant, Ground
    from benchmarks.limits import Limits
    from benchmarks.plan import Plan

REWRAP_SECONDS: Final = 600.0
FILL_SECONDS: Final = 900.0
POLL_SECONDS: Final = 0.02
FINISHED: Final = ("completed", "failed", "superseded", "cancelled")
SMALL_VALUE: Final = 100
BIG_VALUE: Final = 65_536
MANY_VALUES: Final = 5_000
"""Keys of the tenants with big values at most: 64 KiB each."""
MANY_KEYS: Final = 200_000
"""From here on three repetitions are enough, as each takes seconds."""
FEW_RUNS: Final = 3
TELLING_SECONDS: Final = 12.0
TENANTS: Final = 10
SHARED: Final = 200_000
"""Keys of all tenants that are rewrapped at once, at most."""
SMALL_TENANTS: Final = 4_000
SMALL_KEYS: Final = 12
"""Of each of these: rows that are never opened, so that tenants are small on average."""
_SMALL_TENANTS: Final = """
insert into secrets.data_key (tenant_id, id, key_version, wrapped)
select t.id, gen_random_uuid(), 1, decode(repeat('00', 68), 'hex')
from (select gen_random_uuid() as id from generate_series(1, %s)) t cross join generate_series(1, %s)
"""
_LOOK: Final = """
select state, done + skipped + failed >= total, started_at, finished_at, clock_timestamp(), done, kms_calls
from rewrap.lease where tenant_id = %s and id = %s
"""
_UPDATES: Final = """
select n_tup_upd, n_tup_hot_upd from pg_stat_user_tables
where relid = 'secrets.data_key'::regclass
"""


@dataclass(frozen=True, slots=True)
class Ended:
    """A rewrap that completed, in seconds: the request to rotate to the last key moved, from the lease's
    start to there, and to the lease's end, verification included.
    """

    moved: float
    work: float
    whole: float
    kms_calls: int


@dataclass(frozen=True, slots=True)
class Stocked:
    """A tenant and how many data keys it has."""

    tenant: BenchTenant
    keys: int


class Rewraps:
    """Runs the section `rewraps`. `tell` is told what is going on."""

    def __init__(
        self, ground: Ground, limits: Limits, plan: Plan, tell: Callable[[str], None]
    ) -> None:
        self._ground = ground
        self._limits = limits
        self._plan = plan
        self._tell = tell
        self._section = Section("rewraps", [])

    def measure(self) -> Section:
        """Every size, big values, two workers, ten tenants at once, one among thousands."""
        before = self._ground.cloud_calls()
        for count in sizes(self._plan.keys):
            self._size(count)
        self._payloads(min(self._plan.keys, MANY_VALUES))
        self._workers(min(self._plan.keys, SHARED))
        self._tenants(min(self._plan.keys, SHARED) // TENANTS)
        self._among_small(min(self._plan.keys, SHARED))
        self._section.cloud_calls = made_since(before, self._ground.cloud_calls())
        return self._section

    def stocked(self, slug: str, keys: int, value_bytes: int = SMALL_VALUE) -> Stocked:
        """A new tenant with so many data keys, each of a value of so many bytes."""
        tenant = self._ground.tenant(f"{slug}-{uuid.uuid4().hex[:8]}")
        secret_id = self._ground.create(tenant, "many", "v")
        caller = files(self._ground.pki.identity("secrets", "secrets"))
        order: dict[str, Any] = {
            **caller,
            "tenant_id": tenant.id,
            "secret_id": secret_id,
            "target": self._ground.stack.credentials.grpc.kms,
            "dsn": self._ground.stack.admin_dsn,
            "count": keys,
            "value_bytes": value_bytes,
        }
        ask("many_keys", order, seconds=FILL_SECONDS)
        with psycopg.connect(self._ground.stack.admin_dsn, autocommit=True) as connection:
            connection.execute("vacuum analyze secrets.data_key")
        return Stocked(tenant, keys)

    def rotate(self, stocked: Stocked) -> tuple[Ended, dict[str, float]]:
        """Rotate and wait for the end; and the processor time of each process per key, in ms.

        Raises ApiError when the lease ends any other way or did not move every key.
        """
        families = self._ground.families
        before = families.cpu_seconds()
        ended = self._rotate(stocked)
        return ended, cpu_ms_each(before, families.cpu_seconds(), stocked.keys)

    def _rotate(self, stocked: Stocked) -> Ended:
        tenant, began = stocked.tenant, time.time()
        rotated = self._ground.admin(tenant, "POST", "/admin/tenant-kms/rotate", step_up=True)
        key = (tenant.id, rotated["rewrap_lease_id"])
        moved_at = None
        with psycopg.connect(self._ground.stack.admin_dsn, autocommit=True) as connection:
            while True:
                row = connection.execute(_LOOK, key, prepare=True).fetchone()
                assert row is not None
                state, all_moved, started, finished, now, done, kms_calls = row
                if all_moved and moved_at is None:
                    moved_at = now
                if state in FINISHED:
                    break
                if time.time() > began + REWRAP_SECONDS:
                    raise ApiError(f"the rewrap did not end within {REWRAP_SECONDS:g} s: {row}")
                time.sleep(POLL_SECONDS)
        if state != "completed" or done != stocked.keys or moved_at is None:
            raise ApiError(f"the rewrap did not move every key: {row}")
        moved = moved_at.timestamp()
        whole = finished.timestamp() - began
        return Ended(moved - began, max(moved - started.timestamp(), 1e-3), whole, kms_calls)

    def _size(self, count: int) -> None:
        """One size: whole and work, memory while it goes on, what it writes."""
        whole = Series(f"{count:,} keys, from the request to the end")
        work = Series(f"{count:,} keys, from the first batch to the last")
        self._section.series += [whole, work]
        self._tell(f"rewraps: storing {count:,} keys")
        stocked = self.stocked("bench-rewraps", count)
        tenant_id = uuid.UUID(stocked.tenant.id)
        self._limits.fill(tenant_id, self._data_key_ids(tenant_id))
        runs = min(self._plan.runs, FEW_RUNS) if count >= MANY_KEYS else self._plan.runs
        wal: list[int] = []
        calls: list[int] = []
        updates = self._updates()
        with Peaks(self._ground.families) as peaks:
            for run in range(1, runs + 1):
                self._tell(f"rewraps: {count:,} keys, run {run} of {runs}")
                limits = self._limits.rewraps(tenant_id, run + 1)
                before = self._wal()
                ended, cpu_ms = self.rotate(stocked)
                wal.append(self._wal() - before)
                calls.append(ended.kms_calls)
                whole.add(Sample(count / ended.whole, cpu_ms=cpu_ms), **limits)
                work.add(Sample(count / ended.work), **limits)
                self._section.operations += count
        of = f"{count:,} keys:"
        self._section.facts |= {
            f"{of} bytes of WAL per key": f"{median(wal) / count:.0f}",
            f"{of} rows of data keys written per key, and of these in their page (HOT)": (
                self._updates_since(updates, runs * count)
            ),
            f"{of} requests to the customer's KMS that a rewrap waited for": f"{max(calls)} at most",
            f"{of} memory of each process (USS) before and at most, MiB": peaks.words(),
        }

    def _payloads(self, count: int) -> None:
        small = self.stocked("bench-small-values", count)
        big = self.stocked("bench-big-values", count, BIG_VALUE)
        series = Series(f"{count:,} keys of values of 64 KiB, from the first batch to the last")
        self._section.series.append(series)
        for run in range(1, self._plan.runs + 1):
            self._tell(f"rewraps: values of 100 bytes and 64 KiB, run {run} of {self._plan.runs}")
            beside, _ = self.rotate(small)
            # No processor time: that of the verification, which opens these values, would be in it.
            ended, _ = self.rotate(big)
            series.add(Sample(count / ended.work), small=count / beside.work)

    def _workers(self, count: int) -> None:
        stocked = self.stocked("bench-workers", count)
        series = Series(f"{count:,} keys by two workers, from the first batch to the last")
        self._section.series.append(series)
        for run in range(1, min(self._plan.runs, FEW_RUNS) + 1):
            self._tell(f"rewraps: one worker and two, run {run}")
            alone, _ = self.rotate(stocked)
            with one_more_worker(self._ground):
                ended, _ = self.rotate(stocked)
            series.add(Sample(count / ended.work), one=count / alone.work)

    def _tenants(self, each: int) -> None:
        """All at once; who ends when, and how fairly (Jain's index of the rates: 1 is quite fair)."""
        self._tell(f"rewraps: {TENANTS} tenants with {each:,} keys each, at once")
        crowd = [self.stocked("bench-crowd", each) for _ in range(TENANTS)]
        with ThreadPoolExecutor(TENANTS) as pool:
            ended = list(pool.map(self._rotate, crowd))
        times = sorted(one.moved for one in ended)
        rate = TENANTS * each / times[-1]
        series = Series(f"{TENANTS} tenants at once, {each:,} keys each")
        series.add(Sample(rate))
        self._section.series.append(series)
        self._section.facts |= {
            f"{TENANTS} tenants at once: first and last had moved all after, s": (
                f"{times[0]:.2f}, {times[-1]:.2f}"
            ),
            f"{TENANTS} tenants at once: Jain's index of their rates": f"{fairness(times):.3f}",
        }

    def _among_small(self, count: int) -> None:
        """Beside itself alone. Last of all: the plans that the services keep are made for the small ones."""
        stocked = self.stocked("bench-among-small", count)
        series = Series(
            f"{count:,} keys beside {SMALL_TENANTS:,} small tenants, first batch to last"
        )
        self._section.series.append(series)
        runs = min(self._plan.runs, FEW_RUNS)
        alone = [self.rotate(stocked)[0] for _ in range(runs)]
        with psycopg.connect(self._ground.stack.admin_dsn, autocommit=True) as connection:
            connection.execute(_SMALL_TENANTS, (SMALL_TENANTS, SMALL_KEYS))
            connection.execute("vacuum analyze secrets.data_key")
            for run, one in enumerate(alone, 1):
                self._tell(f"rewraps: beside {SMALL_TENANTS:,} small tenants, run {run} of {runs}")
                ended, _ = self.rotate(stocked)
                series.add(Sample(count / ended.work), alone=count / one.work)

    def _wal(self) -> int:
        with psycopg.connect(self._ground.stack.admin_dsn, autocommit=True) as connection:
            row = connection.execute("select pg_current_wal_insert_lsn() - '0/0'").fetchone()
        return int(row[0]) if row else 0

    def _updates(self) -> tuple[int, int]:
        """Of the table of data keys, and those of them in their page."""
        with psycopg.connect(self._ground.stack.admin_dsn, autocommit=True) as connection:
            row = connection.execute(_UPDATES).fetchone()
        return (int(row[0]), int(row[1])) if row else (0, 0)

    def _updates_since(self, before: tuple[int, int], expected: int) -> str:
        """Sessions tell their counts some seconds late."""
        until = time.monotonic() + TELLING_SECONDS
        while True:
            rows, hot = (b - a for a, b in zip(before, self._updates(), strict=True))
            if rows >= expected or time.monotonic() > until:
                return f"{rows / expected:.2f}, {hot / max(rows, 1):.1%}"
            time.sleep(0.5)

    def _data_key_ids(self, tenant_id: UUID) -> Sequence[UUID]:
        """In physical order, so that the copies lie as the rows do."""
        with psycopg.connect(self._ground.stack.admin_dsn) as connection:
            rows = connection.execute(
                "select id from secrets.data_key where tenant_id = %s order by ctid", (tenant_id,)
            ).fetchall()
        return [row[0] for row in rows]


def sizes(keys: int) -> list[int]:
    """10,000, 100,000 and so on below `keys`, and `keys`."""
    found, size = [], 10_000
    while size < keys:
        found.append(size)
        size *= 10
    return [*found, keys]


def fairness(times: Sequence[float]) -> float:
    """Jain's index of the rates of those who did the same work in these times: 1/n to 1."""
    rates = [1 / seconds for seconds in times]
    return sum(rates) ** 2 / (len(rates) * sum(rate * rate for rate in rates))
