"""The rpcs of environments."""

# ruff: noqa: N802 - names are those of the rpcs
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from coffer.secrets.v1 import environments_pb2

from services.common.identity import current_call
from services.common.rpc.answering import answer
from services.secrets.environments import PATCHABLE
from services.secrets.groups import DEFAULT_COLOR, EnvironmentRequest
from services.secrets.rpc.members import moment, optional

if TYPE_CHECKING:
    from services.secrets.environments import Environments
    from services.secrets.groups import EnvironmentRow


class EnvironmentRpcs:
    """Each is one use case. Policy has been enforced before it is called."""

    def __init__(self, environments: Environments) -> None:
        self._environments = environments

    async def ListEnvironments(
        self, _request: environments_pb2.ListEnvironmentsRequest, _context: Any
    ) -> environments_pb2.ListEnvironmentsResponse:
        """All of them."""
        rows = await self._environments.list(current_call())
        return environments_pb2.ListEnvironmentsResponse(environments=map(_shown, rows))

    async def GetEnvironment(
        self, request: environments_pb2.GetEnvironmentRequest, _context: Any
    ) -> environments_pb2.SecretEnvironment:
        """One of them."""
        return _shown(await self._environments.get(current_call(), request.id))

    async def CreateEnvironment(
        self, request: environments_pb2.CreateEnvironmentRequest, _context: Any
    ) -> environments_pb2.SecretEnvironment:
        """Make one."""
        asked = EnvironmentRequest(
            name=request.name,
            display_name=optional(request, "display_name"),
            description=optional(request, "description"),
            color=optional(request, "color"),
            is_default=optional(request, "is_default"),
        )
        return await answer(lambda call: self._environments.create(call, asked), _shown)

    async def UpdateEnvironment(
        self, request: environments_pb2.UpdateEnvironmentRequest, _context: Any
    ) -> environments_pb2.SecretEnvironment:
        """Change one."""
        mask = list(request.update_mask.paths)
        sent = {name: optional(request, name) for name in PATCHABLE}
        return await answer(
            lambda call: self._environments.update(call, request.id, mask, sent), _shown
        )

    async def DeleteEnvironment(
        self, request: environments_pb2.DeleteEnvironmentRequest, _context: Any
    ) -> environments_pb2.DeleteEnvironmentResponse:
        """Delete one."""
        return await answer(
            lambda call: self._environments.delete(call, request.id),
            lambda _: environments_pb2.DeleteEnvironmentResponse(deleted=True),
        )


def _shown(row: EnvironmentRow) -> environments_pb2.SecretEnvironment:
    return environments_pb2.SecretEnvironment(
        id=str(row.id),
        name=row.name,
        display_name=row.display_name,
        description=row.description,
        color=row.color or DEFAULT_COLOR,
        is_default=row.is_default,
        created_at=moment(row.created_at),
    )
