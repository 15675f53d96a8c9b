"""API keys: made by API keys, with no right that their maker lacks."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from services.common import api_keys, rate_limits
from services.common.errors import InsufficientScopeError, NotFoundError, UnauthenticatedError
from services.common.rate_limits import RateLimit
from services.secrets import values
from services.secrets.naming import parse_id
from services.secrets.paging import page_of, paging
from services.secrets.tenancy.model import ApiKeyListing, NewApiKey
from services.secrets.values import Faults

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from services.common.identity import ApiKeyIdentity, Call
    from services.secrets.paging import Numbers
    from services.secrets.shares import Shares
    from services.secrets.tenancy.model import (
        ApiKeyRequest,
        ApiKeyRow,
        ApiKeysRequest,
        MadeApiKey,
    )
    from services.secrets.tenancy.ports import ApiKeys

DEFAULT_DAYS: Final = 90
MAX_DAYS: Final = 3650
MAX_NAME: Final = 200
ENDINGS: Final = ("expires_in_days", "expires_at", "never_expires")
"""The members that say when a key ends; at most one of them is given."""
NEWEST: Final = "created_at"
_SORTS: Final = (NEWEST, "name")
_USUAL: Final = {NEWEST: "desc", "name": "asc"}
_KEY_ID: Final = re.compile(r"key_[0-9A-Za-z]{1,64}")


def _now() -> datetime:
    return datetime.now(UTC)


class ApiKeyRegistry:
    """What a tenant's client may do with its API keys. Every method acts for the call's tenant.

    A key may outlive the key that made it: whoever manages keys replaces one before it ends. Revoking a key
    leaves those that it made.
    """

    def __init__(self, store: ApiKeys, places: Shares, now: Callable[[], datetime] = _now) -> None:
        self._store = store
        self._places = places
        self._now = now

    async def list(
        self, call: Call, request: ApiKeysRequest
    ) -> tuple[Sequence[ApiKeyRow], Numbers]:
        """A page of those that are not revoked. Raises validation_error."""
        listing = _listing(request)
        rows, total = await self._store.list(call.tenant, listing)
        return rows, page_of(total, listing.paging)

    async def get(self, call: Call, name: str) -> ApiKeyRow:
        """One of them, by its `key_id` or its id. Raises not_found."""
        found = await self._store.get(call.tenant, _path(name))
        if found is None:
            raise _no_key()
        return found

    async def create(self, call: Call, request: ApiKeyRequest) -> MadeApiKey:
        """Make a key of the caller's kind. Raises validation_error, insufficient_scope, plan_limit where the
        tenant has MAX_LIVE_KEYS, and unauthenticated where the caller's key is revoked at this moment.
        """
        caller = _caller(call)
        new = self._checked(request, caller)
        async with self._places.of(call.tenant):
            made = await self._store.create(call.tenant, new, api_keys.generate(caller.mode), call)
        if made is None:
            raise UnauthenticatedError
        return made

    async def revoke(self, call: Call, name: str) -> bool:
        """Revoke a key, by its `key_id` or its id; it may be the caller's own. Raises not_found."""
        path = _path(name)
        async with self._places.of(call.tenant):
            revoked = await self._store.revoke(call.tenant, path, call)
        if not revoked:
            raise _no_key()
        return revoked

    def _checked(self, request: ApiKeyRequest, caller: ApiKeyIdentity) -> NewApiKey:
        faults = Faults()
        name = _name(request.name, faults)
        scopes = _scopes(request.scopes, caller, faults)
        expires_at = self._expires_at(request, faults)
        limit = _limit(request, caller, faults)
        faults.raise_any()
        lacking = [scope for scope in scopes if scope not in caller.scopes]
        if lacking:
            raise InsufficientScopeError(
                f"The API key lacks the scope {', '.join(lacking)}, so it can make no key with it.",
            )
        return NewApiKey(name, scopes, expires_at, limit)

    def _expires_at(self, request: ApiKeyRequest, faults: Faults) -> datetime | None:
        given = [name for name in ENDINGS if _given(getattr(request, name))]
        if len(given) > 1:
            for name in given:
                faults.add(name, f"Only one of {', '.join(given)} may be given.")
        days, at = request.expires_in_days, request.expires_at
        now = self._now()
        if days is not None and not 1 <= days <= MAX_DAYS:
            faults.add("expires_in_days", f"Must be 1 to {MAX_DAYS}.")
            return None
        if at is not None and at <= now:
            faults.add("expires_at", "Must be in the future.")
        if at is not None or request.never_expires:
            return at
        return now + timedelta(days=DEFAULT_DAYS if days is None else days)


