"""The counters stay exact when the log is full, and nothing leaks in flight."""

from __future__ import annotations

import pytest

from devcloud.ledger import LOG_LIMIT, OK, Ledger


def test_counters_go_on_beyond_the_log() -> None:
    ledger = Ledger()
    for _ in range(LOG_LIMIT + 5):
        with ledger.call("Decrypt") as call:
            call.outcome = OK
    assert len(ledger.calls()) == LOG_LIMIT
    assert ledger.calls()[-1].number == LOG_LIMIT + 5
    (tally,) = ledger.tallies()
    assert tally.calls == LOG_LIMIT + 5


def test_calls_in_flight_are_counted_and_given_back_on_failure() -> None:
    ledger = Ledger()

    def fail_beside_another_call() -> None:
        with ledger.call("Encrypt") as one, ledger.occupying(one, "key"):
            with ledger.call("Encrypt") as two, ledger.occupying(two, "key"):
                two.outcome = OK
                (tally,) = ledger.tallies()
                assert (tally.in_flight, tally.calls) == (2, 0)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_beside_another_call()
    (tally,) = ledger.tallies()
    assert (tally.in_flight, tally.peak_in_flight) == (0, 2)
    assert tally.outcomes == {"ok": 1, "aborted": 1}


def test_a_reset_forgets_what_was() -> None:
    ledger = Ledger()
    with ledger.call("Encrypt") as call, ledger.occupying(call, "key"):
        call.outcome = OK
    ledger.reset()
    assert ledger.tallies() == ()
    assert ledger.calls() == ()
