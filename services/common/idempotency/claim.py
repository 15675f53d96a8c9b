"""A request that brought an idempotency key, while it is worked on and when it has been. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID


class ClaimLostError(Exception):
    """Another process has taken the claim over: what was about to be committed must not be."""


@dataclass(slots=True)
class Claim:
    """Who works on the request of `key`, and how the outcome of its use case becomes the reply to keep.

    `owner` is made for this very attempt. `encode` is set by the rpc before the use case begins: it turns
    what the use case returns into the serialized reply, without any secret value.
    """

    key: str = field(repr=False)
    owner: UUID
    encode: Callable[[Any], bytes] | None = field(default=None, repr=False)
    completed: bool = False
    """Whether a transaction has been asked to keep the reply. It may still have been undone."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What the first request came to: the serialized reply, or the serialized status of its refusal."""

    reply: bytes | None = field(repr=False)
    refusal: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Standing:
    """What is stored of a key. `is_same`: of the same request. `kept` is None while it is worked on, and when
    nobody does any more (`has_lapsed`). `has_expired`: it counts as absent.
    """

    is_same: bool
    kept: Kept | None
    has_lapsed: bool
    has_expired: bool

    @property
    def is_free(self) -> bool:
        """Whether this request may take it over."""
        return self.has_expired or (self.is_same and self.kept is None and self.has_lapsed)
