"""A tenant whose data keys are rewrapped for as long as wanted: again and again, and not in between."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Final

from benchmarks.ground import ApiError
from benchmarks.rewraps import FINISHED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.ground import BenchTenant, Ground

POLL_SECONDS: Final = 0.2
BEGIN_SECONDS: Final = 30.0
STILL_SECONDS: Final = 0.3
"""After a pause: batches under way come to their end."""
PATH: Final = "/admin/tenant-kms/rewraps"


class Rewrapping:
    """Rotates when a rewrap has ended, pauses the one that goes on when it is not wanted."""

    def __init__(self, ground: Ground, tenant: BenchTenant) -> None:
        self._ground = ground
        self._tenant = tenant
        self._lease_id: int | None = None
        self._done = 0
        self._wanted = threading.Event()
        self.rates: list[float] = []
        """Data keys per second, of each time that it went on."""

    @contextlib.contextmanager
    def going_on(self) -> Iterator[None]:
        """While the block runs. Raises ApiError when none begins, or one fails."""
        self._begin()
        self._wanted.set()
        faults: list[ApiError] = []
        thread = threading.Thread(target=self._keep, args=(faults,))
        thread.start()
        try:
            yield
        finally:
            self._wanted.clear()
            thread.join()
            self._end()
        if faults:
            raise faults[0]

    def _keep(self, faults: list[ApiError]) -> None:
        began, moved = time.monotonic(), 0
        try:
            while self._wanted.is_set():
                time.sleep(POLL_SECONDS)
                moved += self._look()
                if self._lease_id is None and self._wanted.is_set():
                    self._begin()
        except ApiError as error:
            faults.append(error)
        self.rates.append(moved / (time.monotonic() - began))

    def _look(self) -> int:
        """Keys moved since the last look; a lease that has ended is forgotten."""
        lease = self._ground.admin(self._tenant, "GET", f"{PATH}/{self._lease_id}")
        moved: int = lease["done"] - self._done
        self._done = lease["done"]
        if lease["state"] in FINISHED:
            if lease["state"] != "completed":
                raise ApiError(f"a rewrap ended {lease['state']}: {lease}")
            self._lease_id = None
        return moved

    def _begin(self) -> None:
        if self._lease_id is None:
            path = "/admin/tenant-kms/rotate"
            rotated = self._ground.admin(self._tenant, "POST", path, step_up=True)
            self._lease_id, self._done = rotated["rewrap_lease_id"], 0
        else:
            self._ground.admin(self._tenant, "POST", f"{PATH}/{self._lease_id}/resume")
        until = time.monotonic() + BEGIN_SECONDS
        while self._ground.admin(self._tenant, "GET", f"{PATH}/{self._lease_id}")["state"] in {
            "enqueued",
            "waiting",
        }:
            if time.monotonic() > until:
                raise ApiError("no rewrap began")
            time.sleep(POLL_SECONDS / 10)

    def _end(self) -> None:
        """Nothing is at work afterwards."""
        if self._lease_id is not None:
            # A lease that ended in this moment cannot be paused any more.
            with contextlib.suppress(ApiError):
                self._ground.admin(self._tenant, "POST", f"{PATH}/{self._lease_id}/pause")
            self._look()
        time.sleep(STILL_SECONDS)
