"""Secrets that were deleted too long ago to be restored. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID


@dataclass(frozen=True, slots=True)
class OverdueSecret:
    """A secret that was deleted too long ago to be restored."""

    tenant_id: UUID
    id: UUID
    deleted_at: datetime


@dataclass(frozen=True, slots=True)
class Purged:
    """How many secrets are gone, and which are `left`, there being too much for one transaction."""

    purged: int
    left: tuple[UUID, ...] = ()
