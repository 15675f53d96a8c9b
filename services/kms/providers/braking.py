"""Keeps a key that failed from being asked again by each request that needs it. Pure."""

from __future__ import annotations

import random
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from services.kms.model import WrapError

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.kms.model import Reason
    from services.kms.ports import Clock

PAUSE_SECONDS: Final = 2.0
"""How long a key is left alone that gave no answer about itself."""
_JITTER: Final = 0.1
_MAX_KNOWN: Final = 1_000


@dataclass(slots=True)
class _Failure:
    reason: Reason
    hint: str
    pause: float
    again_at: float


class Brake:
    """What failed, by name, and when it may be tried again. No method waits.

    When its pause is over one caller goes on; the others are still told the old failure until that one has
    worked. So a key heals with the first request after its pause.
    """

    def __init__(
        self,
        retry_seconds: float,
        clock: Clock,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """A refused key is left alone for `retry_seconds`, a silent one for at most PAUSE_SECONDS."""
        self._retry_seconds = retry_seconds
        self._clock = clock
        self._jitter = jitter
        self._known: OrderedDict[str, _Failure] = OrderedDict()

    def admit(self, name: str) -> None:
        """Let a call go on, or raise the WrapError of the last one."""
        known = self._known.get(name)
        if known is None:
            return
        if self._clock() < known.again_at:
            raise WrapError(known.reason, known.hint)
        known.again_at = self._clock() + known.pause

    def failed(self, name: str, error: WrapError) -> bool:
        """Take note; whether this is news."""
        before = self._known.pop(name, None)
        longest = self._retry_seconds
        pause = longest if error.reason.definite else min(PAUSE_SECONDS, longest)
        pause *= self._jitter(1 - _JITTER, 1 + _JITTER)
        self._known[name] = _Failure(error.reason, error.hint, pause, self._clock() + pause)
        if len(self._known) > _MAX_KNOWN:
            self._known.popitem(last=False)
        return before is None or before.reason is not error.reason

    def worked(self, name: str) -> bool:
        """Forget its failure; whether there was one."""
        return self._known.pop(name, None) is not None
