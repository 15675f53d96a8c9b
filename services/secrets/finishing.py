"""Going on with deletions of environments that were cut off: by a crash, or by the deadline of who asked.

Every process of the service looks now and then; parts of one deletion take turns. A deletion that fails is
left to the next turn, and keeps a turn from no other.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import structlog

from services.common.background import repeatedly
from services.common.defects import describe
from services.common.errors import CofferError, ConflictError, NotFoundError
from services.common.identity import Call

if TYPE_CHECKING:
    from services.secrets.environments import Environments
    from services.secrets.groups import ClosedEnvironment
    from services.secrets.ports import ClosedEnvironments

LOOKED_FOR: Final = 100
"""Closed environments that are found at a time, of any tenants."""

_log = structlog.get_logger(__name__)


class Finisher:
    """Finishes every `every_seconds`, less or more by half, what no caller can be at any more."""

    def __init__(
        self, closed: ClosedEnvironments, environments: Environments, *, every_seconds: float
    ) -> None:
        self._closed = closed
        self._environments = environments
        self._every = every_seconds

    async def run(self) -> None:
        """Finish until cancelled."""
        await repeatedly(self.turn, self._every, "deletion_of_environments")

    async def turn(self) -> int:
        """Delete every environment that was closed long ago; returns how many are gone by that.

        One that holds a value of a live secret stays: the release before may have stored it. Raises
        UnavailableError and its like when nothing can be found.
        """
        finished = 0
        last: ClosedEnvironment | None = None
        while found := await self._closed.find(last, LOOKED_FOR):
            for environment in found:
                finished += await self._finish(environment)
            last = found[-1]
        if finished:
            _log.info("environments_deleted", environments=finished)
        return finished

    async def _finish(self, environment: ClosedEnvironment) -> bool:
        call = replace(Call.of_service("secrets"), tenant_id=environment.tenant_id)
        about = {"tenant_id": str(environment.tenant_id), "environment_id": str(environment.id)}
        try:
            await self._environments.delete(call, str(environment.id))
        except (NotFoundError, ConflictError):
            return False  # another was first, or it has to stay
        except CofferError as error:
            _log.warning("deletion_of_environment_failed", code=error.code, **about)
            return False
        except Exception as error:  # noqa: BLE001 - the others must not stay for ever
            _log.error("deletion_of_environment_defect", **about, **describe(error))
            return False
        return True
