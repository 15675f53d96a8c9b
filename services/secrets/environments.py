"""Where a tenant's secrets have values: its environments, and those found by name, remembered.

A name is read once and remembered: the transaction that writes a secret checks that the environment is
still the one of this name, so what is remembered may be out of date without harm.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from services.common.errors import ConflictError, NotFoundError, PlanLimitError, ValidationError
from services.secrets import patching, values
from services.secrets.groups import (
    MAX_ENVIRONMENTS,
    EnvironmentChange,
    EnvironmentDraft,
    EnvironmentRequest,
    EnvironmentRow,
    Refusal,
    Unfinished,
)
from services.secrets.naming import is_environment_name, parse_id
from services.secrets.values import Faults

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from services.common.errors import CofferError
    from services.common.identity import Call
    from services.secrets.model import Environment
    from services.secrets.ports import EnvironmentStore, Secrets
    from services.secrets.shares import Shares

PATCHABLE: Final = ("name", "display_name", "description", "color", "is_default")
MAX_DISPLAY_NAME: Final = 128
_COLOR: Final = re.compile(r"#[0-9A-Fa-f]{6}")
_NAME_FAULT: Final = "Must be 1 to 64 of the characters a-z, 0-9, `_` and `-`."

_CONFLICTS: Final = {
    Refusal.GRANTED: "A consumer's grant names this environment by its old or its new name, and would"
    " reach other values after the rename. Delete the grant first (coffer grant delete).",
    Refusal.IS_DEFAULT: "This is the default environment. Make another the default first.",
    Refusal.IN_USE: "Secrets have values in this environment. Delete those first.",
}

MAX_REMEMBERED: Final = 4096
"""Tenants; about 1 KiB each."""
_MAX_PER_TENANT: Final = 64


class KnownEnvironments:
    """Finds environments; asks the store for what it does not remember."""

    def __init__(self, store: Secrets) -> None:
        self._store = store
        self._known: dict[UUID, dict[str | None, Environment]] = {}

    async def find(self, call: Call, name: str | None) -> Environment | None:
        """The environment of this name; None asks for the default. None when there is none."""
        known = self._known.get(call.tenant, {}).get(name)
        if known is not None:
            return known
        found = await self._store.environment(call.tenant, name, call)
        if found is not None:
            self._remember(call.tenant, name, found)
        return found

    def forget(self, tenant_id: UUID) -> None:
        """What is remembered of this tenant turned out to be out of date."""
        self._known.pop(tenant_id, None)

    def _remember(self, tenant_id: UUID, name: str | None, found: Environment) -> None:
        if tenant_id not in self._known and len(self._known) >= MAX_REMEMBERED:
            del self._known[next(iter(self._known))]
        of_tenant = self._known.setdefault(tenant_id, {})
        if len(of_tenant) >= _MAX_PER_TENANT:
            of_tenant.clear()
        of_tenant[name] = found


class Environments:
    """What a tenant's client may do with its environments. Every method acts for the call's tenant.

    Grants of consumers go by an environment's name: one that is deleted and made again under its name is
    reached by the grants that name it.
    """

    def __init__(self, store: EnvironmentStore, places: Shares) -> None:
        self._store = store
        self._places = places

    async def list(self, call: Call) -> tuple[EnvironmentRow, ...]:
        """All of them, by name; the default one is made at the first look."""
        return await self._store.list(call.tenant, call)

    async def get(self, call: Call, environment_id: str) -> EnvironmentRow:
        """One of them. Raises not_found."""
        found = await self._store.get(call.tenant, _path_id(environment_id))
        if found is None:
            raise _no_environment()
        return found

    async def create(self, call: Call, request: EnvironmentRequest) -> EnvironmentRow:
        """Make one. Raises validation_error, conflict, plan_limit."""
        draft = _draft(request)
        async with self._places.of(call.tenant):
            made = await self._store.create(call.tenant, draft, call)
        return _done(made, draft.name)

    async def update(
        self, call: Call, environment_id: str, mask: Sequence[str], sent: Mapping[str, Any]
    ) -> EnvironmentRow:
        """Set the members that `mask` names to what was sent, None for null.

        A new name is refused while a consumer's grant names the old or the new one: the rename would
        silently take values away from consumers or hand them out. A grant that is given at the very
        moment counts as given before or after it. Raises not_found, validation_error, conflict.
        """
        found = _path_id(environment_id)
        change = _change(mask, sent)
        async with self._places.of(call.tenant):
            updated = await self._store.update(call.tenant, found, change, call)
        return _done(updated, change.members.get("name"))

    async def delete(self, call: Call, environment_id: str) -> None:
        """Delete one, with the values that deleted secrets have there; those are not restored.

        A deleted secret that was made there moves to another environment where it has a value; one that
        has no value anywhere else is purged. Where there is much, this takes several transactions: the first
        decides, and closes the environment to values, changes and restores; a crash or a deadline leaves it
        closed, and the call repeated goes on. Raises not_found, conflict.
        """
        found = _path_id(environment_id)
        deleted: bool | Refusal | Unfinished | None = Unfinished()
        while isinstance(deleted, Unfinished):
            async with self._places.of(call.tenant):
                deleted = await self._store.delete(call.tenant, found, deleted.after, call)
        if deleted is None:
            raise _no_environment()
        if isinstance(deleted, Refusal):
            raise _refused(deleted, None)


def _draft(request: EnvironmentRequest) -> EnvironmentDraft:
    faults = Faults()
    _check_name(request.name, faults)
    draft = EnvironmentDraft(
        name=request.name,
        display_name=_display_name(request.display_name, faults) or request.name,
        description=values.description(request.description, faults),
        color=_color(request.color, faults),
        is_default=bool(request.is_default),
    )
    faults.raise_any()
    return draft


def _change(mask: Sequence[str], sent: Mapping[str, Any]) -> EnvironmentChange:
    faults = Faults()
    members = {name: sent[name] for name in patching.named(mask, PATCHABLE, faults)}
    for name in ("name", "is_default"):
        if name in members and members[name] is None:
            patching.must_not_be_null(name, faults)
    if members.get("name") is not None:
        _check_name(members["name"], faults)
    if "display_name" in members:
        members["display_name"] = _display_name(members["display_name"], faults)
    if "description" in members:
        members["description"] = values.description(members["description"], faults)
    if "color" in members:
        members["color"] = _color(members["color"], faults)
    faults.raise_any()
    return EnvironmentChange(members)


def _check_name(name: str, faults: Faults) -> None:
    if not name:
        faults.add("name", "Is required.")
    elif not is_environment_name(name):
        faults.add("name", _NAME_FAULT)


def _display_name(sent: str | None, faults: Faults) -> str | None:
    if sent is None:
        return None
    if not 1 <= len(sent.strip()) <= MAX_DISPLAY_NAME:
        faults.add("display_name", f"Must be 1 to {MAX_DISPLAY_NAME} characters.")
    if values.has_control(sent):
        faults.add("display_name", "Must not hold control characters.")
    return sent.strip()


def _color(sent: str | None, faults: Faults) -> str | None:
    if sent is not None and not _COLOR.fullmatch(sent):
        faults.add("color", "Must be a color such as #f59e0b.")
    return sent


def _done(outcome: EnvironmentRow | Refusal | None, name: str | None) -> EnvironmentRow:
    if outcome is None:
        raise _no_environment()
    if isinstance(outcome, Refusal):
        raise _refused(outcome, name)
    return outcome


def _refused(why: Refusal, name: str | None) -> CofferError:
    if why is Refusal.NAME_TAKEN:
        return ConflictError(f"There is an environment with the name {name} already.")
    if why is Refusal.TOO_MANY:
        return PlanLimitError(f"A tenant has at most {MAX_ENVIRONMENTS} environments.")
    if why is Refusal.GOES:
        return ConflictError(
            "The environment is being deleted; delete it again to go on with that.", retry_after=1
        )
    if why is Refusal.NEEDS_DEFAULT:
        return ValidationError.of("is_default", "Make another the default instead.")
    return ConflictError(_CONFLICTS[why])


def _path_id(text: str) -> UUID:
    found = parse_id(text)
    if found is None:
        raise _no_environment()
    return found


def _no_environment() -> NotFoundError:
    return NotFoundError("There is no such environment.")
