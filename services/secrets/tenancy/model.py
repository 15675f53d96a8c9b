"""API keys and accounts, as use cases know them. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from services.common.rate_limits import RateLimit
    from services.secrets.paging import Paging

MAX_LIVE_KEYS: Final = 1_000
"""API keys of a tenant that are neither revoked nor ended, whatever its plan: limits are counted by key, so
more keys are more calls. The operator's command line is not bound."""


@dataclass(frozen=True, slots=True)
class ApiKeyRequest:
    """A new key as asked for. `scopes` None: not given."""

    name: str
    scopes: Sequence[str] | None = None
    expires_in_days: int | None = None
    expires_at: datetime | None = None
    never_expires: bool = False
    rate_limit_requests: int | None = None
    rate_limit_window_sec: int | None = None


@dataclass(frozen=True, slots=True)
class ApiKeysRequest:
    """A page of API keys, as it was asked for; nothing is checked yet."""

    page: int | None = None
    per_page: int | None = None
    sort: str | None = None
    order: str | None = None


@dataclass(frozen=True, slots=True)
class ApiKeyListing:
    """A checked question for a page; `sort` is `created_at` or `name`, ids break ties."""

    paging: Paging
    sort: str = "created_at"
    descending: bool = True


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """A checked new key, without the key. `rate_limit` None: its maker's setting is its own too."""

    name: str
    scopes: tuple[str, ...]
    expires_at: datetime | None
    rate_limit: RateLimit | None


@dataclass(frozen=True, slots=True)
class ApiKeyRow:
    """An API key, without the key. `rate_limit_requests` 0: never limited; None: the operator's setting."""

    id: UUID
    key_id: str
    key_prefix: str
    name: str
    scopes: tuple[str, ...]
    expires_at: datetime | None
    created_at: datetime
    last_used_at: datetime | None
    active: bool
    rate_limit_requests: int | None
    rate_limit_window_sec: int | None


@dataclass(frozen=True, slots=True)
class MadeApiKey:
    """A key that was just made. `token` is shown once and never stored."""

    row: ApiKeyRow
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Account:
    """A tenant, as its own clients see it."""

    id: UUID
    slug: str
    name: str
    region: str
    plan: str
    status: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Month:
    """A calendar month, UTC. `end` is its last moment, to the millisecond."""

    year: int
    month: int
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Counts:
    """What a tenant has and did. `max_secrets` None: unlimited."""

    plan: str
    status: str
    calls: int
    secrets: int
    max_secrets: int | None
    environments: int
    collections: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What a tenant uses of its plan."""

    month: Month
    counts: Counts
