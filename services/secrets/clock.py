"""Clocks. The one that bounds the life of keys runs on while the machine is suspended."""

from __future__ import annotations

import time
from typing import Final

_BOOT_TIME: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def boot_seconds() -> float:
    """Seconds since the machine started, suspension included where the system can tell (Linux)."""
    return time.clock_gettime(_BOOT_TIME)
