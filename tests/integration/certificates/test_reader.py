"""The worker processes: kept alive, kept within limits, and never left behind."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from services.secrets.certificates import (
    CertificateReader,
    CertificateReaderFailed,
    CertificateReaderUnavailable,
    CertificateRefused,
)
from tests.fakes.certificates import (
    NOW,
    Issued,
    encrypted_info,
    encrypted_pem,
    issue,
    rsa_key,
    tlv,
)

LEAF = issue(dns=["example.com"])
SLOW_ROUNDS = 1_000_000  # the most that is accepted: 0.1 s to 2 s of processor time


@pytest.fixture
async def reader() -> AsyncIterator[CertificateReader]:
    made = CertificateReader(workers=1, cpu_seconds=30, wall_seconds=60)
    await made.start()
    yield made
    await made.aclose()


def slow_key(leaf: Issued) -> str:
    return encrypted_pem(leaf.key, "x", rounds=SLOW_ROUNDS)


def scrypt_key(n: int) -> str:
    """No key at all, under scrypt with r = 8, p = 1 (RFC 7914), which takes 1,024 * n bytes."""
    cost = tlv(2, n.to_bytes(n.bit_length() // 8 + 1, "big"))
    parameters = tlv(0x30, tlv(4, b"saltsalt") + cost + tlv(2, b"\x08") + tlv(2, b"\x01"))
    scrypt = tlv(6, bytes.fromhex("2b06010401da47040b")) + parameters
    cipher = tlv(6, bytes.fromhex("60864801650304012a")) + tlv(4, b"\x01" * 16)
    return encrypted_info(tlv(0x30, scrypt), tlv(0x30, cipher), b"\x01" * 64)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110 - another process sets no event here
            await asyncio.sleep(0.01)


async def test_reads_and_refuses_as_the_pure_function_does(reader: CertificateReader) -> None:
    material = await reader.read(LEAF.pem, LEAF.key_pem, None, "pem", NOW)
    assert material.private_key == LEAF.key_pem.encode()
    assert material.metadata.dns_names == ("example.com",)
    with pytest.raises(CertificateRefused) as caught:
        await reader.read(LEAF.pem, issue().key_pem, None, "pem", NOW)
    assert (caught.value.field, caught.value.reason) == ("private_key", "key_mismatch")
    with pytest.raises(CertificateRefused):
        await reader.read("", None, None, "pem", NOW)


async def test_a_fault_of_ours_names_its_kind_and_the_worker_goes_on(
    reader: CertificateReader,
) -> None:
    pids = reader.worker_pids
    naive = NOW.replace(tzinfo=None)
    with pytest.raises(CertificateReaderFailed, match=r"^ValueError$"):
        await reader.read(LEAF.pem, None, None, "pem", naive)
    assert (await reader.read(LEAF.pem, None, None, "pem", NOW)).metadata.subject
    assert reader.worker_pids == pids


async def test_too_much_work_is_refused_and_the_worker_replaced() -> None:
    reader = CertificateReader(workers=1, cpu_seconds=0.04)
    await reader.start()
    try:
        (before,) = reader.worker_pids
        with pytest.raises(CertificateRefused) as caught:
            await reader.read(LEAF.pem, slow_key(LEAF), "x", "pem", NOW)
        assert (caught.value.field, caught.value.reason) == ("private_key", "unsupported_algorithm")
        assert not psutil.pid_exists(before)
        assert (await reader.read(LEAF.pem, None, None, "pem", NOW)).metadata.subject
        assert reader.worker_pids not in {(), (before,)}
    finally:
        await reader.aclose()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of a process")
async def test_too_much_memory_is_refused_and_the_worker_replaced() -> None:
    reader = CertificateReader(workers=1, memory_bytes=128 * 2**20)
    await reader.start()
    try:
        (before,) = reader.worker_pids
        with pytest.raises(CertificateRefused) as caught:
            await reader.read(LEAF.pem, scrypt_key(2**18), "x", "pem", NOW)
        assert (caught.value.field, caught.value.reason) == ("private_key", "unsupported_algorithm")
        assert not psutil.pid_exists(before)
        assert (await reader.read(LEAF.pem, None, None, "pem", NOW)).metadata.subject
    finally:
        await reader.aclose()


@pytest.mark.slow
async def test_the_dearest_key_derivation_has_the_memory_it_needs(
    reader: CertificateReader,
) -> None:
    with pytest.raises(CertificateRefused) as caught:
        await reader.read(LEAF.pem, scrypt_key(2**18), "x", "pem", NOW)
    assert caught.value.reason == "wrong_passphrase"  # it was tried


async def test_a_machine_that_gives_no_time_is_unavailable_not_a_refusal() -> None:
    reader = CertificateReader(workers=1, cpu_seconds=60, wall_seconds=0.01)
    await reader.start()
    try:
        with pytest.raises(CertificateReaderUnavailable):
            await reader.read(LEAF.pem, slow_key(LEAF), "x", "pem", NOW)
        assert reader.worker_pids == ()
    finally:
        await reader.aclose()


async def test_a_worker_killed_while_idle_costs_nobody_an_answer(reader: CertificateReader) -> None:
    (pid,) = reader.worker_pids
    os.kill(pid, signal.SIGKILL)
    assert (await reader.read(LEAF.pem, None, None, "pem", NOW)).metadata.subject
    assert reader.worker_pids != (pid,)


async def test_a_worker_killed_in_the_middle_of_a_job_is_replaced_and_the_job_done(
    reader: CertificateReader,
) -> None:
    (pid,) = reader.worker_pids
    before = psutil.Process(pid).cpu_times().user
    job = asyncio.create_task(reader.read(LEAF.pem, slow_key(LEAF), "x", "pem", NOW))
    await until(lambda: job.done() or psutil.Process(pid).cpu_times().user > before)
    os.kill(pid, signal.SIGKILL)
    assert (await job).metadata.has_private_key


async def test_what_crashes_the_parser_is_refused_and_not_tried_for_ever(
    reader: CertificateReader,
) -> None:
    (pid,) = reader.worker_pids
    before = psutil.Process(pid).cpu_times().user
    key = slow_key(LEAF)
    jobs = [asyncio.create_task(reader.read(LEAF.pem, key, "x", "pem", NOW)) for _ in range(5)]
    await until(lambda: psutil.Process(pid).cpu_times().user > before)
    os.kill(pid, signal.SIGSEGV)
    answers = await asyncio.gather(*jobs, return_exceptions=True)
    (refusal,) = [answer for answer in answers if isinstance(answer, BaseException)]
    assert isinstance(refusal, CertificateRefused)
    assert refusal.reason == "malformed"


async def test_the_event_loop_goes_on_while_keys_are_derived(reader: CertificateReader) -> None:
    jobs = [
        asyncio.create_task(reader.read(LEAF.pem, slow_key(LEAF), "x", "pem", NOW))
        for _ in range(3)
    ]
    ticks = 0
    while not all(job.done() for job in jobs):
        await asyncio.sleep(0.001)
        ticks += 1
    await asyncio.gather(*jobs)
    assert ticks > 20


async def test_neighbours_are_answered_while_one_worker_is_busy() -> None:
    reader = CertificateReader(workers=2, cpu_seconds=30, wall_seconds=60)
    await reader.start()
    try:
        slow = asyncio.create_task(reader.read(LEAF.pem, slow_key(LEAF), "x", "pem", NOW))
        quick = [reader.read(LEAF.pem, LEAF.key_pem, None, "pem", NOW) for _ in range(40)]
        read = await asyncio.gather(*quick)
        assert {material.content for material in read} == {LEAF.pem.encode()}
        assert (await slow).passphrase == b"x"
    finally:
        await reader.aclose()


async def test_more_than_may_wait_are_sent_away_at_once() -> None:
    reader = CertificateReader(workers=1, cpu_seconds=30, max_waiting=1)
    await reader.start()
    try:
        first = asyncio.create_task(reader.read(LEAF.pem, slow_key(LEAF), "x", "pem", NOW))
        await asyncio.sleep(0)
        with pytest.raises(CertificateReaderUnavailable):
            await reader.read(LEAF.pem, None, None, "pem", NOW)
        assert (await first).metadata.has_private_key
        assert (await reader.read(LEAF.pem, None, None, "pem", NOW)).metadata.subject
    finally:
        await reader.aclose()


async def test_a_cancelled_caller_leaves_the_reader_usable(reader: CertificateReader) -> None:
    job = asyncio.create_task(reader.read(LEAF.pem, slow_key(LEAF), "x", "pem", NOW))
    await asyncio.sleep(0)
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    assert (await reader.read(LEAF.pem, None, None, "pem", NOW)).metadata.subject


async def test_closing_ends_processes_and_jobs_under_way(reader: CertificateReader) -> None:
    (pid,) = reader.worker_pids
    jobs = [
        asyncio.create_task(reader.read(LEAF.pem, slow_key(LEAF), "x", "pem", NOW))
        for _ in range(3)
    ]
    await asyncio.sleep(0)
    await reader.aclose()
    for job in jobs:
        with pytest.raises(CertificateReaderUnavailable):
            await job
    assert not psutil.pid_exists(pid)
    assert reader.worker_pids == ()
    await reader.aclose()
    with pytest.raises(CertificateReaderUnavailable):
        await reader.read(LEAF.pem, None, None, "pem", NOW)


async def test_it_may_be_started_again(reader: CertificateReader) -> None:
    await reader.aclose()
    await reader.start()
    assert (await reader.read(LEAF.pem, None, None, "pem", NOW)).metadata.subject


def test_construction_starts_nothing() -> None:
    before = psutil.Process().children()
    assert CertificateReader().worker_pids == ()
    assert psutil.Process().children() == before


PARENT = """
import asyncio, sys
from services.secrets.certificates import CertificateReader
from tests.fakes.certificates import NOW

