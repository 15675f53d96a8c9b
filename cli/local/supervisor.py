"""Keeps a set of children running: readiness, restart with back-off, orderly stop.

One thread watches all children; every change of state happens there or under its lock.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

from cli.local.children import POLL_SECONDS, Child, ChildSpec
from cli.local.errors import ChildFailedError, LocalError, StartCancelledError
from cli.local.records import ProcessRecords

FIRST_BACK_OFF_SECONDS = 0.1
LONGEST_BACK_OFF_SECONDS = 30.0
SETTLED_SECONDS = 10.0
"""A child that was ready for so long starts again with the shortest back-off."""


class State(Enum):
    """Where a child is between its description and its end."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Event:
    """Something a person reading the supervisor's log wants to know."""

    child: str
    what: str
    pid: int | None = None
    detail: str = ""


class _Watched:
    """A child with its restart policy."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.state = State.WAITING
        self.failure = ""
        self.was_ready = False
        self.attempts = 0
        self.next_start = 0.0
        self.since = 0.0
        self.back_off = FIRST_BACK_OFF_SECONDS


class Supervisor:
    """Starts children and keeps them up until `stop`. Construction starts no thread."""

    def __init__(self, records: ProcessRecords, on_event: Callable[[Event], None]) -> None:
        """`on_event` is called on the watching thread and must not block or raise."""
        self._records = records
        self._on_event = on_event
        self._children: dict[str, _Watched] = {}
        self._changed = threading.Condition(threading.RLock())
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, specs: Iterable[ChildSpec], cancelled: threading.Event | None = None) -> None:
        """Start `specs`, each when what it needs is ready; return when all are ready.

        May be called again with more. Raises ChildFailedError for a child that did not become
        ready (the others go on until `stop`), StartCancelledError when `cancelled` is set
        meanwhile, LocalError for a need that nobody meets.
        """
        batch = list(specs)
        with self._changed:
            self._add(batch)
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
                self._thread.start()
        names = [spec.name for spec in batch]
        while not self._all_ready(names):
            if cancelled is not None and cancelled.is_set():
                raise StartCancelledError
            with self._changed:
                self._changed.wait(POLL_SECONDS)

    def pid(self, name: str) -> int:
        """The process id of a running child. Raises LocalError while it is down."""
        with self._changed:
            pid = self._children[name].child.pid
        if pid is None:
            raise LocalError(f"{name} is not running")
        return pid

    def state(self, name: str) -> State:
        """The state of a child; KeyError for an unknown name."""
        with self._changed:
            return self._children[name].state

    def wait_ready(self, name: str, seconds: float, *, other_than: int | None = None) -> int:
        """Wait until `name` is ready under a pid other than `other_than`; return the pid.

        Raises LocalError after `seconds`.
        """
        limit = time.monotonic() + seconds
        with self._changed:
            watched = self._children[name]
            while True:
                pid = watched.child.pid
                if watched.state is State.READY and pid is not None and pid != other_than:
                    return pid
                if time.monotonic() > limit:
                    raise LocalError(f"{name} was not ready again within {seconds:g} s")
                self._changed.wait(POLL_SECONDS)

    def stop(self) -> None:
        """Stop all children, the last started first. May be called twice, and after a failure."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        for name, watched in reversed(self._children.items()):
            pid = watched.child.pid
            if pid is None:
                continue
            obeyed = watched.child.stop()
            self._report(Event(name, "stopped" if obeyed else "killed: did not stop", pid))
        self._children.clear()

    def _add(self, batch: list[ChildSpec]) -> None:
        for spec in batch:
            missing = [need for need in spec.needs if need not in self._children]
            if missing or spec.name in self._children:
                why = f"needs {', '.join(missing)}" if missing else "is running already"
                raise LocalError(f"{spec.name} cannot be started: {why}")
            self._children[spec.name] = _Watched(Child(spec, self._records))

    def _all_ready(self, names: list[str]) -> bool:
        with self._changed:
            for name in names:
                watched = self._children[name]
                if watched.state is State.FAILED:
                    child = watched.child
                    raise ChildFailedError(
                        name, watched.failure, child.spec.log_file, child.log_tail()
                    )
            return all(self._children[name].was_ready for name in names)

    def _watch(self) -> None:
        while not self._stopping.wait(POLL_SECONDS):
            with self._changed:
                for watched in self._children.values():
                    self._step(watched)
                self._changed.notify_all()

    def _step(self, watched: _Watched) -> None:
        now = time.monotonic()
        if watched.state is State.WAITING:
            if now >= watched.next_start and self._needs_met(watched):
                self._spawn(watched, now)
            return
        if watched.state is State.FAILED:
            return
        ended = watched.child.ended()
        if ended is not None:
            self._died(watched, now, ended)
        elif watched.state is State.STARTING:
            self._look_for_readiness(watched, now)

    def _needs_met(self, watched: _Watched) -> bool:
        return all(self._children[need].was_ready for need in watched.child.spec.needs)

    def _spawn(self, watched: _Watched, now: float) -> None:
        watched.attempts += 1
        watched.state, watched.since = State.STARTING, now
        try:
            watched.child.spawn()
        except (OSError, LocalError) as error:
            self._died(watched, now, f"could not be started: {error}")
            return
        self._tell(watched, "started")

    def _look_for_readiness(self, watched: _Watched, now: float) -> None:
        if watched.child.is_ready():
            watched.state, watched.since = State.READY, now
            watched.was_ready = True
            self._tell(watched, "ready")
        elif now - watched.since > watched.child.spec.ready_seconds:
            watched.child.kill()  # at once: the other children are not watched meanwhile
            self._died(watched, now, "did not become ready in time")

    def _died(self, watched: _Watched, now: float, how: str) -> None:
        if not watched.was_ready and watched.attempts >= watched.child.spec.first_attempts:
            watched.state, watched.failure = State.FAILED, how
            self._tell(watched, "failed", how)
            return
        if watched.state is State.READY and now - watched.since > SETTLED_SECONDS:
            watched.back_off = FIRST_BACK_OFF_SECONDS
        watched.state = State.WAITING
        watched.next_start = now + watched.back_off
        self._tell(watched, "died", f"{how}; next start in {watched.back_off:g} s")
        watched.back_off = min(2 * watched.back_off, LONGEST_BACK_OFF_SECONDS)

    def _tell(self, watched: _Watched, what: str, detail: str = "") -> None:
        self._report(Event(watched.child.spec.name, what, watched.child.pid, detail))

    def _report(self, event: Event) -> None:
        # A full disk or a closed terminal must not end the watch.
        with contextlib.suppress(OSError):
            self._on_event(event)
