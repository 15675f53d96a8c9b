"""The rpcs of collections."""

# ruff: noqa: N802 - names are those of the rpcs
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from coffer.secrets.v1 import collections_pb2

from services.common.identity import current_call
from services.common.rpc.answering import answer
from services.secrets.collections import PATCHABLE
from services.secrets.groups import CollectionRequest, CollectionsRequest
from services.secrets.rpc.members import moment, optional
from services.secrets.rpc.pages import page

if TYPE_CHECKING:
    from services.secrets.collections import Collections
    from services.secrets.groups import CollectionRow


class CollectionRpcs:
    """Each is one use case. Policy has been enforced before it is called."""

    def __init__(self, collections: Collections) -> None:
        self._collections = collections

    async def ListCollections(
        self, request: collections_pb2.ListCollectionsRequest, _context: Any
    ) -> collections_pb2.ListCollectionsResponse:
        """A page of them."""
        asked = CollectionsRequest(
            page=optional(request, "page"),
            per_page=optional(request, "per_page"),
            sort=optional(request, "sort"),
            order=optional(request, "order"),
        )
        rows, numbers = await self._collections.list(current_call(), asked)
        return collections_pb2.ListCollectionsResponse(
            collections=map(_shown, rows), page=page(numbers)
        )

    async def GetCollection(
        self, request: collections_pb2.GetCollectionRequest, _context: Any
    ) -> collections_pb2.Collection:
        """One of them."""
        return _shown(await self._collections.get(current_call(), request.id))

    async def CreateCollection(
        self, request: collections_pb2.CreateCollectionRequest, _context: Any
    ) -> collections_pb2.Collection:
        """Make one."""
        asked = CollectionRequest(request.name, optional(request, "description"))
        return await answer(lambda call: self._collections.create(call, asked), _shown)

    async def UpdateCollection(
        self, request: collections_pb2.UpdateCollectionRequest, _context: Any
    ) -> collections_pb2.Collection:
        """Change one."""
        mask = list(request.update_mask.paths)
        sent = {name: optional(request, name) for name in PATCHABLE}
        return await answer(
            lambda call: self._collections.update(call, request.id, mask, sent), _shown
        )

    async def DeleteCollection(
        self, request: collections_pb2.DeleteCollectionRequest, _context: Any
    ) -> collections_pb2.DeleteCollectionResponse:
        """Delete one; its secrets stay."""
        return await answer(
            lambda call: self._collections.delete(call, request.id),
            lambda _: collections_pb2.DeleteCollectionResponse(deleted=True),
        )


def _shown(row: CollectionRow) -> collections_pb2.Collection:
    return collections_pb2.Collection(
        id=str(row.id),
        name=row.name,
        description=row.description,
        secret_count=row.secret_count,
        created_at=moment(row.created_at),
    )
