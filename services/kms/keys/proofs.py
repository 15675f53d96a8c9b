"""Proving a wrapping key with a live wrap and unwrap, and minting master keys that are proven. Pure."""

from __future__ import annotations

import hmac
import os
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from services.kms.keys import hierarchy
from services.kms.model import KeyFacts, NewMasterKey, Proof, Reason, WrapError

if TYPE_CHECKING:
    from uuid import UUID

    from services.kms.model import WrapMethod
    from services.kms.ports import Clock, WrappingKey

_PROBE_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Minted:
    """A new master key. `asked_at` is when its unwrap was sent, on the clock given to `mint`."""

    tenant_id: UUID
    new: NewMasterKey
    asked_at: float
    master_key: bytes = field(repr=False)


async def probe(key: WrappingKey, tenant_id: UUID) -> Proof:
    """Wrap and unwrap 32 random bytes and compare. Raises WrapError."""
    facts, sample = KeyFacts(tenant_id, uuid.uuid4()), os.urandom(_PROBE_BYTES)
    started = time.perf_counter()
    wrapped = await key.wrap(facts, sample)
    between = time.perf_counter()
    back = await key.unwrap(facts, wrapped)
    ended = time.perf_counter()
    _require_same(key, sample, back)
    return Proof(wrapped.key_ref, (between - started) * 1000, (ended - between) * 1000)


async def mint(key: WrappingKey, method: WrapMethod, tenant_id: UUID, *, clock: Clock) -> Minted:
    """A new master key, wrapped, itself unwrapped and compared. Raises WrapError."""
    facts, master_key = KeyFacts(tenant_id, uuid.uuid4()), hierarchy.new_master_key()
    wrapped = await key.wrap(facts, master_key)
    asked_at = clock()
    _require_same(key, master_key, await key.unwrap(facts, wrapped))
    check_value = hierarchy.check_value(master_key, tenant_id, facts.key_id)
    new = NewMasterKey(facts.key_id, method, wrapped, check_value)
    return Minted(tenant_id, new, asked_at, master_key)


def _require_same(key: WrappingKey, sent: bytes, back: bytes) -> None:
    if not hmac.compare_digest(sent, back):
        raise WrapError(
            Reason.ROUNDTRIP_MISMATCH,
            f"Unwrapping with {key.describe().key_ref} did not give back the bytes that were wrapped:"
            " this key must not be used.",
        )
