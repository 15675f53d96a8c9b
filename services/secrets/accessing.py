"""Values for granted consumers. No audit event, no value."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from services.common.envelope import CannotOpenError
from services.common.errors import (
    CofferError,
    ForbiddenError,
    InternalError,
    InvalidStateError,
    KeyRevokedError,
    NotFoundError,
    TenantSealedError,
    UnavailableError,
)
from services.secrets import sealing
from services.secrets.grouping import DATABASE_PLACES, Grouping, GroupLimits
from services.secrets.model import AccessWarning, Answer, KeyFault, SealedAnswer, Withheld

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from uuid import UUID

    from services.common.sensitive import SecretBytes
    from services.secrets.model import FieldName, Question
    from services.secrets.ports import Accesses, Kms, Observer


MAX_ITEMS: Final = 32
"""Of one group: a certificate with its key takes up to 785 KiB, twice while it is opened."""
MAX_HELD_BYTES: Final = 256 * 1024 * 1024
"""Sealed values in hand, of all groups: what many tenants with slow keys may keep of our memory."""


def _now() -> datetime:
    return datetime.now(UTC)


class Accessor:
    """Reads, opens and records values by groups: one read, one call to kms, one record for each.

    A consumer without any grant in the tenant is told the same whether or not the tenant exists; one
    whose grants do not reach a secret is told the same as if there were none.
    """

    def __init__(
        self,
        store: Accesses,
        kms: Kms,
        observer: Observer,
        *,
        limits: GroupLimits | None = None,
        held_bytes: int = MAX_HELD_BYTES,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self._store = store
        self._kms = kms
        self._observer = observer
        self._clock = clock
        # Never held while kms is asked: one tenant's slow key must not keep others from theirs.
        self._places = asyncio.Semaphore(DATABASE_PLACES)
        self._room = held_bytes
        self._groups: Grouping[Question, Answer] = Grouping(
            self._serve, limits=limits or GroupLimits(items=MAX_ITEMS)
        )

    async def access(self, tenant_id: UUID, question: Question) -> Answer:
        """The value in clear, recorded. Raises forbidden, not_found, invalid_state, key_revoked..."""
        return await self._groups.submit(tenant_id, question)

    async def drain(self) -> None:
        """Wait for what is under way."""
        await self._groups.drain()

    async def _serve(
        self, tenant_id: UUID, questions: Sequence[Question]
    ) -> list[Answer | Exception]:
        self._observer.grouped("access", len(questions))
        now = self._clock()
        outcomes: list[Answer | Exception] = [InternalError()] * len(questions)
        granted: dict[int, SealedAnswer] = {}
        for index, found in enumerate(await self._read(tenant_id, questions)):
            refusal = _refusal(found, now)
            if refusal is not None:
                outcomes[index] = refusal
            elif isinstance(found, SealedAnswer):
                granted[index] = found
        with self._holding(sum(answer.value.size for answer in granted.values())):
            opened = await self._open(tenant_id, granted, outcomes)
            if opened:
                record = [(questions[index], granted[index]) for index in opened]
                async with self._places:
                    await self._store.record(tenant_id, record)
        for index, fields in opened.items():
            outcomes[index] = Answer(granted[index], fields, _warnings(granted[index], now))
        return outcomes

    async def _read(
        self, tenant_id: UUID, questions: Sequence[Question]
    ) -> list[SealedAnswer | Withheld]:
        async with self._places:
            return await self._store.read(tenant_id, questions)

    @contextlib.contextmanager
    def _holding(self, size: int) -> Iterator[None]:
        """Keep `size` bytes in hand. Raises UnavailableError when that is too much with the others'."""
        if size > self._room:
            raise UnavailableError("Too much is being read at present.")
        self._room -= size
        try:
            yield
        finally:
            self._room += size

    async def _open(
        self,
        tenant_id: UUID,
        granted: Mapping[int, SealedAnswer],
        outcomes: list[Answer | Exception],
    ) -> dict[int, dict[FieldName, bytes]]:
        """What opens; the others get their error."""
        opened: dict[int, dict[FieldName, bytes]] = {}
        if not granted:
            return opened
        keys = await self._kms.unwrap(tenant_id, [answer.value.key for answer in granted.values()])
        for (index, answer), key in zip(granted.items(), keys, strict=True):
            try:
                opened[index] = self._open_one(tenant_id, answer, key)
            except Exception as error:  # noqa: BLE001 - handed to the one caller it belongs to
                outcomes[index] = error
        return opened

    def _open_one(
        self, tenant_id: UUID, answer: SealedAnswer, key: SecretBytes | KeyFault
    ) -> dict[FieldName, bytes]:
        if isinstance(key, KeyFault):
            if key is KeyFault.DAMAGED:
                self._observer.cannot_open(tenant_id, answer.value.key.id, "data key")
            raise _fault(key)
        try:
            return sealing.open_(tenant_id, answer, key)
        except CannotOpenError:
            self._observer.cannot_open(tenant_id, answer.value.key.id, "value")
            raise InternalError from None


def _fault(fault: KeyFault) -> CofferError:
    if fault is KeyFault.REVOKED:
        return KeyRevokedError("The key version that protected this value was revoked.")
    return TenantSealedError() if fault is KeyFault.SEALED else InternalError()


def _refusal(found: SealedAnswer | Withheld, now: datetime) -> Exception | None:
    if found is Withheld.NO_GRANT:
        return ForbiddenError("This consumer has no grant for this tenant.")
    if isinstance(found, Withheld):
        return NotFoundError("There is no such secret, environment or version.")
    if found.strict_expiry_enforcement and _is_past(found.expires_at, now):
        return InvalidStateError(
            "The secret has expired, and its expiry is enforced.", reason="expired"
        )
    return None


def _warnings(answer: SealedAnswer, now: datetime) -> tuple[AccessWarning, ...]:
    if _is_past(answer.expires_at, now):
        return (AccessWarning("expired", "The secret has expired."),)
    if answer.certificate_expires_at is not None:
        not_after = datetime.fromisoformat(answer.certificate_expires_at)
        if _is_past(not_after, now):
            return (AccessWarning("expired", "The certificate has expired."),)
    return ()


def _is_past(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and moment <= now
