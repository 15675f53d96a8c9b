"""Deleting secrets softly, and undoing it for as long as the wire contract says."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from services.common.errors import ConflictError, InvalidStateError, PlanLimitError
from services.secrets.missing import no_secret, path_id
from services.secrets.model import SecretRow

if TYPE_CHECKING:
    from services.common.identity import Call
    from services.secrets.ports import SecretChanges
    from services.secrets.shares import Shares


class NotRestored(enum.Enum):
    """Why a secret stays as it is."""

    NO_SECRET = enum.auto()
    """There is none, or it was deleted too long ago."""
    NOT_DELETED = enum.auto()
    NAME_TAKEN = enum.auto()
    PLAN_LIMIT = enum.auto()


class Deleter:
    """Deletes and restores secrets. Every method acts for the call's tenant."""

    def __init__(self, store: SecretChanges, places: Shares) -> None:
        self._store = store
        self._places = places

    async def delete(self, call: Call, secret_id: str) -> None:
        """Delete softly; the name is free at once. Raises not_found, unavailable."""
        found = path_id(secret_id)
        async with self._places.of(call.tenant):
            deleted = await self._store.delete(call.tenant, found, call)
        if not deleted:
            raise no_secret()

    async def restore(self, call: Call, secret_id: str) -> SecretRow:
        """Undo a deletion of the last 7 days: the secret is as it was, with all its values.

        Only a collection or an environment that was deleted meanwhile is missing. Raises not_found,
        invalid_state for a live secret, conflict, plan_limit, unavailable.
        """
        found = path_id(secret_id)
        async with self._places.of(call.tenant):
            restored = await self._store.restore(call.tenant, found, call)
        if isinstance(restored, SecretRow):
            return restored
        if restored is NotRestored.NOT_DELETED:
            raise InvalidStateError("The secret is not deleted.")
        if restored is NotRestored.NAME_TAKEN:
            raise ConflictError(
                "There is another secret with its name now: rename or delete that one first."
            )
        if restored is NotRestored.PLAN_LIMIT:
            raise PlanLimitError("The tenant's plan allows no more secrets.")
        raise no_secret()
