"""The history of a secret's values, as the use cases speak of it. Pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from services.secrets.model import Environment, SealedValue


@dataclass(frozen=True, slots=True)
class HistoryRequest:
    """A page of a history, as it was asked for; nothing is checked yet."""

    id: str
    environment: str | None = None
    page: int | None = None
    per_page: int | None = None


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """Which old value to make current. `if_match` is the version it must replace."""

    id: str
    value_version: int
    environment: str | None = None
    if_match: int | None = None


@dataclass(frozen=True, slots=True)
class PastVersion:
    """That there was a value; `is_current`: there still is."""

    value_version: int
    environment: str
    is_current: bool
    created_at: datetime
    certificate_type: str | None
    certificate_expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class PastVersions:
    """A page of a history, newest first, and how many versions there are in all."""

    rows: tuple[PastVersion, ...]
    total: int


@dataclass(frozen=True, slots=True)
class StoredValue:
    """A value version as it is stored."""

    secret_id: UUID
    environment: Environment
    value_version: int
    certificate_type: str | None
    value: SealedValue


class NotRemoved(enum.Enum):
    """Why the value of an environment stays. Nothing was changed."""

    NO_SECRET = enum.auto()
    NO_VALUE = enum.auto()
    IS_BASE = enum.auto()
