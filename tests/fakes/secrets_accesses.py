"""Stored values as consumers read them, in memory, and a kms that opens their data keys."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from services.common.errors import TenantSealedError
from services.common.identity import Call, current_call
from services.common.sensitive import SecretBytes
from services.secrets import sealing
from services.secrets.model import (
    Environment,
    KeyFault,
    KeySealed,
    Payload,
    Question,
    Rewrapped,
    SealedAnswer,
    Withheld,
    WrappedKey,
)
from tests.fakes.secrets_values import a_call, a_data_key

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from services.secrets.model import DataKey


class Vault:
    """`ports.Accesses` and the unwrapping half of `ports.Kms`, over values of its own making."""

    def __init__(self) -> None:
        self.values: dict[tuple[UUID, str], SealedAnswer] = {}
        self.opened_by: dict[bytes, bytes] = {}
        self.unreachable: set[UUID] = set()
        self.revoked: set[bytes] = set()
        self.sealed: dict[bytes, str | None] = {}
        self.poison: set[str] = set()
        self.reads: list[list[str]] = []
        self.recorded: list[tuple[str | None, str]] = []
        self.asked_by: list[Call] = []
        self.after_reading: Callable[[], None] | None = None
        self.taken_away: dict[str, Withheld] = {}
        self.gate = asyncio.Event()

    def keep(self, tenant_id: UUID, name: str, value: bytes = b"v", **facts: Any) -> SealedAnswer:
        """Store a value. `facts` are members of the answer that matter."""
        key = a_data_key()
        self.opened_by[key.wrapped] = key.plaintext.reveal()
        home, secret_id = Environment(uuid4(), "production", is_default=True), uuid4()
        sealed = sealing.seal(key, tenant_id, secret_id, home.id, 1, Payload({"value": value}))
        answer = SealedAnswer(
            secret_id, name, "string", home, 1, None, None, None, False, sealed
        )  # fmt: skip
        answer = replace(answer, **facts)
        self.values[tenant_id, name] = answer
        return answer

    async def read(
        self, tenant_id: UUID, questions: Sequence[Question]
    ) -> list[SealedAnswer | Withheld]:
        names = [question.name or "" for question in questions]
        self.reads.append(names)
        if self.poison & set(names):
            raise ValueError("year is out of range")
        found = [self.values.get((tenant_id, name), Withheld.NOT_FOUND) for name in names]
        if self.after_reading is not None:
            self.after_reading()
            self.after_reading = None
        return found

    async def record(
        self, tenant_id: UUID, accesses: Sequence[tuple[Question, SealedAnswer]], now: datetime
    ) -> list[Withheld | None]:
        """Of what is in `taken_away` nothing is recorded."""
        found = [self.taken_away.get(question.name or "") for question, _ in accesses]
        self.recorded.extend(
            (question.name, question.call.request_id)
            for (question, _), withheld in zip(accesses, found, strict=True)
            if withheld is None
        )
        return found

    async def unwrap(
        self, tenant_id: UUID, keys: Sequence[WrappedKey]
    ) -> list[SecretBytes | KeyFault | KeySealed]:
        self.asked_by.append(current_call())
        if tenant_id in self.unreachable:
            await self.gate.wait()
            raise TenantSealedError
        return [self._open(key.wrapped) for key in keys]

    def _open(self, wrapped: bytes) -> SecretBytes | KeyFault | KeySealed:
        if wrapped in self.sealed:
            return KeySealed(self.sealed[wrapped])
        if wrapped in self.revoked:
            return KeyFault.REVOKED
        plaintext = self.opened_by.get(wrapped)
        return KeyFault.DAMAGED if plaintext is None else SecretBytes(plaintext)

    def move(self, tenant_id: UUID, name: str) -> None:
        """Another wrap of the same data key, as a rewrap makes it."""
        answer = self.values[tenant_id, name]
        key = answer.value.key
        fresh = replace(key, wrapped=os.urandom(len(key.wrapped)), key_version=key.key_version + 1)
        self.opened_by[fresh.wrapped] = self.opened_by[key.wrapped]
        self.values[tenant_id, name] = replace(answer, value=replace(answer.value, key=fresh))

    async def generate(self, tenant_id: UUID, count: int) -> list[DataKey]:
        raise AssertionError("not asked for here")

    async def rewrap(self, tenant_id: UUID, packed: bytes) -> Rewrapped:
        raise AssertionError("not asked for here")


def a_question(name: str) -> Question:
    return Question(a_call(actor="consumer:dev"), "dev", None, name, None, None)
