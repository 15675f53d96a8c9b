"""Serving a request that brings an idempotency key: its work is done once, its copies get the same reply."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Protocol

from google.api import annotations_pb2
from google.protobuf import field_mask_pb2, message_factory
from google.rpc import status_pb2

from services.common.errors import CofferError, InternalError, UnavailableError, ValidationError
from services.common.idempotency import Claim, ClaimLostError, Kept
from services.common.identity import enter_call
from services.common.rpc import responses
from services.common.rpc.status import parse_status, to_status

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager
    from uuid import UUID

    from google.protobuf.descriptor import ServiceDescriptor
    from google.protobuf.message import Message

    from services.common.identity import Call

IDEMPOTENCY_KEY: Final = "idempotency-key"
MAX_KEY_CHARACTERS: Final = 255

_CHANGING: Final = frozenset({"post", "put", "patch", "delete"})
_DEFINITIVE: Final = frozenset(
    {
        "not_found",
        "no_kms_config",
        "conflict",
        "invalid_state",
        "not_sealed",
        "key_active",
        "key_in_use",
        "key_revoked",
        "rewrap_running",
        "plan_limit",
        "version_mismatch",
    }
)
"""Refusals of the effect: what stands there refused it, and a copy is told the same. All others, of what was
sent or of a moment, keep nothing: the same key may be tried again."""
_SEALED: Final = "tenant_sealed"
_CONFLICT_STATUS: Final = 409


class Claims(Protocol):
    """The idempotency keys of one service: see `services.common.idempotency.guard`."""

    async def claim(self, call: Call, key: str, rpc: str, request: bytes) -> Claim | Kept:
        """The claim of this request's key, or what a copy of it came to."""
        ...

    def renewing(self, tenant_id: UUID, claim: Claim) -> AbstractAsyncContextManager[None]:
        """Hold the claim while the block runs."""
        ...

    async def keep(self, tenant_id: UUID, claim: Claim, kept: Kept) -> None:
        """Keep what the request came to, after the fact."""
        ...

    async def release(self, tenant_id: UUID, claim: Claim) -> None:
        """Let a copy begin anew at once."""
        ...


class Repeats:
    """Of one service. `domain` is such as `coffer.kms`."""

    def __init__(self, claims: Claims, service: ServiceDescriptor, domain: str) -> None:
        self._claims = claims
        self._domain = domain
        self._replies: dict[str, Any] = {
            f"/{service.full_name}/{rpc.name}": message_factory.GetMessageClass(rpc.output_type)
            for rpc in service.methods
            if rpc.GetOptions().Extensions[annotations_pb2.http].WhichOneof("pattern") in _CHANGING
        }

    def cover(self, method: str) -> bool:
        """Whether a key means anything to this rpc: to those that change something."""
        return method in self._replies

    async def serve(
        self,
        method: str,
        call: Call,
        key: str,
        request: Message,
        work: Callable[[], Awaitable[Any]],
    ) -> Any:
        """The reply of `work`, or of the copy that came first. The current call gets its claim.

        Raises what `work` raises, ValidationError for a key that is none, and as `Claims.claim`.
        """
        _require_key(key)
        found = await self._claims.claim(call, key, method, _said(request))
        if isinstance(found, Kept):
            responses.add(responses.IDEMPOTENT_REPLAYED, "true")
            return self._replay(method, found)
        enter_call(replace(call, claim=found))
        async with self._claims.renewing(call.tenant, found):
            reply = await self._attempt(call, found, work)
        if not found.completed:
            kept = Kept(reply.SerializeToString(), None)
            await self._claims.keep(call.tenant, found, kept)
        return reply

    async def _attempt(self, call: Call, claim: Claim, work: Callable[[], Awaitable[Any]]) -> Any:
        try:
            return await work()
        except ClaimLostError:
            raise UnavailableError(
                "A copy of this request is being served; send it again."
            ) from None
        except asyncio.CancelledError:
            raise  # its work may go on in a group: the claim lapses by itself
        except CofferError as error:
            if _is_definitive(error):
                status = to_status(error, self._domain).SerializeToString()
                await self._claims.keep(call.tenant, claim, Kept(None, status))
            else:
                await self._claims.release(call.tenant, claim)
            raise
        except Exception:
            await self._claims.release(call.tenant, claim)
            raise

    def _replay(self, method: str, kept: Kept) -> Any:
        if kept.reply is not None:
            return self._replies[method].FromString(kept.reply)
        error = parse_status(status_pb2.Status.FromString(kept.refusal or b""))
        raise error or InternalError()


def _said(request: Message) -> bytes:
    """What the request says, the same whatever order its body was written in."""
    masks = [
        field.name
        for field, _ in request.ListFields()
        if field.message_type is field_mask_pb2.FieldMask.DESCRIPTOR and not field.is_repeated
    ]
    if masks:
        copy = type(request)()
        copy.CopyFrom(request)
        for name in masks:
            getattr(copy, name).paths.sort()
        request = copy
    return request.SerializeToString(deterministic=True)


def _require_key(key: str) -> None:
    is_printable = key.isascii() and key.isprintable()
    if not 1 <= len(key) <= MAX_KEY_CHARACTERS or not is_printable:
        raise ValidationError.of(
            IDEMPOTENCY_KEY,
            f"must be 1 to {MAX_KEY_CHARACTERS} printable ASCII characters, such as a UUID",
        )


def _is_definitive(error: CofferError) -> bool:
    if error.code == _SEALED:
        return error.http_status == _CONFLICT_STATUS
    return error.code in _DEFINITIVE and error.retry_after is None
