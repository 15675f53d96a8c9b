"""`python -m benchmarks.profiled FILE MODULE`: run a service's module so that it can be profiled.

SIGUSR1 begins, SIGUSR2 ends and writes FILE (pstats). The clock is the processor time of the main thread,
so that waiting costs nothing. Calls are seen in that thread alone, and only where Python runs: what the
event loop and gRPC do in C, and gRPC's own threads, is missing; `benchmarks.profiles` tells how much that
is.
"""

from __future__ import annotations

import cProfile
import runpy
import signal
import sys
import time
from pathlib import Path


def main() -> None:
    """Become the module."""
    file, module = Path(sys.argv[1]), sys.argv[2]
    profiler = cProfile.Profile(time.thread_time)

    def end(_number: int, _frame: object) -> None:
        profiler.disable()
        partial = file.with_suffix(".partial")
        profiler.dump_stats(partial)
        partial.replace(file)

    signal.signal(signal.SIGUSR1, lambda _number, _frame: profiler.enable())
    signal.signal(signal.SIGUSR2, end)
    sys.argv = [module, *sys.argv[3:]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
