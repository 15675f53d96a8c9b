"""The rpcs of API keys."""

# ruff: noqa: N802 - names are those of the rpcs
from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from coffer.secrets.v1 import api_keys_pb2

from services.common.api_keys import mode_of
from services.common.identity import current_call
from services.common.rpc.answering import answer
from services.secrets.rpc.members import moment, optional, optional_moment
from services.secrets.rpc.pages import page
from services.secrets.tenancy.model import ApiKeyRequest, ApiKeysRequest

if TYPE_CHECKING:
    from services.secrets.tenancy.api_keys import ApiKeyRegistry
    from services.secrets.tenancy.model import ApiKeyRow, MadeApiKey

_SHOWN_ONCE: Final = "Keep the key now: it is shown this once and stored nowhere."
_WAS_SHOWN: Final = (
    "The key was shown in the reply to the first request and is stored nowhere. If that reply was lost,"
    " revoke this key and make another."
)
_KINDS: Final = {"live": "standard", "test": "test"}


class ApiKeyRpcs:
    """Each is one use case. Policy has been enforced before it is called."""

    def __init__(self, api_keys: ApiKeyRegistry) -> None:
        self._api_keys = api_keys

    async def ListApiKeys(
        self, request: api_keys_pb2.ListApiKeysRequest, _context: Any
    ) -> api_keys_pb2.ListApiKeysResponse:
        """A page of them."""
        asked = ApiKeysRequest(
            page=optional(request, "page"),
            per_page=optional(request, "per_page"),
            sort=optional(request, "sort"),
            order=optional(request, "order"),
        )
        rows, numbers = await self._api_keys.list(current_call(), asked)
        return api_keys_pb2.ListApiKeysResponse(api_keys=map(_shown, rows), page=page(numbers))

    async def GetApiKey(
        self, request: api_keys_pb2.GetApiKeyRequest, _context: Any
    ) -> api_keys_pb2.ApiKey:
        """One of them."""
        return _shown(await self._api_keys.get(current_call(), request.key_id))

    async def CreateApiKey(
        self, request: api_keys_pb2.CreateApiKeyRequest, _context: Any
    ) -> api_keys_pb2.CreatedApiKey:
        """Make one. What is kept for a repeated request does not hold the key."""
        asked = _asked(request)
        return await answer(
            lambda call: self._api_keys.create(call, asked), _created, kept=_created_before
        )

    async def RevokeApiKey(
        self, request: api_keys_pb2.RevokeApiKeyRequest, _context: Any
    ) -> api_keys_pb2.RevokeApiKeyResponse:
        """Revoke one."""
        return await answer(
            lambda call: self._api_keys.revoke(call, request.key_id),
            lambda _: api_keys_pb2.RevokeApiKeyResponse(revoked=True),
        )


def _asked(request: api_keys_pb2.CreateApiKeyRequest) -> ApiKeyRequest:
    """What is asked for. Raises ValidationError for a time that is none."""
    asked = ApiKeyRequest(
        name=request.name,
        expires_in_days=optional(request, "expires_in_days"),
        expires_at=optional_moment(request, "expires_at"),
        never_expires=request.never_expires,
        rate_limit_requests=optional(request, "rate_limit_requests"),
        rate_limit_window_sec=optional(request, "rate_limit_window_sec"),
    )
    if request.scopes or "scopes" in request.update_mask.paths:
        return replace(asked, scopes=tuple(request.scopes))
    return asked


def _created(made: MadeApiKey) -> api_keys_pb2.CreatedApiKey:
    reply = _created_before(made)
    reply.api_key = made.token
    reply.message = _SHOWN_ONCE
    return reply


def _created_before(made: MadeApiKey) -> api_keys_pb2.CreatedApiKey:
    return api_keys_pb2.CreatedApiKey(**_members(made.row), message=_WAS_SHOWN)


def _shown(row: ApiKeyRow) -> api_keys_pb2.ApiKey:
    used = row.last_used_at
    return api_keys_pb2.ApiKey(**_members(row), last_used_at=None if used is None else moment(used))


def _members(row: ApiKeyRow) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "key_id": row.key_id,
        "key_prefix": row.key_prefix,
        "name": row.name,
        "scopes": row.scopes,
        "expires_at": None if row.expires_at is None else moment(row.expires_at),
        "created_at": moment(row.created_at),
        "active": row.active,
        "key_type": _KINDS[mode_of(row.key_prefix)],
        "rate_limit_requests": row.rate_limit_requests,
        "rate_limit_window_sec": row.rate_limit_window_sec,
    }
