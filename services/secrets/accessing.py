"""Values for granted consumers. No audit event, no value."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from services.common.errors import (
    CofferError,
    ForbiddenError,
    InternalError,
    InvalidStateError,
    KeyRevokedError,
    NotFoundError,
    PayloadTooLargeError,
    UnavailableError,
)
from services.secrets.acting import act_for
from services.secrets.allowance import Allowance
from services.secrets.expiring import is_past, is_withheld
from services.secrets.grouping import DATABASE_PLACES, Grouping, GroupLimits
from services.secrets.model import (
    AccessWarning,
    Answer,
    SealedAnswer,
    Withheld,
)
from services.secrets.opening import open_value
from services.secrets.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from uuid import UUID

    from services.secrets.model import FieldName, Question
    from services.secrets.ports import Accesses, Kms, Observer


MAX_ITEMS: Final = 32
"""Of one group: a certificate with its key and their normal form takes up to 1.5 MiB, twice while it is
opened."""
MAX_HELD_BYTES: Final = 256 * 1024 * 1024
"""Sealed values in hand, of all groups: what many tenants with slow keys may keep of our memory."""

MAX_BATCH_BYTES: Final = 12 * 1024 * 1024
"""Of the stored values in one reply; a message between processes may have 16 MiB."""
MAX_BATCHES: Final = 32
"""Of one consumer in one tenant, at work and waiting for their turn."""


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

    What is taken away while kms is asked is not handed out: the record looks once more.

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
        self._group_size = (limits or GroupLimits(items=MAX_ITEMS)).items
        self._groups: Grouping[Question, Answer] = Grouping(
            self._serve, limits=limits or GroupLimits(items=MAX_ITEMS)
        )
        self._turns: Turns[tuple[UUID, str]] = Turns(MAX_BATCHES)

    async def access(self, tenant_id: UUID, question: Question) -> Answer:
        """The value in clear, recorded. Raises forbidden, not_found, invalid_state, key_revoked..."""
        return await self._groups.submit(tenant_id, question)

    async def batch(
        self, tenant_id: UUID, questions: Sequence[Question | CofferError]
    ) -> list[Answer | BaseException]:
        """For each question the value in clear, recorded, or the error that `access` would have raised.

        What is an error already stays one. Beyond MAX_BATCH_BYTES in all it is payload_too_large. A batch
        goes by groups, one after another, and a consumer's batches take turns: other calls of the tenant
        get in between. Raises unavailable when too many batches of this consumer wait.
        """
        allowance = Allowance(MAX_BATCH_BYTES)
        outcomes: list[Answer | BaseException] = [InternalError()] * len(questions)
        asked: list[Question] = []
        for place, question in enumerate(questions):
            if isinstance(question, CofferError):
                outcomes[place] = question
            else:
                asked.append(replace(question, allowance=allowance, place=place))
        if not asked:
            return outcomes
        held = 0
        async with self._turns.of((tenant_id, asked[0].consumer)):
            try:
                for start in range(0, len(asked), self._group_size):
                    group = asked[start : start + self._group_size]
                    answers = await self._groups.submit_all(tenant_id, group)
                    for question, answer in zip(group, answers, strict=True):
                        outcomes[question.place] = answer
                    size = sum(one.sealed.value.size for one in answers if isinstance(one, Answer))
                    # In hand until the reply is made: so much less for others.
                    self._room -= size
                    held += size
            finally:
                self._room += held
        return outcomes

    async def drain(self) -> None:
        """Wait for what is under way."""
        await self._groups.drain()

    async def _serve(
        self, tenant_id: UUID, questions: Sequence[Question]
    ) -> list[Answer | Exception]:
        # A batch is one call with many questions.
        calls = list({one.call.request_id: one.call for one in questions}.values())
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
                await self._record(group, granted, opened)
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
                if group.questions[index].allows(found.value.size):
                    granted[index] = found
                else:
                    group.outcomes[index] = _too_large()
        return granted

    async def _record(
        self,
        group: _Group,
        granted: Mapping[int, SealedAnswer],
        opened: dict[int, dict[FieldName, bytes]],
    ) -> None:
        """Takes out of `opened` what may not be given out any more; it gets its refusal."""
        accesses = [(group.questions[index], granted[index]) for index in opened]
        async with self._places:
            found = await self._store.record(group.tenant_id, accesses, self._clock())
        for index, withheld in zip(list(opened), found, strict=True):
            if withheld is not None:
                group.outcomes[index] = _refused(withheld)
                del opened[index]

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
                call = group.questions[index].call
                opened[index] = open_value(group.tenant_id, answer, key, self._observer, call)
            except Exception as error:  # noqa: BLE001 - handed to the one caller it belongs to
                group.outcomes[index] = error
        return opened


def _refusal(found: SealedAnswer | Withheld, now: datetime) -> Exception | None:
    if isinstance(found, Withheld):
        return _refused(found)
    withheld = is_withheld(
        strict=found.strict_expiry_enforcement,
        expires_at=found.expires_at,
        certificate_expires_at=found.certificate_expires_at,
        now=now,
    )
    return _refused(Withheld.EXPIRED) if withheld else None


def _refused(why: Withheld) -> CofferError:
    match why:
        case Withheld.NO_GRANT:
            return ForbiddenError("This consumer has no grant for this tenant.")
        case Withheld.DELETED:
            return NotFoundError("The secret was deleted.", reason="deleted")
        case Withheld.NOT_FOUND:
            return NotFoundError("There is no such secret, environment or version.")
        case Withheld.EXPIRED:
            return InvalidStateError(
                "The secret has expired, and its expiry is enforced.", reason="expired"
            )


def _too_large() -> PayloadTooLargeError:
    return PayloadTooLargeError(
        f"The reply would hold more than {MAX_BATCH_BYTES} bytes. Ask for this secret alone."
    )


def _warnings(answer: SealedAnswer, now: datetime) -> tuple[AccessWarning, ...]:
    if is_past(answer.certificate_expires_at, now):
        return (AccessWarning("expired", "The certificate has expired."),)
    if is_past(answer.expires_at, now):
        return (AccessWarning("expired", "The secret has expired."),)
    return ()
