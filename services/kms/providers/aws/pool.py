"""Sessions with customers' roles, each made once however many wait for it. Belongs to one event loop."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from services.kms.providers.aws.errors import Action
from services.kms.providers.aws.sdk import Step

if TYPE_CHECKING:
    from services.kms.providers.aws.sdk import Threads
    from services.kms.providers.aws.sessions import Session, SessionKey, SessionMaker

MAX_SESSIONS: Final = 512


@dataclass(frozen=True, slots=True)
class _Making:
    task: asyncio.Task[Session]
    step: Step

    @property
    def spent(self) -> bool:
        """Whether it gives no good session any more."""
        if not self.task.done():
            return False
        failed = self.task.cancelled() or self.task.exception() is not None
        return failed or not self.task.result().good

    def gave(self, session: Session) -> bool:
        """Whether this is the session that it gave."""
        task = self.task
        ended = task.done() and not task.cancelled() and task.exception() is None
        return ended and task.result() is session


@dataclass(slots=True)
class Progress:
    """How far one call has come: the step that it waits for.

    `reused`: its session was there before, so the customer may have ended it since.
    """

    step: Step
    reused: bool = False

    @property
    def asked(self) -> bool:
        """Whether AWS may have heard of it."""
        return self.step.asked


class SessionPool:
    """At most MAX_SESSIONS; the least recently used go first."""

    def __init__(self, maker: SessionMaker, threads: Threads) -> None:
        self._maker = maker
        self._threads = threads
        self._made: OrderedDict[SessionKey, _Making] = OrderedDict()

    async def get(self, key: SessionKey, deadline: float, progress: Progress) -> Session:
        """The role's session: one that is good, or a new one. Raises as `Threads.call`."""
        making = self._made.get(key)
        if making is not None and making.spent:
            self.forget(key)
            making = None
        if making is None:
            step = Step(Action.ASSUME_ROLE)
            making = _Making(asyncio.create_task(self._make(key, deadline, step)), step)
            self._made[key] = making
            while len(self._made) > MAX_SESSIONS:
                self.forget(next(iter(self._made)))
        self._made.move_to_end(key)
        progress.step, progress.reused = making.step, making.task.done()
        return await asyncio.shield(making.task)

    async def _make(self, key: SessionKey, deadline: float, step: Step) -> Session:
        return await self._threads.call(
            key.tenant_id, lambda: self._maker.make(key), deadline, step
        )

    def refused(self, key: SessionKey, session: Session) -> None:
        """AWS does not take this session: make a new one the next time, unless somebody did already."""
        making = self._made.get(key)
        if making is not None and making.gave(session):
            self.forget(key)

    def forget(self, key: SessionKey) -> None:
        """Make a new one the next time."""
        making = self._made.pop(key, None)
        if making is not None:
            _close(making.task)

    def close(self) -> None:
        """Forget all."""
        for making in self._made.values():
            _close(making.task)
        self._made.clear()
        self._maker.close()


def _close(task: asyncio.Task[Session]) -> None:
    """Close idle connections; a call under way keeps its own until it ends."""
    if not task.done():
        task.add_done_callback(_close)
    elif not task.cancelled() and task.exception() is None:
        task.result().kms.close()
