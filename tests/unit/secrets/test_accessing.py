"""Reading values by groups: nobody waits for a stranger's key, nobody suffers for a neighbour."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

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
from services.common.telemetry import Metrics
from services.secrets.accessing import Accessor
from services.secrets.model import Answer, Withheld
from services.secrets.observation import Observation
from tests.fakes.secrets_accesses import Vault, a_question
from tests.fakes.secrets_ports import Watching, settle

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
PAST, FUTURE = NOW - timedelta(seconds=1), NOW + timedelta(seconds=1)


async def test_tenants_whose_key_is_out_of_reach_do_not_keep_another_from_its_values() -> None:
    vault = Vault()
    accessor = Accessor(vault, vault, Watching())
    stuck = [uuid4() for _ in range(40)]
    vault.unreachable.update(stuck)
    for tenant_id in [*stuck, healthy := uuid4()]:
        vault.keep(tenant_id, "A")
    waiting = [asyncio.create_task(accessor.access(tenant, a_question("A"))) for tenant in stuck]
    async with asyncio.timeout(5):
        await settle()
        assert len(vault.reads) == len(stuck)
        answer = await accessor.access(healthy, a_question("A"))
    assert answer.fields["value"] == b"v"
    assert not any(task.done() for task in waiting)
    vault.gate.set()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(outcome, TenantSealedError) for outcome in found)


async def test_values_in_hand_are_bounded_while_keys_are_waited_for() -> None:
    vault = Vault()
    accessor = Accessor(vault, vault, Watching(), held_bytes=2500)
    stuck, healthy = uuid4(), uuid4()
    vault.unreachable.add(stuck)
    for tenant_id in (stuck, healthy):
        vault.keep(tenant_id, "BIG", bytes(1000))
    vault.keep(healthy, "SMALL")
    waiting = asyncio.create_task(accessor.access(stuck, a_question("BIG")))
    await settle()
    with pytest.raises(UnavailableError):
        await accessor.access(healthy, a_question("BIG"))
    # There is room for it, and nobody may leave less room than he takes.
    assert (await accessor.access(healthy, a_question("SMALL"))).fields["value"] == b"v"
    vault.gate.set()
    with pytest.raises(TenantSealedError):
        await waiting
    assert (await accessor.access(healthy, a_question("BIG"))).fields["value"] == bytes(1000)


async def test_a_row_that_cannot_be_read_takes_no_neighbours_value_away() -> None:
    vault = Vault()
    accessor = Accessor(vault, vault, Watching())
    tenant_id = uuid4()
    for name in ("A", "BROKEN", "C"):
        vault.keep(tenant_id, name)
    vault.poison.add("BROKEN")
    plug = asyncio.create_task(accessor.access(tenant_id, a_question("A")))
    calls = [accessor.access(tenant_id, a_question(name)) for name in ("A", "BROKEN", "C")]
    found = await asyncio.gather(*calls, return_exceptions=True)
    await plug
    assert vault.reads[1] == ["A", "BROKEN", "C"]
    assert [isinstance(outcome, ValueError) for outcome in found] == [False, True, False]
    assert [name for name, _ in vault.recorded] == ["A", "A", "C"]


async def test_a_key_that_a_rewrap_moved_before_the_revoke_is_not_told_to_be_gone() -> None:
    vault = Vault()
    accessor = Accessor(vault, vault, Watching())
    tenant_id = uuid4()
    before = vault.keep(tenant_id, "A", b"still here")
    vault.keep(tenant_id, "GONE")
    vault.revoked.update(answer.value.key.wrapped for answer in vault.values.values())
    vault.after_reading = lambda: vault.move(tenant_id, "A")
    answer = await accessor.access(tenant_id, a_question("A"))
    assert answer.fields["value"] == b"still here"
    assert answer.sealed.value.key.wrapped != before.value.key.wrapped
    with pytest.raises(KeyRevokedError):
        await accessor.access(tenant_id, a_question("GONE"))
    assert [name for name, _ in vault.recorded] == ["A"]


@pytest.mark.parametrize(
    ("withheld", "error"),
    [
        (Withheld.NO_GRANT, ForbiddenError),
        (Withheld.DELETED, NotFoundError),
        (Withheld.NOT_FOUND, NotFoundError),
        (Withheld.EXPIRED, InvalidStateError),
    ],
)
async def test_what_the_record_withholds_is_refused_and_its_neighbours_are_not(
    withheld: Withheld, error: type[CofferError]
) -> None:
    vault = Vault()
    accessor = Accessor(vault, vault, Watching())
    tenant_id = uuid4()
    for name in ("A", "TAKEN", "C"):
        vault.keep(tenant_id, name)
    vault.taken_away["TAKEN"] = withheld
    found = await accessor.batch(tenant_id, [a_question(name) for name in ("A", "TAKEN", "C")])
    assert [type(one) for one in found] == [Answer, error, Answer]
    assert [name for name, _ in vault.recorded] == ["A", "C"]


async def test_what_kms_is_asked_for_a_group_carries_the_request_id_of_one_of_it() -> None:
    vault = Vault()
    accessor = Accessor(vault, vault, Observation(Metrics("test")))
    tenant_id = uuid4()
    vault.keep(tenant_id, "A")
    questions = [a_question("A") for _ in range(4)]
    with capture_logs() as lines:
        await asyncio.gather(*(accessor.access(tenant_id, question) for question in questions))
    ids = [question.call.request_id for question in questions]
    assert [call.request_id for call in vault.asked_by] == [ids[0], ids[1]]
    assert all(call.deadline is None for call in vault.asked_by)
    groups = [line["request_ids"] for line in lines if line["event"] == "group"]
    assert groups == [ids[1:]]


async def test_what_does_not_open_is_told_with_the_call_that_asked_for_it() -> None:
    vault, watching = Vault(), Watching()
    accessor = Accessor(vault, vault, watching)
    tenant_id = uuid4()
    vault.keep(tenant_id, "A")
    damaged = vault.keep(tenant_id, "DAMAGED")
    del vault.opened_by[damaged.value.key.wrapped]
    plug = asyncio.create_task(accessor.access(tenant_id, a_question("A")))
    asked = [a_question("A"), a_question("DAMAGED")]
    found = await asyncio.gather(
        *(accessor.access(tenant_id, question) for question in asked), return_exceptions=True
    )
    await plug
    assert isinstance(found[1], InternalError)
    assert watching.blamed == [asked[1].call]


async def test_a_sealed_value_says_why_it_is() -> None:
    vault = Vault()
    accessor = Accessor(vault, vault, Watching())
    tenant_id = uuid4()
    for name, reason in (("A", "key_disabled"), ("B", None)):
        vault.sealed[vault.keep(tenant_id, name).value.key.wrapped] = reason
        with pytest.raises(TenantSealedError) as caught:
            await accessor.access(tenant_id, a_question(name))
        assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("expires", "certificate", "warned"),
    [
        (PAST, None, "The secret has expired."),
        (PAST, FUTURE, "The secret has expired."),
        (PAST, PAST, "The certificate has expired."),
        (FUTURE, PAST, "The certificate has expired."),
        (None, PAST, "The certificate has expired."),
        (FUTURE, FUTURE, None),
        (None, None, None),
    ],
)
async def test_whatever_has_expired_is_told_once(
    expires: datetime | None, certificate: datetime | None, warned: str | None
) -> None:
    vault = Vault()
    accessor = Accessor(vault, vault, Watching(), clock=lambda: NOW)
    tenant_id = uuid4()
    vault.keep(tenant_id, "A", expires_at=expires, certificate_expires_at=certificate)
    answer = await accessor.access(tenant_id, a_question("A"))
    expected = [] if warned is None else [("expired", warned)]
    assert [(warning.code, warning.message) for warning in answer.warnings] == expected


@pytest.mark.parametrize(
    ("expires", "certificate", "refused"),
    [
        (PAST, None, True),
        (NOW, None, True),
        (FUTURE, None, False),
        (None, None, False),
        # The earlier of both counts: an expiry of its own lengthens no certificate's life.
        (FUTURE, PAST, True),
        (FUTURE, NOW, True),
        (PAST, FUTURE, True),
        (FUTURE, FUTURE, False),
    ],
)
async def test_enforced_expiry_counts_from_its_very_moment(
    expires: datetime | None, certificate: datetime | None, refused: bool
) -> None:
    vault = Vault()
    accessor = Accessor(vault, vault, Watching(), clock=lambda: NOW)
    tenant_id = uuid4()
    facts: dict[str, Any] = {"expires_at": expires, "certificate_expires_at": certificate}
    vault.keep(tenant_id, "A", b"v", strict_expiry_enforcement=True, **facts)
    if not refused:
        assert (await accessor.access(tenant_id, a_question("A"))).fields["value"] == b"v"
        return
    with pytest.raises(InvalidStateError) as caught:
        await accessor.access(tenant_id, a_question("A"))
    assert caught.value.reason == "expired"
    assert vault.recorded == []
