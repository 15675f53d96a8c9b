"""What this process knows it cannot use: who must not be asked again, and until when. Pure.

A binding is here because its provider refused (sealed), or because it did not answer while other keys of the
binding are still usable (not sealed). A single version is here because its provider refused that one, and
not the newest of the same binding. Either way no request causes a further cloud call; `Tending`
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
    """A binding that cannot be used, or (`alone`) one version of a binding that can.

    `version` is the one that met it. A sealed binding is to be tried with its newest.
    """

    binding: Binding
    version: int
    reason: Reason | None
    sealed: bool
    retry_at: float
    asked: bool
    """Whether a request has asked for it since it was last tried."""
    alone: bool = False
    slow: bool = False
    """Whether the last answer about it was long in coming."""


class Seals:
    """Belongs to one event loop; no method waits."""

    def __init__(
        self,
        retry_seconds: float,
        clock: Clock,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._retry_seconds = retry_seconds
        self._pause_seconds = min(PAUSE_SECONDS, retry_seconds)
        self._clock = clock
        self._jitter = jitter
        self._known: dict[UUID, Ailing] = {}
        self._refused: dict[tuple[UUID, int], Ailing] = {}

    def __len__(self) -> int:
        return sum(ailing.sealed for ailing in self._known.values())

    @property
    def refused(self) -> int:
        """Versions that are refused alone."""
        return len(self._refused)

    def admit(self, binding: Binding, version: int) -> None:
        """Let a request go on to the provider, or raise TenantSealedError.

        `binding` is as just read: one that another process unsealed is let through, one that another
        process sealed is taken note of.
        """
        known = self._known.get(binding.id)
        if known is not None and known.sealed and binding.sealed_since is None:
            del self._known[binding.id]
            known = None
        if known is not None:
            known.asked = True
            raise TenantSealedError(reason=known.reason)
        if binding.sealed_since is not None:
            self.add(binding, version, None, sealed=True)
            raise TenantSealedError(reason=binding.last_verify_error)
        refused = self._refused.get((binding.tenant_id, version))
        if refused is not None:
            refused.asked = True
            raise TenantSealedError(reason=refused.reason)

    def watch(self, binding: Binding, version: int) -> None:
        """Take note of a binding that was read as sealed, so that this process tries it too."""
        known = self._known.get(binding.id)
        if known is None or not known.sealed:
            self.add(binding, version, known.reason if known else None, sealed=True)

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
        known = self._known.get(binding.id)
        retry_at = self._after(self._retry_seconds if sealed else self._pause_seconds)
        self._known[binding.id] = Ailing(
            binding,
            version,
            reason,
            sealed,
            retry_at,
            asked,
            slow=known is not None and known.slow,
        )

    def refuse(self, binding: Binding, version: int, reason: Reason, *, asked: bool) -> None:
        """One version was refused just now; its binding may be as good as ever. `asked`: see `add`."""
        known = self._refused.get((binding.tenant_id, version))
        self._refused[binding.tenant_id, version] = Ailing(
            binding,
            version,
            reason,
            sealed=False,
            retry_at=self._after(self._retry_seconds),
            asked=asked or (known is not None and known.asked),
            alone=True,
            slow=known is not None and known.slow,
        )

    def forget(self, binding_id: UUID) -> None:
        """It can be used, or nobody needs it any more. What was refused alone stays refused."""
        self._known.pop(binding_id, None)

    def forget_version(self, tenant_id: UUID, version: int) -> None:
        """It can be used, or it was erased, or it is its binding that cannot be used."""
        self._refused.pop((tenant_id, version), None)

    def drop(self, ailing: Ailing) -> None:
        """Forget the binding or the version that this is about."""
        if ailing.alone:
            self.forget_version(ailing.binding.tenant_id, ailing.version)
        else:
            self.forget(ailing.binding.id)

    def knows(self, binding_id: UUID) -> bool:
        """Whether it is tried already."""
        return binding_id in self._known

    def spares(self, binding_id: UUID) -> bool:
        """Whether it is left alone because it did not answer, without being sealed."""
        known = self._known.get(binding_id)
        return known is not None and not known.sealed

    def lingered(self, binding_id: UUID) -> None:
        """Its cloud was long in answering, or has not answered."""
        known = self._known.get(binding_id)
        if known is not None:
            known.slow = True

    def hurry(self, binding_id: UUID) -> None:
        """Make it due now, and its versions that were refused alone."""
        for ailing in self._all():
            if ailing.binding.id == binding_id:
                ailing.retry_at = self._clock()
                ailing.asked = True

    def due(self, limit: int, slow: int = 0) -> list[Ailing]:
        """Those to be tried now, longest due first, at most `limit`, and `slow` of those that were slow last.

        Each is put off, so that it is not due again while it is tried; then `tried` is to be told.
        A replaced binding that nobody asks for is forgotten: its customer has moved away. So is a version
        refused alone: it may be lost for good, and who asks for it again asks its provider.
        """
        now = self._clock()
        due = []
        for ailing in self._all():
            if now < ailing.retry_at:
                continue
            if (ailing.alone or ailing.binding.replaced) and not ailing.asked:
                self.drop(ailing)
            else:
                due.append(ailing)
        due.sort(key=lambda ailing: ailing.retry_at)
        quick = [ailing for ailing in due if not ailing.slow][: max(0, limit)]
        chosen = quick + [ailing for ailing in due if ailing.slow][: max(0, slow)]
        for ailing in chosen:
            ailing.retry_at = now + self._retry_seconds
            ailing.asked = False
        return chosen

    def tried(self, ailing: Ailing, *, slow: bool) -> None:
        """A try has ended. What is not sealed by now waits no longer than after a request's."""
        if ailing.alone:
            known = self._refused.get((ailing.binding.tenant_id, ailing.version))
        else:
            known = self._known.get(ailing.binding.id)
        if known is None:
            return
        known.slow = slow
        if not known.sealed and not known.alone:
            known.retry_at = min(known.retry_at, self._after(self._pause_seconds))

    def _all(self) -> list[Ailing]:
        return [*self._known.values(), *self._refused.values()]

    def _after(self, seconds: float) -> float:
        return self._clock() + seconds * self._jitter(1 - _JITTER, 1 + _JITTER)