async def main():
    reader = CertificateReader(workers=2, cpu_seconds=5, wall_seconds=60)
    await reader.start()
    busy, content, key = sys.argv[1], open(sys.argv[2]).read(), open(sys.argv[3]).read()
    print(*reader.worker_pids, flush=True)
    if busy == "busy":
        await asyncio.gather(*(reader.read(content, key, "x", "pem", NOW) for _ in range(60)))
    await asyncio.sleep(600)

if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest.mark.parametrize("state", ["idle", "busy"])
def test_workers_die_with_a_killed_parent(state: str, tmp_path: Path) -> None:
    leaf = issue(key=rsa_key())
    (tmp_path / "parent.py").write_text(PARENT)
    (tmp_path / "leaf.pem").write_text(leaf.pem)
    (tmp_path / "key.pem").write_text(slow_key(leaf))
    script = [
        str(tmp_path / "parent.py"),
        state,
        str(tmp_path / "leaf.pem"),
        str(tmp_path / "key.pem"),
    ]
    parent = subprocess.Popen(
        [sys.executable, *script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert parent.stdout is not None
        workers = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
        assert len(workers) == 2
    finally:
        parent.kill()
        _, errors = parent.communicate(timeout=30)
    _, alive = psutil.wait_procs(workers, timeout=30)
    assert not alive
    assert errors == ""


async def test_an_interrupt_from_the_terminal_does_not_end_or_upset_a_worker(
    reader: CertificateReader, capfd: pytest.CaptureFixture[str]
) -> None:
    (pid,) = reader.worker_pids
    os.kill(pid, signal.SIGINT)
    assert (await reader.read(LEAF.pem, LEAF.key_pem, "canary", "pem", NOW)).metadata.subject
    assert reader.worker_pids == (pid,)
    await reader.aclose()
    assert capfd.readouterr() == ("", "")
