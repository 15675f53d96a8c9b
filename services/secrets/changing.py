"""Changing what is in clear of a secret: name, description, collection, expiry. Needs no key."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from services.common.errors import ConflictError, ValidationError
from services.secrets import values
from services.secrets.missing import no_secret, path_id
from services.secrets.model import Refused, SecretRow
from services.secrets.patching import must_not_be_null, named
from services.secrets.values import Faults

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from services.common.identity import Call
    from services.secrets.ports import SecretChanges
    from services.secrets.shares import Shares

PATCHABLE: Final = (
    "name",
    "description",
    "collection_id",
    "expires_at",
    "strict_expiry_enforcement",
)


@dataclass(frozen=True, slots=True)
class ChangeRequest:
    """What to change of a secret, as it was asked for: `mask` names the members, None means null."""

    id: str
    mask: tuple[str, ...] = ()
    name: str | None = None
    description: str | None = None
    collection_id: str | None = None
    expires_at: datetime | None = None
    strict_expiry_enforcement: bool | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """Members to set, checked and normalised: those of `PATCHABLE` that were named."""

    members: Mapping[str, Any] = field(default_factory=dict)


class Changer:
    """Changes secrets. Every method acts for the call's tenant."""

    def __init__(self, store: SecretChanges, places: Shares) -> None:
        self._store = store
        self._places = places

    async def change(self, call: Call, request: ChangeRequest) -> SecretRow:
        """Change what is named; nothing else. What was set to what it was counts as changed.

        Raises not_found, validation_error (with every fault), conflict, unavailable.
        """
        secret_id = path_id(request.id)
        faults = Faults()
        wanted = change(request, faults)
        collection = wanted.members.get("collection_id")
        # Without other faults the writing transaction finds out.
        if faults and collection and not await self._store.has_collection(call.tenant, collection):
            faults.add("collection_id", values.NO_COLLECTION)
        faults.raise_any()
        async with self._places.of(call.tenant):
            changed = await self._store.change(call.tenant, secret_id, wanted, call)
        if isinstance(changed, SecretRow):
            return changed
        if changed is Refused.NO_COLLECTION:
            raise ValidationError.of("collection_id", values.NO_COLLECTION)
        if changed is Refused.NAME_TAKEN:
            raise ConflictError(
                f"There is a secret with the name {wanted.members['name']} already."
            )
        raise no_secret()


def change(request: ChangeRequest, faults: Faults) -> Change:
    """What to set. Use it only when there are no faults."""
    members: dict[str, Any] = {
        member: getattr(request, member) for member in named(request.mask, PATCHABLE, faults)
    }
    for member in ("name", "strict_expiry_enforcement"):
        if member in members and members[member] is None:
            must_not_be_null(member, faults)
    if members.get("name") is not None:
        members["name"] = values.name(members["name"], faults)
    if "description" in members:
        members["description"] = values.description(members["description"], faults)
    if "collection_id" in members:
        wanted = members["collection_id"]
        members["collection_id"] = values.optional_id("collection_id", wanted, faults)
    return Change(members)
