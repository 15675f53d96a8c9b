"""Collections: secrets that belong together, and that consumers' grants name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from services.common.errors import ConflictError, NotFoundError
from services.secrets import patching, values
from services.secrets.groups import (
    CollectionListing,
    CollectionRequest,
    CollectionRow,
    CollectionsRequest,
    Refusal,
    Unfinished,
)
from services.secrets.naming import parse_id
from services.secrets.paging import page_of, paging
from services.secrets.values import Faults

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from services.common.identity import Call
    from services.secrets.paging import Numbers
    from services.secrets.ports import CollectionStore
    from services.secrets.shares import Shares

PATCHABLE: Final = ("name", "description")
MAX_NAME: Final = 128
_SORTS: Final = ("name", "created_at")


class Collections:
    """What a tenant's client may do with its collections. Every method acts for the call's tenant."""

    def __init__(self, store: CollectionStore, places: Shares) -> None:
        self._store = store
        self._places = places

    async def list(
        self, call: Call, request: CollectionsRequest
    ) -> tuple[tuple[CollectionRow, ...], Numbers]:
        """A page of them. Raises validation_error."""
        listing = _listing(request)
        rows, total = await self._store.list(call.tenant, listing)
        return rows, page_of(total, listing.paging)

    async def get(self, call: Call, collection_id: str) -> CollectionRow:
        """One of them. Raises not_found."""
        found = await self._store.get(call.tenant, _path_id(collection_id))
        if found is None:
            raise _no_collection()
        return found

    async def create(self, call: Call, request: CollectionRequest) -> CollectionRow:
        """Make one. Raises validation_error, conflict."""
        faults = Faults()
        name = _name(request.name, faults)
        description = values.description(request.description, faults)
        faults.raise_any()
        async with self._places.of(call.tenant):
            made = await self._store.create(call.tenant, CollectionRequest(name, description), call)
        return _done(made, name)

    async def update(
        self, call: Call, collection_id: str, mask: Sequence[str], sent: Mapping[str, Any]
    ) -> CollectionRow:
        """Set the members that `mask` names to what was sent, None for null.

        Grants name a collection by its id, so a new name changes nobody's access. Raises not_found,
        validation_error, conflict.
        """
        found = _path_id(collection_id)
        members = _members(mask, sent)
        async with self._places.of(call.tenant):
            updated = await self._store.update(call.tenant, found, members, call)
        return _done(updated, members.get("name"))

    async def delete(self, call: Call, collection_id: str) -> None:
        """Delete one; its secrets stay, in no collection, the deleted ones too.

        Allowed while a consumer's grant names it: that grant then reaches nothing through it, for ever,
        because no collection gets its id again. Where there are many secrets, this takes several
        transactions: a crash or a deadline may leave some of them in it. Repeated it goes on. Raises
        not_found.
        """
        found = _path_id(collection_id)
        deleted: bool | Unfinished = Unfinished()
        while isinstance(deleted, Unfinished):
            async with self._places.of(call.tenant):
                deleted = await self._store.delete(call.tenant, found, call)
        if not deleted:
            raise _no_collection()


def _listing(request: CollectionsRequest) -> CollectionListing:
    faults = Faults()
    asked = paging(request.page, request.per_page, faults)
    sort = values.one_of("sort", request.sort, _SORTS, faults) or "name"
    order = values.one_of("order", request.order, values.ORDERS, faults) or "asc"
    faults.raise_any()
    return CollectionListing(asked, sort, descending=order == "desc")


def _members(mask: Sequence[str], sent: Mapping[str, Any]) -> dict[str, Any]:
    faults = Faults()
    members = {name: sent[name] for name in patching.named(mask, PATCHABLE, faults)}
    if "name" in members and members["name"] is None:
        patching.must_not_be_null("name", faults)
    elif "name" in members:
        members["name"] = _name(members["name"], faults)
    if "description" in members:
        members["description"] = values.description(members["description"], faults)
    faults.raise_any()
    return members


def _name(sent: str, faults: Faults) -> str:
    name = sent.strip()
    if not name:
        faults.add("name", "Is required.")
    if len(name) > MAX_NAME:
        faults.add("name", f"Must be at most {MAX_NAME} characters.")
    if values.has_control(name):
        faults.add("name", "Must not hold control characters.")
    return name


def _done(outcome: CollectionRow | Refusal | None, name: str | None) -> CollectionRow:
    if outcome is None:
        raise _no_collection()
    if isinstance(outcome, Refusal):
        raise ConflictError(f"There is a collection with the name {name} already.")
    return outcome


def _path_id(text: str) -> UUID:
    found = parse_id(text)
    if found is None:
        raise _no_collection()
    return found


def _no_collection() -> NotFoundError:
    return NotFoundError("There is no such collection.")
