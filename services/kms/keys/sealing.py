"""Bindings that this process knows it cannot use: who must not be asked again, and until when. Pure.

A binding is here because its provider refused (sealed), or because it did not answer while other keys of the
binding are still usable (not sealed). Either way no request causes a further cloud call; `Tending`
tries again when it is due.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from services.common.errors import TenantSealedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from services.kms.model import Binding, Reason
    from services.kms.ports import Clock

PAUSE_SECONDS: Final = 2.0
"""How long a provider that did not answer is left alone while the tenant is not sealed."""
_JITTER: Final = 0.1
"""Retries come up to this part earlier or later, so that sealed tenants do not come all at once."""


@dataclass(slots=True)
class Ailing:
    """A binding that cannot be used, and the version to try it with."""

    binding: Binding
    version: int
    reason: Reason | None
    sealed: bool
    retry_at: float
    asked: bool
    """Whether a request has asked for it since it was last tried."""


class Seals:
    """Belongs to one event loop; no method waits."""

    def __init__(
        self,
        retry_seconds: float,
        clock: Clock,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._retry_seconds = retry_seconds
        self._clock = clock
        self._jitter = jitter
        self._known: dict[UUID, Ailing] = {}

    def __len__(self) -> int:
        return sum(ailing.sealed for ailing in self._known.values())

    def admit(self, binding: Binding, version: int) -> None:
        """Let a request go on to the provider, or raise TenantSealedError.

        `binding` is as just read: one that another process unsealed is let through, one that another
        process sealed is taken note of.
        """
        known = self._known.get(binding.id)
        if known is None and binding.sealed_since is None:
            return
        if known is None:
            self.add(binding, version, None, sealed=True)
        elif known.sealed and binding.sealed_since is None:
            del self._known[binding.id]
            return
        else:
            known.asked = True
        raise TenantSealedError(reason=known.reason if known else binding.last_verify_error)

    def watch(self, binding: Binding, version: int) -> None:
        """Take note of a binding that was read as sealed, so that this process tries it too."""
        if binding.id not in self._known:
            self.add(binding, version, None, sealed=True)

    def add(
        self,
        binding: Binding,
        version: int,
        reason: Reason | None,
        *,
        sealed: bool,
        asked: bool = True,
    ) -> None:
        """It could not be used just now; `asked` says whether a request wanted it."""
        wait = self._retry_seconds if sealed else min(PAUSE_SECONDS, self._retry_seconds)
        wait *= self._jitter(1 - _JITTER, 1 + _JITTER)
        retry_at = self._clock() + wait
        self._known[binding.id] = Ailing(binding, version, reason, sealed, retry_at, asked)

    def forget(self, binding_id: UUID) -> None:
        """It can be used, or nobody needs it any more."""
        self._known.pop(binding_id, None)

    def knows(self, binding_id: UUID) -> bool:
        """Whether it is tried already."""
        return binding_id in self._known

    def hurry(self, binding_id: UUID) -> None:
        """Make it due now."""
        known = self._known.get(binding_id)
        if known is not None:
            known.retry_at = self._clock()
            known.asked = True

    def due(self, limit: int) -> list[Ailing]:
        """Those to be tried now, longest due first, at most `limit`; each is put off, so that it is not due
        again at once.

        A replaced binding that nobody asks for is forgotten: its customer has moved away.
        """
        now = self._clock()
        for ailing in list(self._known.values()):
            if now >= ailing.retry_at and ailing.binding.replaced and not ailing.asked:
                self.forget(ailing.binding.id)
        due = [ailing for ailing in self._known.values() if now >= ailing.retry_at]
        due.sort(key=lambda ailing: ailing.retry_at)
        for ailing in due[: max(0, limit)]:
            ailing.retry_at = now + self._retry_seconds
            ailing.asked = False
        return due[: max(0, limit)]
