"""Places for tries of bindings that cannot be used: one whose cloud hangs keeps no other waiting.

A try begins in a quick place, unless the last one of the binding was slow: those have places of their own
and wait for each other only. A quick try that has not ended after PATIENCE_SECONDS gives its place back and
goes on as a straggler, as long as there are not too many of these.

So bindings whose clouds answer are tried in time however many others hang: about QUICK a second of these, and
of those that hang three times SLOW in 30 s, since a cloud call ends after 10 s. Each provider bounds its
calls besides (`providers.lanes`), so that a slow try may end without its cloud having been asked.

Not promised: that time while more than STRAGGLERS hang of which it is not known yet that they do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio

    from services.kms.ports import Clock

QUICK: Final = 32
STRAGGLERS: Final = 64
"""With QUICK fewer than a provider lets straggle, so that requests keep places there."""
SLOW: Final = 384
PATIENCE_SECONDS: Final = 1.0
"""A try that has not ended after this is slow."""


class Tries:
    """Belongs to one event loop. At most QUICK + STRAGGLERS + SLOW are under way."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._quick: dict[asyncio.Task[None], float] = {}
        self._stragglers: set[asyncio.Task[None]] = set()
        self._slow: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._quick) + len(self._stragglers) + len(self._slow)

    def free(self) -> tuple[int, int]:
        """How many may begin now: quick ones, slow ones."""
        late = self._clock() - PATIENCE_SECONDS
        for task, began_at in list(self._quick.items()):
            if began_at <= late and len(self._stragglers) < STRAGGLERS:
                del self._quick[task]
                self._stragglers.add(task)
        return QUICK - len(self._quick), SLOW - len(self._slow)

    def begin(self, task: asyncio.Task[None], *, slow: bool) -> None:
        """It has a place until it is done."""
        if slow:
            self._slow.add(task)
        else:
            self._quick[task] = self._clock()
        task.add_done_callback(self._ended)

    def cancel(self) -> None:
        """Give up all of them."""
        for task in (*self._quick, *self._stragglers, *self._slow):
            task.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._quick.pop(task, None)
        self._stragglers.discard(task)
        self._slow.discard(task)