def _listing(request: ApiKeysRequest) -> ApiKeyListing:
    faults = Faults()
    asked = paging(request.page, request.per_page, faults)
    sort = values.one_of("sort", request.sort, _SORTS, faults) or NEWEST
    order = values.one_of("order", request.order, values.ORDERS, faults)
    faults.raise_any()
    # Whoever asks for no order wants the newest first, but names from A on.
    return ApiKeyListing(asked, sort, descending=(order or _USUAL[sort]) == "desc")


def _caller(call: Call) -> ApiKeyIdentity:
    if call.api_key is None:
        raise LookupError("this call was made without an API key")
    return call.api_key


def _name(sent: str, faults: Faults) -> str:
    name = sent.strip()
    if not name:
        faults.add("name", "Is required.")
    if len(name) > MAX_NAME:
        faults.add("name", f"Must be at most {MAX_NAME} characters.")
    if values.has_control(name):
        faults.add("name", "Must not hold control characters.")
    return name


def _scopes(sent: Sequence[str] | None, caller: ApiKeyIdentity, faults: Faults) -> tuple[str, ...]:
    """In the order of the contract, each once."""
    wanted = caller.scopes if sent is None else sent
    if not wanted:
        faults.add(
            "scopes", "Must name one scope at least; left out, the key gets all of the caller's."
        )
    elif sent is not None and not set(sent) <= set(api_keys.SCOPES):
        faults.add("scopes", f"Must each be one of {', '.join(api_keys.SCOPES)}.")
    return tuple(scope for scope in api_keys.SCOPES if scope in wanted)


def _limit(request: ApiKeyRequest, caller: ApiKeyIdentity, faults: Faults) -> RateLimit | None:
    calls, seconds = request.rate_limit_requests, request.rate_limit_window_sec
    if calls is None:
        if seconds is not None:
            faults.add("rate_limit_window_sec", "Goes with rate_limit_requests.")
        return None
    if not 1 <= calls <= rate_limits.MAX_LIMIT:
        faults.add("rate_limit_requests", f"Must be 1 to {rate_limits.MAX_LIMIT}.")
    if seconds is not None and not 1 <= seconds <= rate_limits.MAX_WINDOW_SECONDS:
        faults.add("rate_limit_window_sec", f"Must be 1 to {rate_limits.MAX_WINDOW_SECONDS}.")
    if faults:
        return None
    limit = RateLimit(calls, seconds or rate_limits.DEFAULT_WINDOW_SECONDS)
    if caller.limit is not None and limit.laxer_than(caller.limit):
        own = f"{caller.limit.calls} in {caller.limit.seconds} s"
        faults.add(
            "rate_limit_requests", f"Must not allow more than the caller's own limit, {own}."
        )
    return limit


def _given(sent: object) -> bool:
    """`never_expires: false` says no more than nothing."""
    return sent is not None and sent is not False


def _path(text: str) -> str:
    """A `key_id`, or an id in its usual form."""
    found = parse_id(text)
    if found is None and not _KEY_ID.fullmatch(text):
        raise _no_key()
    return text if found is None else str(found)


def _no_key() -> NotFoundError:
    return NotFoundError("There is no such API key, or it was revoked before.")
