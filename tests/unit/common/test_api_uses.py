"""Uses of API keys on their way to the database: none is lost by a stop or by a database that is away."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

import pytest

from services.common import api_uses
from services.common.api_uses import UseRecorder, recording
from services.common.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.common.database import Database

TENANT = uuid4()
NOW = datetime(2026, 11, 22, 12, 34, 56, 789, tzinfo=UTC)
MINUTE = datetime(2026, 11, 22, 12, 34, tzinfo=UTC)


class Writes:
    """A database that keeps what is written, or is away."""

    def __init__(self) -> None:
        self.rows: list[tuple[Any, ...]] = []
        self.statements = 0
        self.away = False

    async def write(self, query: str, parameters: Sequence[list[Any]]) -> list[tuple[Any, ...]]:
        await asyncio.sleep(0)
        if self.away:
            raise UnavailableError
        self.statements += 1
        self.rows += zip(*parameters, strict=True)
        return []


@pytest.fixture
def writes() -> Writes:
    return Writes()


@pytest.fixture
def recorder(writes: Writes) -> UseRecorder:
    return UseRecorder(cast("Database", writes), lambda: NOW)


async def test_what_is_noted_before_a_stop_is_written(
    writes: Writes, recorder: UseRecorder
) -> None:
    async with recording(recorder):
        for key in ("a", "b", "a"):
            recorder.note(TENANT, key)
        assert writes.rows == []
    assert sorted(writes.rows) == [(TENANT, "a", MINUTE, 2), (TENANT, "b", MINUTE, 1)]


async def test_a_stop_does_not_fail_by_a_database_that_is_away(
    writes: Writes, recorder: UseRecorder
) -> None:
    writes.away = True
    async with recording(recorder):
        recorder.note(TENANT, "a")


async def test_what_could_not_be_written_is_kept_with_what_came_since(
    writes: Writes, recorder: UseRecorder
) -> None:
    writes.away = True
    recorder.note(TENANT, "a")
    flushing = asyncio.create_task(recorder.flush())
    await asyncio.sleep(0)
    recorder.note(TENANT, "a")
    with pytest.raises(UnavailableError):
        await flushing
    writes.away = False
    await recorder.flush()
    await recorder.flush()
    assert writes.rows == [(TENANT, "a", MINUTE, 2)]


async def test_many_keys_are_written_in_statements_of_bounded_size(
    writes: Writes, recorder: UseRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_uses, "MAX_ROWS", 4)
    monkeypatch.setattr(api_uses, "MAX_COLLECTED", 10)
    for number in range(12):
        recorder.note(TENANT, str(number))
        recorder.note(TENANT, "0")
    await recorder.flush()
    assert writes.statements == 3
    assert sum(calls for *_, calls in writes.rows) == 10 + 12
