"""Many values at once: what a batch costs, what it may hold, and that it keeps nobody waiting."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from coffer.secrets.v1 import secrets_pb2

from services.common.errors import (
    KeyRevokedError,
    NotFoundError,
    PayloadTooLargeError,
    UnavailableError,
    ValidationError,
)
from services.secrets.accessing import MAX_BATCH_BYTES, MAX_BATCHES, Accessor
from services.secrets.model import Answer, SealedAnswer, Withheld
from services.secrets.rpc import replies, requests
from tests.fakes.secrets_accesses import Vault, a_question
from tests.fakes.secrets_ports import Watching, settle
from tests.fakes.secrets_values import a_call

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from services.secrets.model import Question

MIB = 1024 * 1024


class Counting(Vault):
    """Counts the records that were written; a name in `deleted` is one of a deleted secret."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[int] = []
        self.deleted: set[str] = set()

    async def read(
        self, tenant_id: UUID, questions: Sequence[Question]
    ) -> list[SealedAnswer | Withheld]:
        found = await super().read(tenant_id, questions)
        return [
            Withheld.DELETED if question.name in self.deleted else one
            for question, one in zip(questions, found, strict=True)
        ]

    async def record(
        self, tenant_id: UUID, accesses: Sequence[tuple[Question, SealedAnswer]], now: datetime
    ) -> list[Withheld | None]:
        self.records.append(len(accesses))
        return await super().record(tenant_id, accesses, now)


async def test_a_hundred_values_cost_a_read_a_call_to_kms_and_a_record_for_each_32() -> None:
    vault, tenant_id = Counting(), uuid4()
    accessor = Accessor(vault, vault, Watching())
    for name in ("A", "B"):
        vault.keep(tenant_id, name, name.encode())
    questions = [a_question("AB"[index % 2]) for index in range(100)]
    found = await accessor.batch(tenant_id, questions)
    assert [one.fields["value"] for one in found if isinstance(one, Answer)] == [b"A", b"B"] * 50
    assert [len(names) for names in vault.reads] == [32, 32, 32, 4]
    assert len(vault.asked_by) == 4
    assert vault.records == [32, 32, 32, 4]


async def test_one_items_failure_fails_no_other() -> None:
    vault, tenant_id = Counting(), uuid4()
    accessor = Accessor(vault, vault, Watching())
    for name in ("A", "BROKEN", "REVOKED"):
        vault.keep(tenant_id, name)
    vault.poison.add("BROKEN")
    vault.deleted.add("DELETED")
    vault.revoked.add(vault.values[tenant_id, "REVOKED"].value.key.wrapped)
    mistaken = ValidationError.of("name", "No secret can have this name.")
    names = ("A", "NONE", "BROKEN", "REVOKED", "DELETED", "A")
    questions = [a_question(name) for name in names]
    found = await accessor.batch(tenant_id, [mistaken, *questions])
    kinds = [type(one) for one in found]
    assert kinds == [
        ValidationError, Answer, NotFoundError, ValueError, KeyRevokedError, NotFoundError, Answer
    ]  # fmt: skip
    assert [getattr(found[place], "reason", "") for place in (2, 5)] == [None, "deleted"]
    assert [name for name, _ in vault.recorded] == ["A", "A"]


async def test_what_does_not_fit_into_the_reply_is_neither_opened_nor_recorded() -> None:
    vault, tenant_id = Counting(), uuid4()
    accessor = Accessor(vault, vault, Watching())
    vault.keep(tenant_id, "BIG", bytes(MIB))
    vault.keep(tenant_id, "SMALL")
    names = ["BIG"] * 14 + ["SMALL"]
    found = await accessor.batch(tenant_id, [a_question(name) for name in names])
    fits = MAX_BATCH_BYTES // MIB - 1  # each has a nonce and a tag
    expected = [Answer] * fits + [PayloadTooLargeError] * (14 - fits) + [Answer]
    assert [type(one) for one in found] == expected
    assert Counter(name for name, _ in vault.recorded) == {"BIG": fits, "SMALL": 1}
    alone = await accessor.access(tenant_id, a_question("BIG"))
    assert len(alone.fields["value"]) == MIB


async def test_a_batch_lets_other_calls_of_its_tenant_in_between() -> None:
    vault, tenant_id = Counting(), uuid4()
    accessor = Accessor(vault, vault, Watching())
    for name in ("MANY", "ONE"):
        vault.keep(tenant_id, name)
    batches = [
        asyncio.create_task(accessor.batch(tenant_id, [a_question("MANY")] * 100)) for _ in range(9)
    ]
    await asyncio.sleep(0)
    await accessor.access(tenant_id, a_question("ONE"))
    assert len(vault.reads) <= 3
    await asyncio.gather(*batches)


async def test_batches_of_one_consumer_that_wait_are_bounded_and_harm_no_other() -> None:
    vault, slow, quick = Counting(), uuid4(), uuid4()
    accessor = Accessor(vault, vault, Watching())
    for tenant_id in (slow, quick):
        vault.keep(tenant_id, "A")
    vault.unreachable.add(slow)
    waiting = [
        asyncio.create_task(accessor.batch(slow, [a_question("A")])) for _ in range(MAX_BATCHES)
    ]
    await settle()
    with pytest.raises(UnavailableError):
        await accessor.batch(slow, [a_question("A")])
    (answer,) = await accessor.batch(quick, [a_question("A")])
    assert isinstance(answer, Answer)
    vault.gate.set()
    await asyncio.gather(*waiting)


@pytest.mark.parametrize("count", [0, 101])
def test_a_batch_of_none_or_too_many_is_refused_as_a_whole(count: int) -> None:
    items = [secrets_pb2.BatchAccessSecretsRequest.Item(name="A")] * count
    request = secrets_pb2.BatchAccessSecretsRequest(tenant_id=str(uuid4()), items=items)
    with pytest.raises(ValidationError) as caught:
        requests.batch_access(request, a_call())
    assert list(caught.value.fields) == ["items"]


def test_a_bad_item_is_told_as_it_would_be_alone() -> None:
    item = secrets_pb2.BatchAccessSecretsRequest.Item
    bad = [
        item(),
        item(secret_id="no"),
        item(name="a/b"),
        item(name="A", environment="No", value_version=0),
    ]
    request = secrets_pb2.BatchAccessSecretsRequest(
        tenant_id=str(uuid4()), items=[*bad, item(name="A")]
    )
    _, found = requests.batch_access(request, a_call())
    fields = [list(one.fields) for one in found if isinstance(one, ValidationError)]
    assert fields == [["secret_id"], ["secret_id"], ["name"], ["environment", "value_version"]]
    reply = replies.answers([one for one in found if isinstance(one, ValidationError)])
    assert [result.WhichOneof("result") for result in reply.results] == ["error"] * 4
