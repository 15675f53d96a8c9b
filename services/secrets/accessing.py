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
from services.secrets.acting import act_for
from services.secrets.grouping import DATABASE_PLACES, Grouping, GroupLimits
from services.secrets.model import (
    AccessWarning,
    Answer,
    KeyFault,
    KeySealed,
    SealedAnswer,
    Withheld,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from uuid import UUID

    from services.common.sensitive import SecretBytes
    from services.secrets.model import FieldName, Question
    from services.secrets.ports import Accesses, Kms, Observer


MAX_ITEMS: Final = 32
"""Of one group: a certificate with its key and their normal form takes up to 1.5 MiB, twice while it is
opened."""
MAX_HELD_BYTES: Final = 256 * 1024 * 1024
"""Sealed values in hand, of all groups: what many tenants with slow keys may keep of our memory."""


def _now() -> datetime:
    return datetime.now(UTC)


class _Group:
    """Questions of one tenant that are answered together, and what became of each so far."""

    def __init__(self, tenant_id: UUID, questions: Sequence[Question], now: datetime) -> None:
        self.tenant_id = tenant_id
        self.questions = questions
        self.now = now
        self.outcomes: list[Answer | Exception] = [InternalError()] * len(questions)


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
        calls = [question.call for question in questions]
        act_for(calls)
        self._observer.grouped("access", calls)
        group = _Group(tenant_id, questions, self._clock())
        granted = await self._look(group, range(len(questions)))
        with self._holding(sum(answer.value.size for answer in granted.values())):
            opened = await self._open(group, granted)
            moved = await self._moved(group, granted)
            if moved:
                granted |= moved
                opened |= await self._open(group, moved)
            if opened:
                record = [(questions[index], granted[index]) for index in opened]
                async with self._places:
                    await self._store.record(tenant_id, record)
        for index, fields in opened.items():
            answer = granted[index]
            group.outcomes[index] = Answer(answer, fields, _warnings(answer, group.now))
        return group.outcomes

    async def _look(self, group: _Group, indices: Iterable[int]) -> dict[int, SealedAnswer]:
        """The stored values that may be given out; the others get their refusal."""
        places = list(indices)
        async with self._places:
            read = await self._store.read(
                group.tenant_id, [group.questions[index] for index in places]
            )
        granted: dict[int, SealedAnswer] = {}
        for index, found in zip(places, read, strict=True):
            refusal = _refusal(found, group.now)
            if refusal is not None:
                group.outcomes[index] = refusal
            elif isinstance(found, SealedAnswer):
                granted[index] = found
        return granted

    async def _moved(
        self, group: _Group, granted: Mapping[int, SealedAnswer]
    ) -> dict[int, SealedAnswer]:
        """Of those whose key version is revoked, the ones that a rewrap had moved away from it since
        they were read: they are not gone."""
        gone = [index for index in granted if isinstance(group.outcomes[index], KeyRevokedError)]
        if not gone:
            return {}
        return {
            index: answer
            for index, answer in (await self._look(group, gone)).items()
            if answer.value.key.wrapped != granted[index].value.key.wrapped
        }

    @contextlib.contextmanager
    def _holding(self, size: int) -> Iterator[None]:
        """Keep `size` bytes in hand. Raises UnavailableError when that is too much with the others'.

        Nobody takes more than is left for the rest: many tenants with slow keys leave room for small values.
        """
        if size > self._room - size:
            raise UnavailableError("Too much is being read at present.")
        self._room -= size
        try:
            yield
        finally:
            self._room += size

    async def _open(
        self, group: _Group, granted: Mapping[int, SealedAnswer]
    ) -> dict[int, dict[FieldName, bytes]]:
        """What opens; the others get their error."""
        opened: dict[int, dict[FieldName, bytes]] = {}
        if not granted:
            return opened
        keys = await self._kms.unwrap(
            group.tenant_id, [answer.value.key for answer in granted.values()]
        )
        for (index, answer), key in zip(granted.items(), keys, strict=True):
            try:
                opened[index] = self._open_one(group, index, answer, key)
            except Exception as error:  # noqa: BLE001 - handed to the one caller it belongs to
                group.outcomes[index] = error
        return opened

    def _open_one(
        self,
        group: _Group,
        index: int,
        answer: SealedAnswer,
        key: SecretBytes | KeyFault | KeySealed,
    ) -> dict[FieldName, bytes]:
        where = "data key"
        if isinstance(key, KeySealed):
            raise TenantSealedError(reason=key.reason)
        if not isinstance(key, KeyFault):
            try:
                return sealing.open_(group.tenant_id, answer, key)
            except CannotOpenError:
                key, where = KeyFault.DAMAGED, "value"
        if key is KeyFault.DAMAGED:
            self._observer.cannot_open(
                group.tenant_id, answer.value.key.id, where, call=group.questions[index].call
            )
        raise _fault(key) from None


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
    if _is_past(answer.certificate_expires_at, now):
        return (AccessWarning("expired", "The certificate has expired."),)
    if _is_past(answer.expires_at, now):
        return (AccessWarning("expired", "The secret has expired."),)
    return ()


def _is_past(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and moment <= now
