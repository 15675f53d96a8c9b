"""A place for a call, fairly given and counted; and how far a call has come."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from services.common.errors import UnavailableError
from services.kms.providers.gcp.errors import reason_of
from services.kms.providers.gcp.faults import GcpFailedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from services.kms.ports import Meter
    from services.kms.providers.gcp.errors import Action
    from services.kms.providers.lanes import Lanes

PROVIDER: Final = "gcp"


@dataclass(slots=True)
class Step:
    """What a call waits for: `asked`, when Google may have heard of it, with `own` for the platform's own
    identity.
    """

    asked: Action | None = None
    own: bool = False
    _of: Step | None = None

    def begin(self, action: Action, *, own: bool = False) -> None:
        """From now on Google may hear of it."""
        self.asked, self.own, self._of = action, own, None

    def wait(self) -> None:
        """For a place: Google has heard nothing."""
        self.asked, self.own, self._of = None, False, None

    def follow(self, other: Step) -> None:
        """It waits for what `other` waits for."""
        self._of = other

    def now(self) -> Step:
        """The step that is really waited for."""
        return self if self._of is None else self._of.now()


class Places:
    """Places in lanes, for calls that are counted by their outcome."""

    def __init__(self, lanes: Lanes, meter: Meter) -> None:
        self._lanes = lanes
        self._meter = meter

    @contextlib.asynccontextmanager
    async def take(
        self, action: Action, tenant_id: UUID, deadline: float, step: Step
    ) -> AsyncIterator[None]:
        """A place for one call, taken before `deadline` (of the loop's clock) or never.

        Raises UnavailableError when there was none in time.
        """
        outcome = "cancelled"
        try:
            async with contextlib.AsyncExitStack() as held:
                try:
                    async with asyncio.timeout_at(deadline):
                        await held.enter_async_context(self._lanes.take(tenant_id))
                except TimeoutError:
                    raise not_asked() from None
                step.begin(action)
                yield
            outcome = "ok"
        except GcpFailedError as error:
            outcome = reason_of(error.fault, action)
            raise
        except UnavailableError:
            outcome = "not_asked"
            raise
        finally:
            self._meter.count(PROVIDER, action, outcome)


def not_asked() -> UnavailableError:
    """Our own queue was too long. No word about the customer's key, so nothing is sealed for it."""
    return UnavailableError("Too many calls to Google are waiting; try again in a moment.")
