"""Claims the idempotency key of a request before its work begins, and waits for a copy that came before."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import logging
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from services.common.defects import describe
from services.common.errors import IdempotencyConflictError, UnavailableError
from services.common.idempotency.claim import Claim, Kept
from services.common.idempotency.places import Places
from services.common.idempotency.store import Rows

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from uuid import UUID

    from services.common.database import Connection, Database
    from services.common.identity import Call
    from services.common.sensitive import SecretBytes

REPLAYED: Final = "replayed"
CONFLICT: Final = "conflict"
TAKEN_OVER: Final = "taken_over"

_FIRST_PAUSE_SECONDS: Final = 0.02
_LONGEST_PAUSE_SECONDS: Final = 0.25
_MARGIN_SECONDS: Final = 0.25
_MARGIN_PART: Final = 0.2
"""Before its deadline a copy that waits is told so: after it nobody would hear."""
_PATIENCE_SECONDS: Final = 30.0
"""For so long a copy waits that has no deadline."""
_PART: Final = 2
"""All that is done about claims takes at most this part of the process's connections at a time."""
_EACH: Final = 2
"""And this many of them for each tenant."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a claim lasts by itself, and how often it is renewed while its work goes on, in seconds."""

    claim: float = 5.0
    renewal: float = 2.0


class Guard:
    """The idempotency keys of one service. Construction does no I/O.

    `key` is the same in all processes of the service: under it requests are told apart by an HMAC, since a
    bare hash would let a reader of the table try values. `count` is told what became of copies.
    """

    def __init__(
        self,
        database: Database,
        schema: str,
        key: SecretBytes,
        *,
        count: Callable[[str], None],
        patience: Patience | None = None,
    ) -> None:
        self._database = database
        self._rows = Rows(schema)
        self._key = key
        self._count = count
        self._patience = patience or Patience()
        self._all_places = asyncio.Semaphore(max(1, database.max_connections // _PART))
        self._places = Places(_EACH)
        self._copies = Places(1)

    async def claim(self, call: Call, key: str, rpc: str, request: bytes) -> Claim | Kept:
        """The claim of this request's key, or what a copy of it came to. Waits for one that is under way.

        A claim that nobody renews is taken over. Raises IdempotencyConflictError at once for another request
        with this key, and UnavailableError when the copy under way outlasts this call's deadline.
        """
        claim = Claim(key, uuid.uuid4())
        mark = self._fingerprint(rpc, request)
        try:
            async with asyncio.timeout(_give_up_after(call)):
                # One of them asks for all copies that came to this process.
                async with self._copies.of((call.tenant, key, mark)):
                    return await self._claim(call.tenant, claim, mark)
        except TimeoutError:
            raise UnavailableError(
                "The Idempotency-Key could not be claimed in time: a request with it is being served,"
                " or too much is; send it again."
            ) from None

    async def _claim(self, tenant_id: UUID, claim: Claim, mark: bytes) -> Claim | Kept:
        pause = _FIRST_PAUSE_SECONDS
        while True:
            found = await self._try(tenant_id, claim, mark)
            if isinstance(found, Kept):
                self._count(REPLAYED)
            if found is not None:
                return found
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    @contextlib.asynccontextmanager
    async def renewing(self, tenant_id: UUID, claim: Claim) -> AsyncIterator[None]:
        """Hold the claim while the block runs. Does not stop a block whose claim is lost: `complete` does."""
        renewal = asyncio.create_task(self._renew(tenant_id, claim), name="idempotency claim")
        try:
            yield
        finally:
            renewal.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await renewal

    async def keep(self, tenant_id: UUID, claim: Claim, kept: Kept) -> None:
        """Keep what the request came to, after the fact, where no transaction of its work did.

        Not promised: that it is kept. If the database is gone the claim lapses, and a copy begins anew.
        """
        with _at_best():
            async with self._tenant(tenant_id) as connection:
                await self._rows.keep(connection, tenant_id, claim, kept)

    async def release(self, tenant_id: UUID, claim: Claim) -> None:
        """Let a copy begin anew at once. Does nothing to a claim of which something is kept."""
        with _at_best():
            async with self._tenant(tenant_id) as connection:
                await self._rows.release(connection, tenant_id, claim)

    def _fingerprint(self, rpc: str, request: bytes) -> bytes:
        # A name holds no zero byte, so that no two pairs are the same bytes.
        return hmac.digest(self._key.reveal(), rpc.encode() + b"\0" + request, hashlib.sha256)

    async def _try(self, tenant_id: UUID, claim: Claim, mark: bytes) -> Claim | Kept | None:
        """None: there is a copy under way."""
        rows, seconds = self._rows, self._patience.claim
        async with self._place(tenant_id), self._database.transaction() as connection:
            if await rows.hold(connection, tenant_id, claim) and await rows.insert(
                connection, tenant_id, claim, mark, seconds
            ):
                return claim
            found = await rows.read(connection, tenant_id, claim, mark)
            if found is None:
                return None
            if found.is_free:
                if not await rows.take(connection, tenant_id, claim, mark, seconds):
                    return None
                if not found.has_expired:
                    self._count(TAKEN_OVER)
                return claim
        if not found.is_same:
            self._count(CONFLICT)
            raise IdempotencyConflictError
        return found.kept

    @contextlib.asynccontextmanager
    async def _tenant(self, tenant_id: UUID) -> AsyncIterator[Connection]:
        async with self._place(tenant_id), self._database.tenant(tenant_id) as connection:
            yield connection

    @contextlib.asynccontextmanager
    async def _place(self, tenant_id: UUID) -> AsyncIterator[None]:
        """However many requests a tenant repeats, there are connections for the others."""
        async with self._places.of(tenant_id), self._all_places:
            yield

    async def _renew(self, tenant_id: UUID, claim: Claim) -> None:
        is_ours = True
        while is_ours:
            await asyncio.sleep(self._patience.renewal)
            with _at_best():
                async with self._tenant(tenant_id) as connection:
                    is_ours = await self._rows.renew(
                        connection, tenant_id, claim, self._patience.claim
                    )


def _give_up_after(call: Call) -> float:
    if call.deadline is None:
        return _PATIENCE_SECONDS
    left = call.deadline - time.monotonic()
    # Of a call in a hurry no more than a part, so that one that nobody is before is served.
    return left - min(_MARGIN_SECONDS, left * _MARGIN_PART)


@contextlib.contextmanager
def _at_best() -> Iterator[None]:
    """What goes wrong here must not take away what the work came to."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - told, and the claim lapses by itself
        _log.warning("a claim of an idempotency key was not updated: %s", describe(error))
