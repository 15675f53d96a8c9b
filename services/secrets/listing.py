"""Lists of secrets: what may be asked for, and where a list stands. Pure.

A list is read by pages, whose numbers shift when rows come and go; or in pieces, each of which goes on
after the last row of the one before, so that a secret that is there all the time is seen exactly once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, cast

from services.common.errors import ValidationError
from services.secrets import cursors, values
from services.secrets.cursors import BY_ENVIRONMENT, NEVER, Place
from services.secrets.paging import paging
from services.secrets.values import Faults

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from services.secrets.model import SecretRow, SecretType
    from services.secrets.paging import Paging

RESTORABLE_DAYS: Final = 7
"""A deleted secret can be restored for so long, by the database's clock; then it is purged."""
MAX_LIMIT: Final = 100
MAX_SEARCH: Final = 128
_TYPES: Final = ("string", "certificate")
_MOVED: Final = "Environments were renamed, added or removed: begin again with an empty one."
_WITH_PAGES: Final = "Belongs to pages: not together with cursor."

Sort = Literal["name", "created_at", "base_environment", "expires_at"]
SORTS: Final = ("name", "created_at", "base_environment", "expires_at")


@dataclass(frozen=True, slots=True)
class ListRequest:
    """A list of secrets, as it was asked for; nothing is checked yet."""

    page: int | None = None
    per_page: int | None = None
    sort: str | None = None
    order: str | None = None
    secret_type: str | None = None
    collection_id: str | None = None
    environment: str | None = None
    search: str | None = None
    expires_before: datetime | None = None
    cursor: str | None = None
    limit: int | None = None
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Filters:
    """Which secrets: the live ones, or those that can be restored; None narrows nothing."""

    deleted: bool = False
    secret_type: SecretType | None = None
    collection_id: UUID | None = None
    environment: str | None = None
    search: str | None = None
    expires_before: datetime | None = None

    @property
    def is_none(self) -> bool:
        """Whether every live secret is asked for."""
        return self == Filters()


@dataclass(frozen=True, slots=True)
class Piece:
    """`limit` rows at most, those after `after`; None: from the beginning."""

    limit: int
    after: Place | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """A checked question for a page, or for a piece."""

    filters: Filters
    sort: Sort
    descending: bool
    part: Paging | Piece

    def next_cursor(self, last: SecretRow, environments: bytes = b"") -> str:
        """Where the list goes on after this row; `environments` is `Page.environments`."""
        place = Place(_key(last, self.sort), last.id, environments)
        return cursors.encode(self._question, place)

    @property
    def by_environment(self) -> bool:
        """Whether rows are sorted by their base environment."""
        return self.sort == BY_ENVIRONMENT

    def check(self, page: Page) -> None:
        """Raises ValidationError when `page` goes on in another order than the piece before it."""
        part = self.part
        if isinstance(part, Piece) and part.after and part.after.environments != page.environments:
            raise ValidationError.of("cursor", _MOVED)

    @property
    def _question(self) -> list[object]:
        found = self.filters
        return [
            self.sort,
            self.descending,
            found.deleted,
            found.secret_type,
            None if found.collection_id is None else str(found.collection_id),
            found.environment,
            found.search,
            None if found.expires_before is None else found.expires_before.isoformat(),
        ]

    def after(self, cursor: str) -> Place:
        """Where the cursor says that this list goes on. Raises BadCursorError."""
        return cursors.decode(self._question, self.sort, cursor)


@dataclass(frozen=True, slots=True)
class Page:
    """Rows, and how many there are in all; None where nobody asked. `has_more`: of a piece, whether it
    was not the last one. `environments`: of a piece sorted by them, a mark of the tenant's environments."""

    rows: tuple[SecretRow, ...]
    total: int | None = None
    has_more: bool = False
    environments: bytes = b""


def listing(request: ListRequest) -> Listing:
    """The checked question. Raises ValidationError with every fault."""
    faults = Faults()
    sort = values.one_of("sort", request.sort, SORTS, faults) or "name"
    order = values.one_of("order", request.order, values.ORDERS, faults) or "asc"
    page = paging(request.page, request.per_page, faults)
    asked = Listing(_filters(request, faults), cast("Sort", sort), order == "desc", page)
    if request.cursor is not None:
        asked = replace(asked, part=_piece(request, asked, faults))
    elif request.limit is not None:
        faults.add("limit", "Belongs to cursor: send an empty one for the first piece.")
    faults.raise_any()
    return asked


def _filters(request: ListRequest, faults: Faults) -> Filters:
    kind = values.one_of("secret_type", request.secret_type, _TYPES, faults)
    if request.search is not None and len(request.search) > MAX_SEARCH:
        faults.add("search", f"Must be at most {MAX_SEARCH} characters.")
    for field in ("search", "environment"):
        if values.has_control(getattr(request, field) or ""):
            faults.add(field, "Must not hold control characters.")
    return Filters(
        deleted=request.deleted,
        secret_type=cast("SecretType | None", kind),
        collection_id=values.optional_id("collection_id", request.collection_id, faults),
        environment=request.environment,
        search=request.search,
        expires_before=request.expires_before,
    )


def _piece(request: ListRequest, asked: Listing, faults: Faults) -> Piece:
    for field in ("page", "per_page"):
        if getattr(request, field) is not None:
            faults.add(field, _WITH_PAGES)
    limit = MAX_LIMIT if request.limit is None else request.limit
    if not 1 <= limit <= MAX_LIMIT:
        faults.add("limit", f"Must be 1 to {MAX_LIMIT}.")
    if not request.cursor:
        return Piece(limit)
    try:
        return Piece(limit, asked.after(request.cursor))
    except cursors.BadCursorError as error:
        faults.add("cursor", str(error))
        return Piece(limit)


def _key(row: SecretRow, sort: Sort) -> str:
    if sort in {"name", "base_environment"}:
        return cast("str", getattr(row, sort))
    moment: datetime | None = getattr(row, sort)
    return NEVER if moment is None else moment.isoformat()
