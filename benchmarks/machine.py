"""The facts about the machine without which a figure says nothing."""

from __future__ import annotations

import os
import platform
import tempfile
import time
from statistics import median

import psutil

GIB = 1024**3
FLUSHES = 100
PAGE = 8192


def facts() -> dict[str, str]:
    """What a reader compares with his own machine. `flush` is one 8 KiB page written and synced."""
    return {
        "processors": str(os.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / GIB:.1f} GiB",
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load before": f"{os.getloadavg()[0]:.1f} (of others: should be near 0)",
        "flush": f"{flush_us():.0f} us (median of {FLUSHES}, 8 KiB, where the database is)",
    }


def flush_us() -> float:
    """How long the disk of the temporary folder takes for what a commit waits for, in us."""
    taken = []
    with tempfile.TemporaryFile(buffering=0) as file:
        for _ in range(FLUSHES):
            began = time.perf_counter()
            os.pwrite(file.fileno(), bytes(PAGE), 0)
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter() - began)
    return median(taken) * 1e6
