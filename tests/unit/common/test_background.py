"""What is done now and then goes on after a turn that failed, and tells no text."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from services.common.background import repeatedly
from services.common.errors import UnavailableError


async def test_a_turn_that_fails_is_told_and_the_next_one_comes() -> None:
    turns = 0
    through = asyncio.Event()

    async def turn() -> None:
        nonlocal turns
        turns += 1
        if turns == 1:
            raise UnavailableError("Nobody answers.")
        if turns == 2:
            raise RuntimeError("DETAIL: the-text-nobody-may-see")
        through.set()

    with capture_logs() as logs:
        task = asyncio.create_task(repeatedly(turn, 0, "sweep"))
        await through.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert [line["event"] for line in logs] == ["sweep_failed", "sweep_defect"]
    assert "nobody-may-see" not in str(logs)
