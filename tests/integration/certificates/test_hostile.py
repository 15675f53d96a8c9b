"""Material that asks for too much, through real workers: refused or read, soon, and at nobody's expense.

What is sent is in tests/fuzz/hostile, one line for each attack.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Final

import psutil
import pytest

from services.secrets.certificates import CertificateReader, CertificateRefused
from services.secrets.certificates.workers.reader import CPU_SECONDS
from tests.fakes.certificates import NOW
from tests.fuzz import oracle
from tests.fuzz.case import Case
from tests.fuzz.hostile import certificates, containers, keys, texts
from tests.fuzz.hostile.building import HONEST

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

STILL_SECONDS: Final = 2.0
"""How long the event loop may stand still on a busy machine; reading all of it here would take longer."""
HONEST_SECONDS: Final = 30.0
"""For a job that takes a millisecond, on a busy machine, with a new worker to be started."""
MEBIBYTES: Final = 200
"""What a worker may have grown to in the meantime; the interpreter takes 40. Scrypt has its own test."""


@pytest.fixture
async def reader() -> AsyncIterator[CertificateReader]:
    made = CertificateReader(workers=1, wall_seconds=60)
    await made.start()
    yield made
    await made.aclose()


@contextlib.asynccontextmanager
async def ticking() -> AsyncIterator[list[float]]:
    """Gaps between the moments at which a task that only wants to go on could do so."""
    gaps: list[float] = []

    async def tick() -> None:
        before = time.monotonic()
        while True:
            await asyncio.sleep(0.002)
            gaps.append(time.monotonic() - before)
            before = time.monotonic()

    task = asyncio.create_task(tick())
    try:
        yield gaps
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def read(reader: CertificateReader, case: Case) -> str:
    """The refusal's reason, or "material"; every other exception is a failure."""
    try:
        await reader.read(
            case.content, case.private_key, case.passphrase, case.certificate_type, NOW
        )
    except CertificateRefused as caught:
        refusal = caught
    else:
        return "material"
    assert not oracle.repeats(refusal.message, case)
    return refusal.reason or "invalid"


@pytest.mark.parametrize(
    "cases",
    [keys.cases, certificates.cases, containers.cases, texts.cases],
    ids=["keys", "certificates", "containers", "texts"],
)
async def test_it_is_answered_in_time_and_the_next_one_at_once(
    reader: CertificateReader, cases: Callable[[], list[tuple[str, Case]]]
) -> None:
    honest = Case("pem", HONEST.pem, HONEST.key_pem)
    before = reader.worker_pids
    slow = []
    async with ticking() as gaps:
        for name, case in await asyncio.to_thread(cases):
            began = cpu_seconds(reader)
            outcome = await read(reader, case)
            spent = cpu_seconds(reader) - began
            if reader.worker_pids != before or spent > CPU_SECONDS:
                slow.append(f"{name}: {outcome} after {spent:.1f} s")
                before = reader.worker_pids
            async with asyncio.timeout(HONEST_SECONDS):
                assert await read(reader, honest) == "material", name
    assert slow == [], "these were not refused by what was read, but by the end of the worker"
    assert max(gaps) < STILL_SECONDS
    (pid,) = reader.worker_pids
    assert psutil.Process(pid).memory_info().rss < MEBIBYTES * 2**20


def cpu_seconds(reader: CertificateReader) -> float:
    """Processor time of the worker so far; 0 for one that is gone."""
    for pid in reader.worker_pids:
        times = psutil.Process(pid).cpu_times()
        return times.user + times.system
    return 0.0


@pytest.mark.parametrize("kind", ["key beside: ", "key alone: ", "pfx: "])
async def test_ten_million_rounds_are_refused_for_their_number(
    reader: CertificateReader, kind: str
) -> None:
    found = containers.cases() if kind == "pfx: " else keys.cases()
    dear = [case for name, case in found if name.startswith(f"{kind}ten million rounds")]
    assert len(dear) == 3
    began = cpu_seconds(reader)
    assert {await read(reader, case) for case in dear} == {"unsupported_algorithm"}
    assert cpu_seconds(reader) - began < 0.5
