"""What breaks when a client gives up too early, never gives up, or repeats what is decided."""

from __future__ import annotations

import pytest

from coffer_client import (
    ConflictError,
    DeadlineExceededError,
    KeyRevokedError,
    RateLimitedError,
    Retries,
    SecretDeletedError,
    TenantSealedError,
    UnavailableError,
)
from coffer_client.retries import Attempts


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def _attempts(clock: Clock, timeout: float = 10.0, lot: float = 1.0) -> Attempts:
    return Attempts(Retries(), timeout, clock, lambda: lot)


def test_pauses_double_up_to_a_bound_and_half_is_drawn_by_lot() -> None:
    full = [Retries().pause(n, None, 1.0) for n in (1, 2, 3, 6, 1000)]
    assert full == [0.1, 0.2, 0.4, 2.0, 2.0]
    assert Retries().pause(3, None, 0.0) == 0.2


def test_no_pause_is_shorter_than_was_asked_for() -> None:
    assert Retries().pause(1, 1.0, 0.0) == 1.0


@pytest.mark.parametrize(
    "error",
    [
        KeyRevokedError("gone"),
        SecretDeletedError("deleted"),
        ConflictError("taken"),
        RateLimitedError("slow down", retry_after=1),
        DeadlineExceededError("late"),
    ],
)
def test_what_is_decided_is_not_repeated(error: Exception) -> None:
    with pytest.raises(type(error)):
        _attempts(Clock()).pause_after(error)  # type: ignore[arg-type]


def test_no_attempt_begins_after_the_deadline() -> None:
    clock = Clock()
    attempts = _attempts(clock, timeout=1.0)
    assert attempts.pause_after(UnavailableError("down")) == 0.1
    clock.now += 0.9
    assert attempts.left == pytest.approx(0.1)
    with pytest.raises(UnavailableError):
        attempts.pause_after(UnavailableError("down"))


def test_a_seal_that_outlasts_the_deadline_is_told_at_once() -> None:
    with pytest.raises(TenantSealedError):
        _attempts(Clock()).pause_after(TenantSealedError("sealed", retry_after=30))
    assert _attempts(Clock(), 60.0).pause_after(TenantSealedError("s", retry_after=30)) == 30
