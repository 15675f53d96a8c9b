"""The values of environments and collections. Pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID

    from services.secrets.paging import Paging

DEFAULT_COLOR: Final = "#6b7280"
"""The color of an environment that was given none: published clients read it as a text, never null."""
MAX_ENVIRONMENTS: Final = 500
"""Of one tenant: they are listed all at once."""


class Refusal(enum.Enum):
    """Why nothing was changed."""

    NAME_TAKEN = enum.auto()
    TOO_MANY = enum.auto()
    GRANTED = enum.auto()
    """A consumer's grant names the environment by its old or its new name."""
    IS_DEFAULT = enum.auto()
    NEEDS_DEFAULT = enum.auto()
    """It would leave the tenant without a default environment."""
    IN_USE = enum.auto()
    """A live secret has a value there."""
    GOES = enum.auto()
    """It is being deleted."""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """There is more than one transaction may do: go on `after` this id; None: from the beginning."""

    after: UUID | None = None


# Environments -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EnvironmentRequest:
    """An environment as it was sent; nothing is checked yet."""

    name: str
    display_name: str | None = None
    description: str | None = None
    color: str | None = None
    is_default: bool | None = None


@dataclass(frozen=True, slots=True)
class EnvironmentDraft:
    """A new environment, checked."""

    name: str
    display_name: str
    description: str | None
    color: str | None
    is_default: bool


@dataclass(frozen=True, slots=True)
class EnvironmentRow:
    """An environment as it is stored; `color` is None where none was chosen."""

    id: UUID
    name: str
    display_name: str
    description: str | None
    color: str | None
    is_default: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ClosedEnvironment:
    """An environment of any tenant whose deletion began at `closed_at`, and has not come to its end."""

    tenant_id: UUID
    id: UUID
    closed_at: datetime


@dataclass(frozen=True, slots=True)
class EnvironmentChange:
    """Members to set, checked. A `display_name` of None means the name that it has afterwards."""

    members: Mapping[str, Any] = field(default_factory=dict)

    def of(self, row: EnvironmentRow) -> EnvironmentRow:
        """The row as it is afterwards."""
        changed = replace(row, **self.members)
        if "display_name" in self.members and self.members["display_name"] is None:
            return replace(changed, display_name=changed.name)
        return changed


# Collections ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CollectionRequest:
    """A collection as it was sent; nothing is checked yet."""

    name: str
    description: str | None = None


@dataclass(frozen=True, slots=True)
class CollectionRow:
    """A collection; `secret_count` counts the live secrets in it."""

    id: UUID
    name: str
    description: str | None
    secret_count: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class CollectionsRequest:
    """A page of collections, as it was asked for; nothing is checked yet."""

    page: int | None = None
    per_page: int | None = None
    sort: str | None = None
    order: str | None = None


@dataclass(frozen=True, slots=True)
class CollectionListing:
    """A checked question for a page; `sort` is `name` or `created_at`, ids break ties."""

    paging: Paging
    sort: str
    descending: bool
