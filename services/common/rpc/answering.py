"""From a use case to its reply, and to the reply that is kept for an idempotency key."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from services.common.identity import current_call

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from google.protobuf.message import Message

    from services.common.identity import Call

Outcome = TypeVar("Outcome")
Reply = TypeVar("Reply", bound="Message")


async def answer(
    do: Callable[[Call], Awaitable[Outcome]],
    reply_of: Callable[[Outcome], Reply],
    *,
    kept: Callable[[Outcome], Reply] | None = None,
) -> Reply:
    """The reply to the current call: `reply_of` what `do` returns.

    `kept` makes the reply to keep where that is another one, because the first holds a secret. The store
    must hand over to `idempotency.complete` just what `do` returns.
    """
    call = current_call()
    if call.claim is not None:
        keep = kept or reply_of
        call.claim.encode = lambda outcome: keep(outcome).SerializeToString()
    return reply_of(await do(call))
