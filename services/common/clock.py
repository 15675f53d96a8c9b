"""The clock by which the process forgets: it runs through suspend, where the system has such a one. Pure."""

from __future__ import annotations

import time


def clock() -> float:
    """Seconds that never go back. CLOCK_MONOTONIC stands still while a machine sleeps; keys must not."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)
