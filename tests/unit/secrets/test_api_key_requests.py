"""What an API key may ask for when it makes another: nothing that it may not do itself."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from services.common.api_keys import SCOPES, well_formed
from services.common.errors import (
    CofferError,
    InsufficientScopeError,
    NotFoundError,
    UnauthenticatedError,
    ValidationError,
)
from services.common.identity import ApiKeyIdentity, Call
from services.common.rate_limits import RateLimit
from services.secrets.tenancy.account import month_of
from services.secrets.tenancy.api_keys import ApiKeyRegistry
from services.secrets.tenancy.model import ApiKeyRequest
from services.secrets.writing import write_places
from tests.fakes.secrets_api_keys import MemoryApiKeys

if TYPE_CHECKING:
    from collections.abc import Iterable

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
TENANT = uuid4()


@pytest.fixture
def store() -> MemoryApiKeys:
    return MemoryApiKeys()


@pytest.fixture
def registry(store: MemoryApiKeys) -> ApiKeyRegistry:
    return ApiKeyRegistry(store, write_places(), now=lambda: NOW)


def caller(
    scopes: Iterable[str] = SCOPES, *, mode: str = "live", limit: RateLimit | None = None
) -> Call:
    key = ApiKeyIdentity(TENANT, "key_maker", frozenset(scopes), mode, limit)
    return Call(
        "api_key:key_maker", "7d7a0e5e-0000-4000-8000-000000000007", tenant_id=TENANT, api_key=key
    )


async def faults(registry: ApiKeyRegistry, call: Call | None = None, **members: Any) -> set[str]:
    """The fields that are refused."""
    with pytest.raises(ValidationError) as refused:
        await registry.create(call or caller(), ApiKeyRequest(**{"name": "ci"} | members))
    return set(refused.value.fields)


async def test_a_key_never_gets_a_scope_that_its_maker_lacks(
    registry: ApiKeyRegistry, store: MemoryApiKeys
) -> None:
    pairs = [
        (frozenset(has), frozenset(wants))
        for has in itertools.combinations(SCOPES, 3)
        for size in (1, 2, 6)
        for wants in itertools.combinations(SCOPES, size)
    ]
    for has, wants in pairs:
        request = ApiKeyRequest("ci", scopes=sorted(wants))
        if wants <= has:
            made = await registry.create(caller(has), request)
            assert frozenset(made.row.scopes) == wants
        else:
            before = len(store.made)
            with pytest.raises(InsufficientScopeError) as refused:
                await registry.create(caller(has), request)
            assert any(scope in refused.value.message for scope in wants - has)
            assert len(store.made) == before


async def test_scopes_left_out_are_the_makers_own(registry: ApiKeyRegistry) -> None:
    has = ("api_keys:manage", "secrets:read")
    made = await registry.create(caller(has), ApiKeyRequest("ci"))
    assert set(made.row.scopes) == set(has)


@pytest.mark.parametrize("scopes", [(), ("secrets:delete",), ("secrets:read", ""), ("*",)])
async def test_no_scope_and_an_unknown_one_are_refused(
    registry: ApiKeyRegistry, scopes: tuple[str, ...]
) -> None:
    assert await faults(registry, scopes=scopes) == {"scopes"}


async def test_a_scope_named_twice_is_held_once(registry: ApiKeyRegistry) -> None:
    made = await registry.create(caller(), ApiKeyRequest("ci", scopes=["audit:read"] * 3))
    assert made.row.scopes == ("audit:read",)


@pytest.mark.parametrize(
    ("ending", "expires_at"),
    [
        ({}, NOW + timedelta(days=90)),
        ({"expires_in_days": 1}, NOW + timedelta(days=1)),
        ({"expires_in_days": 3650}, NOW + timedelta(days=3650)),
        ({"expires_at": NOW + timedelta(seconds=1)}, NOW + timedelta(seconds=1)),
        ({"never_expires": True}, None),
        ({"never_expires": False}, NOW + timedelta(days=90)),
        ({"never_expires": False, "expires_in_days": 5}, NOW + timedelta(days=5)),
    ],
)
async def test_a_key_ends_when_its_maker_says(
    registry: ApiKeyRegistry, ending: dict[str, Any], expires_at: datetime | None
) -> None:
    made = await registry.create(caller(), ApiKeyRequest("ci", **ending))
    assert made.row.expires_at == expires_at


@pytest.mark.parametrize(
    ("ending", "fields"),
    [
        ({"expires_in_days": 0}, {"expires_in_days"}),
        ({"expires_in_days": -1}, {"expires_in_days"}),
        ({"expires_in_days": 3651}, {"expires_in_days"}),
        ({"expires_in_days": 2**63 - 1}, {"expires_in_days"}),
        ({"expires_at": NOW}, {"expires_at"}),
        (
            {"expires_in_days": 1, "never_expires": True},
            {"expires_in_days", "never_expires"},
        ),
        (
            {"expires_in_days": 1, "expires_at": NOW + timedelta(1), "never_expires": True},
            {"expires_in_days", "expires_at", "never_expires"},
        ),
    ],
)
async def test_an_end_that_cannot_be_or_is_said_twice_is_refused(
    registry: ApiKeyRegistry, ending: dict[str, Any], fields: set[str]
) -> None:
    assert await faults(registry, **ending) == fields


@pytest.mark.parametrize("name", ["", "  ", "x" * 201, "a\x00b", "a\nb"])
async def test_a_name_that_is_none_is_refused(registry: ApiKeyRegistry, name: str) -> None:
    assert await faults(registry, name=name) == {"name"}


async def test_all_faults_are_told_at_once(registry: ApiKeyRegistry) -> None:
    found = await faults(registry, name="", scopes=["x"], expires_in_days=0, rate_limit_requests=0)
    assert found == {"name", "scopes", "expires_in_days", "rate_limit_requests"}


@pytest.mark.parametrize("mode", ["live", "test"])
async def test_a_key_is_of_its_makers_kind(registry: ApiKeyRegistry, mode: str) -> None:
    made = await registry.create(caller(mode=mode), ApiKeyRequest("ci"))
    assert made.token.startswith(f"tk_{mode}_")
    assert well_formed(made.token)
    assert made.row.key_prefix == made.token[:12]
    assert made.token not in repr(made)


@pytest.mark.parametrize(
    ("own", "asked", "laxer"),
    [
        (None, {"rate_limit_requests": 1_000_000}, False),
        (RateLimit(60, 60), {"rate_limit_requests": 60}, False),
        (RateLimit(60, 60), {"rate_limit_requests": 61}, True),
        (RateLimit(60, 60), {"rate_limit_requests": 1, "rate_limit_window_sec": 1}, False),
        (RateLimit(60, 60), {"rate_limit_requests": 2, "rate_limit_window_sec": 1}, True),
        # No more in the long run, but more at once.
        (RateLimit(60, 60), {"rate_limit_requests": 3600, "rate_limit_window_sec": 3600}, True),
    ],
)
async def test_a_limited_key_makes_no_key_with_a_laxer_limit(
    registry: ApiKeyRegistry, own: RateLimit | None, asked: dict[str, Any], laxer: bool
) -> None:
    call = caller(limit=own)
    if laxer:
        assert await faults(registry, call, **asked) == {"rate_limit_requests"}
    else:
        made = await registry.create(call, ApiKeyRequest("ci", **asked))
        assert made.row.rate_limit_requests == asked["rate_limit_requests"]
        assert made.row.rate_limit_window_sec == asked.get("rate_limit_window_sec", 60)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"rate_limit_requests": 0}, "rate_limit_requests"),
        ({"rate_limit_requests": 1_000_001}, "rate_limit_requests"),
        ({"rate_limit_requests": 1, "rate_limit_window_sec": 0}, "rate_limit_window_sec"),
        ({"rate_limit_requests": 1, "rate_limit_window_sec": 86_401}, "rate_limit_window_sec"),
        ({"rate_limit_window_sec": 60}, "rate_limit_window_sec"),
    ],
)
async def test_a_limit_that_is_none_is_refused(
    registry: ApiKeyRegistry, asked: dict[str, Any], field: str
) -> None:
    assert await faults(registry, **asked) == {field}


async def test_a_key_that_is_revoked_meanwhile_makes_none(
    registry: ApiKeyRegistry, store: MemoryApiKeys
) -> None:
    store.maker_is_gone = True
    with pytest.raises(UnauthenticatedError):
        await registry.create(caller(), ApiKeyRequest("ci"))


@pytest.mark.parametrize(
    "name", ["", "key_", "key_\x00", "x" * 300, "key_a'b", "7d7a0e5e-0000-4000-8000-000000000007"]
)
async def test_a_key_that_is_not_there_is_not_found(registry: ApiKeyRegistry, name: str) -> None:
    for ask in (registry.get, registry.revoke):
        with pytest.raises(CofferError) as refused:
            await ask(caller(), name)
        assert isinstance(refused.value, NotFoundError)


@pytest.mark.parametrize(
    ("now", "end"),
    [
        (datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC), "2026-01-31T23:59:59.999000+00:00"),
        (datetime(2026, 12, 1, tzinfo=UTC), "2026-12-31T23:59:59.999000+00:00"),
        (datetime(2028, 2, 29, tzinfo=UTC), "2028-02-29T23:59:59.999000+00:00"),
    ],
)
def test_a_month_ends_in_its_last_millisecond(now: datetime, end: str) -> None:
    month = month_of(now)
    assert month.end.isoformat() == end
    assert (month.year, month.month, month.start.day) == (now.year, now.month, 1)
    assert month.start <= now <= month.end
