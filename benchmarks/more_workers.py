"""One more process of rewrap beside that of the stack, told the same."""

from __future__ import annotations

import contextlib
import subprocess
import time
from typing import TYPE_CHECKING, Final

import psutil

from benchmarks.children import ChildError
from cli.local.services import REWRAP, python_module

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.ground import Ground

READY_SECONDS: Final = 30.0
STOP_SECONDS: Final = 20.0
LISTEN: Final = ("COFFER_REWRAP_LISTEN", "COFFER_REWRAP_METRICS_LISTEN")


@contextlib.contextmanager
def one_more_worker(ground: Ground) -> Iterator[None]:
    """It works within the block. Raises ChildError when it does not come up."""
    told = psutil.Process(ground.stack.pid(REWRAP)).environ()
    ready = ground.stack.directory.run / "rewrap-more.ready.json"
    ready.unlink(missing_ok=True)
    told |= dict.fromkeys(LISTEN, "127.0.0.1:0")
    told["COFFER_REWRAP_READY_FILE"] = str(ready)
    log = ground.stack.directory.logs / "rewrap-more.log"
    with (
        log.open("ab") as lines,
        subprocess.Popen(
            python_module("services.rewrap"), env=told, stdout=lines, stderr=lines
        ) as worker,
    ):
        try:
            until = time.monotonic() + READY_SECONDS
            while not ready.exists():
                if worker.poll() is not None or time.monotonic() > until:
                    raise ChildError("another worker did not come up")
                time.sleep(0.05)
            yield
        finally:
            worker.terminate()
            try:
                worker.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                worker.kill()
