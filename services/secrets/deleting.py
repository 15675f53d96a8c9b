"""Deleting secrets softly, and undoing it for as long as the wire contract says."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from services.common.errors import (
    ConflictError,
    InvalidStateError,
    PlanLimitError,
    ValidationError,
)
from services.secrets.missing import no_secret, path_id
from services.secrets.model import SecretRow
from services.secrets.naming import is_environment_name

if TYPE_CHECKING:
    from services.common.errors import CofferError
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
    NO_VALUE_THERE = enum.auto()
    """The environment that was named is unknown, or holds no value of it."""
    NOT_ITS_BASE = enum.auto()
    """Its base environment is there, and another was named."""
    ENVIRONMENT_GOES = enum.auto()
    """One where it has a value is being deleted."""


@dataclass(frozen=True, slots=True)
class LostBase:
    """Its base environment `name` was deleted, and somebody must say which of `places` is the new one.

    The places are names, the default environment first: who names no environment is answered from there.
    """

    name: str
    places: tuple[str, ...]


_BASE_FAULTS: Final = {
    NotRestored.NO_VALUE_THERE: "The secret has no value in this environment.",
    NotRestored.NOT_ITS_BASE: "Is not its base environment, which is still there: leave it out.",
}


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

    async def restore(
        self, call: Call, secret_id: str, base_environment: str | None = None
    ) -> SecretRow:
        """Undo a deletion of the last 7 days: the secret is as it was, with all its values.

        Only a collection or an environment that was deleted meanwhile is missing. If that was the base
        environment, `base_environment` must name one that takes its place, where the secret has a value: who
        reads or writes it and names no environment goes there from now on, and versions count otherwise
        there. Else it may only name the base. Raises not_found, invalid_state for a live secret,
        validation_error, conflict, plan_limit, unavailable.
        """
        found = path_id(secret_id)
        if base_environment is not None and not is_environment_name(base_environment):
            raise _not_restored(NotRestored.NO_VALUE_THERE)
        async with self._places.of(call.tenant):
            restored = await self._store.restore(call.tenant, found, base_environment, call)
        if isinstance(restored, SecretRow):
            return restored
        if isinstance(restored, LostBase):
            raise _lost(restored)
        raise _not_restored(restored)


def _not_restored(why: NotRestored) -> CofferError:
    if why is NotRestored.NOT_DELETED:
        return InvalidStateError("The secret is not deleted.")
    if why is NotRestored.NAME_TAKEN:
        return ConflictError(
            "There is another secret with its name now: rename or delete that one first."
        )
    if why is NotRestored.ENVIRONMENT_GOES:
        return ConflictError(
            "An environment where it has a value is being deleted: try again when that is gone.",
            retry_after=1,
        )
    if why is NotRestored.PLAN_LIMIT:
        return PlanLimitError("The tenant's plan allows no more secrets.")
    if why in _BASE_FAULTS:
        return ValidationError.of("base_environment", _BASE_FAULTS[why])
    return no_secret()


def _lost(base: LostBase) -> ConflictError:
    fault = (
        f"Its base environment {base.name} was deleted. Say which takes its place:"
        f" {', '.join(base.places)}."
    )
    return ConflictError(fault, fields={"base_environment": [fault]})
