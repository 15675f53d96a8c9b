"""Steering on the real database through the real rpcs: what each state allows, and nothing else."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from services.common.rpc.status import from_rpc_error
from services.rewrap.model import STATES
from tests.integration.rewrap.admin import admin, calling, refused, rotate, turn
from tests.integration.rewrap.ground import LIVE

if TYPE_CHECKING:
    from uuid import UUID

    from tests.fakes.rewrap_secrets import FakeSecrets
    from tests.fakes.rewrap_stand import Stand
    from tests.integration.rewrap.admin import Admin
    from tests.integration.rewrap.ground import Ground

ALLOWED = {
    "pause": dict.fromkeys(("enqueued", "running", "waiting"), "paused"),
    "resume": {"paused": "enqueued"},
    "cancel": dict.fromkeys(LIVE, "cancelled"),
    "throttle": {state: state for state in LIVE},
}
"""What each step makes of the states that allow it; every other state refuses it."""
PAUSES = 5
EVENTS = {
    "pause": "rewrap.paused",
    "resume": "rewrap.resumed",
    "cancel": "rewrap.cancelled",
    "throttle": "rewrap.throttled",
}


def told(stand: Stand, tenant: UUID, event: str, lease: int) -> Any:
    """The details of the last event, which is this one, of this lease, by an administrator."""
    action, actor, resource, details = stand.database.rows(
        "select action, actor, resource_id, details from audit.event where tenant_id = %s"
        " order by seq desc limit 1",
        (tenant,),
    )[0]
    assert (action, resource) == (event, str(lease))
    assert str(actor).startswith("admin:")
    return json.loads(str(details))


async def do(caller: Admin, step: str, lease: int) -> Any:
    if step == "throttle":
        return await caller.throttle(lease, 500)
    return await getattr(caller, step)(lease)


async def test_each_state_allows_its_steps_and_a_refusal_changes_nothing(
    stand: Stand, ground: Ground
) -> None:
    tenant = ground.tenant_id
    async with admin(stand, tenant, worker="false", dispatch_seconds="60") as caller:
        for state, step in itertools.product(STATES, ALLOWED):
            lease = ground.put(state)
            before = ground.rows()
            if state not in ALLOWED[step]:
                error = await refused(do(caller, step, lease))
                assert (error.code, error.http_status) == ("invalid_state", 409), (state, step)
                assert state in error.message
                assert error.hint
                assert ground.rows() == before, (state, step)
                continue
            shown = await do(caller, step, lease)
            assert (shown.id, shown.state) == (lease, ALLOWED[step][state]), (state, step)
            assert (shown.total, shown.done) == (100, 40)
            assert shown.HasField("finished_at") == (shown.state == "cancelled")
            details = told(stand, tenant, EVENTS[step], lease)
            assert (details["done"], details["total"], details["reason"]) == (40, 100, "rotate")
            if step == "cancel":
                assert (details["verified"], details["kms_calls"]) == (0, 2)
            if step == "throttle":
                assert shown.throttle_per_second == 500
                assert shown.HasField("rate_per_second") == (state == "running")
            else:
                assert details["previous_state"] == state
                assert_let_go(stand, lease, shown)


def assert_let_go(stand: Stand, lease: int, shown: Any) -> None:
    """Nobody works on it any more, whoever did."""
    assert not shown.HasField("rate_per_second")
    assert not shown.HasField("eta_seconds")
    row = stand.lease(lease)
    assert row["fence"] == 6
    assert (row["next_attempt_at"], row["attempts"], row["rate_per_second"]) == (None, 0, None)
    held = "select 1 from rewrap.lane where lease_id = %s and held_until is not null"
    assert stand.database.rows(held, (lease,)) == []


async def test_one_is_started_by_hand_only_when_none_is_alive(stand: Stand, ground: Ground) -> None:
    tenant = ground.tenant_id
    turn(stand, tenant, 7)
    async with admin(stand, tenant, worker="false", dispatch_seconds="60") as caller:
        for state in STATES:
            lease = ground.put(state)
            before = ground.rows()
            if state in LIVE:
                error = await refused(caller.start())
                assert (error.code, error.http_status) == ("rewrap_running", 409)
                assert str(lease) in error.message
                assert state in error.message
                assert ground.rows() == before
                continue
            shown = await caller.start(500)
            assert shown.id > lease
            assert (shown.state, shown.reason, shown.target_version) == ("enqueued", "manual", 7)
            assert shown.throttle_per_second == 500
            assert not shown.HasField("total")
            assert stand.lease(lease)["state"] == state
            details = told(stand, tenant, "rewrap.requested", shown.id)
            assert (details["target_version"], details["throttle_per_second"]) == (7, 500)


async def test_a_newer_rotation_goes_no_faster_than_the_lease_it_takes_over_might(
    stand: Stand, ground: Ground
) -> None:
    tenant = ground.tenant_id
    for state in STATES:
        lease = ground.put(state)
        stand.database.execute("update rewrap.lease set throttle_per_second = 500, verified = 6")
        newer = stand.issue(tenant, version=3)
        ((issued, bound),) = stand.database.rows(
            "select state, throttle_per_second from rewrap.lease where id = %s", (newer,)
        )
        assert issued == "enqueued"
        if state not in LIVE:
            assert (stand.lease(lease)["state"], bound) == (state, None)
            continue
        assert (stand.lease(lease)["state"], bound) == ("superseded", 500)
        ((details,),) = stand.database.rows(
            "select details::jsonb from audit.event where resource_id = %s", (str(lease),)
        )
        assert details == {
            "reason": "rotate",
            "target_version": 2,
            "total": 100,
            "done": 40,
            "skipped": 0,
            "failed": 0,
            "verified": 6,
            "kms_calls": 2,
            "superseded_by": newer,
        }


async def test_without_a_master_key_there_is_nothing_to_start(stand: Stand, ground: Ground) -> None:
    tenant = ground.tenant_id
    async with admin(stand, tenant, worker="false") as caller:
        error = await refused(caller.start())
    assert (error.code, bool(error.hint)) == ("invalid_state", True)
    assert stand.database.rows("select 1 from rewrap.lease") == []


async def test_what_is_wrong_with_a_change_is_named_before_anything_is_done(
    stand: Stand, ground: Ground
) -> None:
    tenant = ground.tenant_id
    turn(stand, tenant, 2)
    lease = ground.put("running")
    before = ground.rows()
    async with admin(stand, tenant, worker="false") as caller:
        for wrong in (0, -1, 1_000_001):
            for call in (caller.throttle(lease, wrong), caller.start(wrong)):
                error = await refused(call)
                assert (error.code, list(error.fields)) == (
                    "validation_error", ["throttle_per_second"],
                )  # fmt: skip
        error = await refused(caller.throttle(lease, 5, mask=()))
        assert list(error.fields) == ["body"]
        error = await refused(caller.throttle(lease, 5, mask=("throttle_per_second", "state")))
        assert list(error.fields) == ["state"]
    assert ground.rows() == before


async def test_nobody_steers_what_is_not_theirs(stand: Stand, ground: Ground) -> None:
    tenant = ground.tenant_id
    lease = ground.put("paused")
    before = ground.rows()
    async with stand.within(worker="false") as target:
        async with calling(stand, target, stand.tenant("other", 0)) as stranger:
            for step in ALLOWED:
                for wanted in (lease, lease + 1000, 0, -1):
                    assert (await refused(do(stranger, step, wanted))).code == "not_found"
        async with calling(stand, target, tenant, "viewer") as viewer:
            for step in ALLOWED:
                assert (await refused(do(viewer, step, lease))).code == "forbidden"
            assert (await refused(viewer.start())).code == "forbidden"
    assert ground.rows() == before


async def test_a_bound_is_taken_away_by_null_and_an_unchanged_one_is_no_event(
    stand: Stand, ground: Ground
) -> None:
    tenant = ground.tenant_id
    lease = ground.put("paused")
    async with admin(stand, tenant, worker="false") as caller:
        assert (await caller.throttle(lease, 500)).throttle_per_second == 500
        assert (await caller.throttle(lease, 500)).throttle_per_second == 500
        assert not (await caller.throttle(lease, None)).HasField("throttle_per_second")
    events = stand.database.rows(
        "select (details::jsonb -> 'throttle_per_second')::text,"
        " (details::jsonb -> 'previous_throttle_per_second')::text"
        " from audit.event where action = 'rewrap.throttled' order by seq"
    )
    assert events == [("500", "null"), ("null", "500")]


async def test_each_step_is_done_once_however_often_it_is_sent(
    stand: Stand, ground: Ground
) -> None:
    tenant = ground.tenant_id
    turn(stand, tenant, 2)
    async with admin(stand, tenant, worker="false", dispatch_seconds="60") as caller:
        started = await asyncio.gather(*(caller.start(9, key="start") for _ in range(5)))
        lease = started[0].id
        assert all(reply == started[0] for reply in started)
        for step in ("pause", "resume", "throttle", "throttle", "cancel"):
            key, more = f"{step}", () if step != "throttle" else (7,)
            first = await getattr(caller, step)(lease, *more, key=key)
            assert await getattr(caller, step)(lease, *more, key=key) == first
        error = await refused(caller.pause(lease, key="late"))
        assert (await refused(caller.pause(lease, key="late"))).message == error.message
        other = await refused(caller.throttle(lease, 8, key="throttle"))
        assert other.code == "idempotency_conflict"
    actions = stand.database.rows("select action from audit.event order by seq")
    assert [action for (action,) in actions] == [
        "rewrap.requested", "rewrap.paused", "rewrap.resumed", "rewrap.throttled",
        "rewrap.cancelled",
    ]  # fmt: skip


async def test_of_many_starts_at_once_one_wins(stand: Stand, ground: Ground) -> None:
    tenant = ground.tenant_id
    turn(stand, tenant, 2)
    async with admin(stand, tenant, worker="false", dispatch_seconds="60") as caller:
        outcomes = [
            await one for one in asyncio.as_completed([outcome(caller.start()) for _ in range(8)])
        ]
    assert sorted(outcomes) == ["enqueued", *["rewrap_running"] * 7]
    assert stand.database.rows("select count(*) from rewrap.lease") == [(1,)]


async def test_no_live_lease_is_for_a_version_that_is_not_active(
    stand: Stand, ground: Ground
) -> None:
    tenant = ground.tenant_id
    turn(stand, tenant, 1)
    async with admin(stand, tenant, worker="false", dispatch_seconds="60") as caller:
        for version in range(2, 12):
            if live := (await caller.list(per_page=1)).rewraps:
                await outcome(caller.cancel(live[0].id))
            await asyncio.gather(
                outcome(caller.start()),
                asyncio.to_thread(rotate, stand, tenant, version),
                outcome(caller.start()),
            )
            found = stand.database.rows(
                "select target_version from rewrap.lease where finished_at is null"
            )
            assert found == [(version,)]


async def outcome(call: Any) -> str:
    """The state, or what the call was refused with."""
    try:
        reply = await call
    except grpc.aio.AioRpcError as error:
        return from_rpc_error(error).code
    return str(reply.state)


async def test_nothing_is_counted_after_pause_has_answered(
    stand: Stand, secrets: FakeSecrets
) -> None:
    tenant = stand.tenant("acme", 2000)
    lease = stand.issue(tenant)
    async with admin(stand, tenant, batch="100") as caller:
        secrets.gate.clear()
        await secrets.first_batch.wait()
        paused = await caller.pause(lease)
        at_pause = stand.versions(tenant)
        secrets.gate.set()
        assert (await refused(caller.pause(lease))).code == "invalid_state"
        await stand.until(lambda: idle(stand), "whoever worked on it has let go")
        row = stand.lease(lease)
        assert (row["state"], row["done"]) == ("paused", paused.done)
        assert stand.versions(tenant) == at_pause
        assert (await caller.resume(lease)).state == "enqueued"
        row = await stand.until_state(lease, "completed")
    assert (row["done"], row["total"]) == (2000, 2000)


async def test_counts_equal_reality_however_often_it_is_paused(stand: Stand) -> None:
    """While batches are under way, at no chosen moment; and the worker comes back at once each time, not when
    the dispatcher looks next.
    """
    tenant = stand.tenant("acme", 800)
    lease = stand.issue(tenant)
    # Too slow to end before the last pause, however late that comes.
    stand.database.execute("update rewrap.lease set throttle_per_second = 100")
    async with admin(stand, tenant, batch="10", dispatch_seconds="60") as caller:
        done = 0
        for _ in range(PAUSES):
            await stand.until(
                lambda before=done: stand.lease(lease)["done"] > before,  # type: ignore[misc]
                "more was moved",
            )
            done = (await caller.pause(lease)).done
            assert stand.versions(tenant) == {1: 800 - done, 2: done}
            await caller.resume(lease)
        await caller.throttle(lease, None)
        row = await stand.until_state(lease, "completed")
    assert (row["done"], row["skipped"], row["failed"]) == (800, 0, 0)
    assert stand.versions(tenant) == {2: 800}


def idle(stand: Stand) -> bool:
    doing = "select 1 from procrastinate.procrastinate_jobs where status = 'doing'"
    return stand.database.rows(doing) == []


async def test_a_lease_paused_while_it_runs_goes_on_after_its_worker_died(stand: Stand) -> None:
    tenant = stand.tenant("acme", 1000)
    lease = stand.issue(tenant)
    stand.database.execute("update rewrap.lease set throttle_per_second = 200")
    async with stand.process("doomed", batch="50") as process:
        await stand.until(lambda: stand.lease(lease)["done"] != 0, "something was moved")
        await stand.kill(process)
    async with admin(stand, tenant, worker="false") as caller:
        await caller.pause(lease)
        await caller.throttle(lease, None)
        await caller.resume(lease)
    async with stand.within():
        row = await stand.until_state(lease, "completed")
    assert (row["done"], row["total"]) == (1000, 1000)


async def test_a_cancelled_lease_never_completes(stand: Stand, secrets: FakeSecrets) -> None:
    """Cancelled in the middle of a batch: the batch is refused, and what was not moved stays."""
    tenant = stand.tenant("acme", 500)
    turn(stand, tenant, 2)
    lease = stand.issue(tenant)
    async with admin(stand, tenant, batch="100") as caller:
        secrets.gate.clear()
        await secrets.first_batch.wait()
        assert (await caller.cancel(lease)).state == "cancelled"
        secrets.gate.set()
        await stand.until(lambda: idle(stand), "whoever worked on it has let go")
        assert stand.lease(lease)["state"] == "cancelled"
        assert stand.versions(tenant) == {1: 500}
        again = await caller.start()
        row = await stand.until_state(again.id, "completed")
    assert row["done"] == 500


@pytest.mark.parametrize("keys", [0, 40])
async def test_cancel_against_completion_has_one_outcome(stand: Stand, keys: int) -> None:
    async with stand.within() as target:
        for number in range(5):
            tenant = stand.tenant(f"t{number}", keys)
            async with calling(stand, target, tenant) as caller:
                lease = stand.issue(tenant)
                cancelled = await outcome(caller.cancel(lease))
                wanted = "cancelled" if cancelled == "cancelled" else "completed"
                await stand.until_state(lease, wanted)
                ends = stand.database.rows(
                    "select action from audit.event where tenant_id = %s and action in"
                    " ('rewrap.cancelled', 'rewrap.completed')", (tenant,),
                )  # fmt: skip
                assert ends == [(f"rewrap.{wanted}",)]
