"""The promises of the port `LeaseStore`, kept by PostgreSQL and by the fake alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.rewrap.model import Admission, LeaseRef, Verdict
from tests.fakes.rewrap_subjects import KEYS, InPostgres, claim, holds, settle, wait

if TYPE_CHECKING:
    from tests.fakes.rewrap_subjects import Subject

UNREADABLE = """
create or replace function secrets.census(p_tenant uuid)
returns table (key_version bigint, data_keys bigint) language plpgsql security definer as
$$ begin raise exception 'invalid page' using errcode = 'XX001'; end $$
"""
"""As where a page of the data keys is damaged."""


async def test_a_lane_is_held_by_one_worker_and_each_claim_has_a_higher_fence(
    subject: Subject,
) -> None:
    first, second = await claim(subject, 2), await claim(subject, 2)
    assert [claimed.lane.number for claimed in first.lanes] == [0, 1]
    assert [claimed.lane.number for claimed in second.lanes] == [2]
    assert second.lanes[0].fence > first.lanes[0].fence
    assert (first.unfinished, second.unfinished) == (3, 3)
    third = await claim(subject)
    assert (third.lanes, third.unfinished) == ([], 3)
    assert await subject.state() == "running"


async def test_a_lane_whose_worker_is_silent_is_claimed_by_another_who_alone_holds_it_then(
    subject: Subject,
) -> None:
    old = await claim(subject)
    await subject.let_time_pass()
    new = await claim(subject)
    assert [claimed.lane for claimed in new.lanes] == [claimed.lane for claimed in old.lanes]
    told = await subject.store.report(subject.ref, holds(old) + holds(new))
    assert told is not None
    assert told.ours == set(holds(new))
    assert not await wait(subject, holds(old), alone=False)
    assert not await subject.store.release(subject.ref, holds(old))
    assert await subject.store.trouble(subject.ref, holds(old)[0]) is None
    assert await subject.state() == "running"


async def test_a_woken_workers_last_word_is_not_heard_while_nobody_holds_a_lane(
    subject: Subject,
) -> None:
    """Others count what is left, say: then no lane is held, and the lease is theirs all the same."""
    old = holds(await claim(subject))
    await subject.let_time_pass()
    await claim(subject)
    for moving in (KEYS - 1, 1):
        await subject.end_lanes(moving=moving)
        for alone in (True, False):
            assert not await wait(subject, old, alone=alone)
        assert not await subject.store.release(subject.ref, old)
        assert await settle(subject) is (Verdict.COMPLETED if moving == 1 else Verdict.AGAIN)
        if moving != 1:
            assert not await wait(subject, old)
            assert not await subject.store.release(subject.ref, old)


async def test_a_worker_that_was_silent_for_too_long_cannot_count_or_stop_anything(
    subject: Subject,
) -> None:
    old = holds(await claim(subject))
    await subject.let_time_pass()
    assert not await wait(subject, old)
    assert not await subject.store.release(subject.ref, old)
    assert await subject.store.trouble(subject.ref, old[0]) is None
    assert await subject.state() == "running"


async def test_who_ended_its_lanes_in_time_may_still_make_the_lease_wait(subject: Subject) -> None:
    held = holds(await claim(subject))
    await subject.end_lanes(moving=KEYS)
    assert await wait(subject, held)
    assert await subject.state() == "waiting"


async def test_a_worker_that_reports_keeps_its_lanes(subject: Subject) -> None:
    held = holds(await claim(subject))
    for _ in range(3):
        await subject.let_time_pass(3)
        told = await subject.store.report(subject.ref, held)
        assert told is not None
        assert told.ours == set(held)
        assert told.free == 0
    assert not (await claim(subject)).lanes


async def test_a_worker_that_was_silent_for_too_long_has_lost_its_lanes_though_nobody_came(
    subject: Subject,
) -> None:
    held = holds(await claim(subject))
    await subject.let_time_pass()
    told = await subject.store.report(subject.ref, held)
    assert told is not None
    assert not told.ours
    assert told.free == 3


async def test_lanes_that_are_given_up_can_be_claimed_at_once(subject: Subject) -> None:
    held = holds(await claim(subject))
    again = await subject.store.claim(subject.ref, wanted=4, batch=10, lost=held[:1])
    assert again is not None
    assert [claimed.lane.number for claimed in again.lanes] == [held[0].lane]


async def test_a_superseded_lease_is_not_claimed_and_its_workers_can_do_nothing(
    subject: Subject,
) -> None:
    held = holds(await claim(subject))
    await subject.supersede()
    assert await subject.store.report(subject.ref, held) is None
    assert await settle(subject) is None
    assert not await wait(subject, held)
    assert not await subject.store.release(subject.ref, held)
    assert await subject.store.claim(subject.ref, wanted=4, batch=10) is None
    assert await subject.state() == "superseded"


async def test_a_lease_is_not_settled_while_a_lane_is_unfinished(subject: Subject) -> None:
    await claim(subject)
    assert await settle(subject) is Verdict.AGAIN
    assert await subject.state() == "running"


async def test_a_lease_is_not_completed_while_keys_are_stale(subject: Subject) -> None:
    await claim(subject)
    await subject.end_lanes(moving=KEYS - 1)
    assert await settle(subject) is Verdict.AGAIN
    assert (await claim(subject)).unfinished == 1
    assert await subject.state() == "running"


async def test_keys_that_others_moved_are_skipped_when_the_lease_has_ended(
    subject: Subject,
) -> None:
    await claim(subject)
    await subject.end_lanes(moving=KEYS - 1)
    assert await settle(subject) is Verdict.AGAIN
    assert await subject.counts() == (KEYS, 0, 0, 0)
    await claim(subject)
    await subject.end_lanes(moving=1)
    assert await settle(subject) is Verdict.COMPLETED
    assert await subject.counts() == (KEYS, 0, KEYS, 0)


async def test_passes_are_bounded(subject: Subject) -> None:
    await claim(subject)
    verdicts = []
    for _ in range(3):
        await subject.end_lanes(moving=0)
        verdicts.append(await settle(subject))
    assert verdicts == [Verdict.AGAIN, Verdict.AGAIN, Verdict.FAILED]
    assert await subject.state() == "failed"


async def test_a_settled_lease_stays_settled(subject: Subject) -> None:
    held = holds(await claim(subject))
    await subject.end_lanes(moving=KEYS)
    assert await settle(subject) is Verdict.COMPLETED
    assert await settle(subject) is None
    assert not await subject.store.release(subject.ref, held)
    assert await subject.store.claim(subject.ref, wanted=4, batch=10) is None


async def test_all_keys_are_verified_before_a_lease_is_completed(subject: Subject) -> None:
    await claim(subject)
    await subject.end_lanes(moving=KEYS)
    assert await settle(subject, None) is Verdict.AGAIN
    made = await claim(subject)
    assert {(claimed.lane.kind, claimed.lane.quota) for claimed in made.lanes} == {("verify", None)}
    assert len(made.lanes) == 3
    await subject.end_lanes(moving=0)
    assert await settle(subject, None) is Verdict.COMPLETED


async def test_a_sample_is_divided_among_the_lanes_that_verify(subject: Subject) -> None:
    await claim(subject)
    await subject.end_lanes(moving=KEYS)
    assert await settle(subject, 1) is Verdict.AGAIN
    made = await claim(subject)
    assert [claimed.lane.quota for claimed in made.lanes] == [1]


async def test_a_waiting_lease_is_claimed_only_when_it_is_due(subject: Subject) -> None:
    held = holds(await claim(subject))
    assert await wait(subject, held)
    assert await subject.state() == "waiting"
    assert await subject.store.claim(subject.ref, wanted=4, batch=10) is None
    await subject.let_time_pass(30)
    again = await claim(subject)
    assert again.attempts == 3
    assert len(again.lanes) == 3


async def test_a_lease_that_seems_to_wait_longer_than_any_ever_does_is_due(
    subject: Subject,
) -> None:
    """The database's clock went back."""
    held = holds(await claim(subject))
    assert await wait(subject, held)
    await subject.let_time_pass(-3600)
    assert len((await claim(subject)).lanes) == 3


async def test_lanes_that_seem_to_be_held_longer_than_any_ever_is_are_free(
    subject: Subject,
) -> None:
    await claim(subject)
    await subject.let_time_pass(-3600)
    assert len((await claim(subject)).lanes) == 3


async def test_a_lease_waits_for_one_worker_only_if_no_other_has_a_lane(subject: Subject) -> None:
    first, second = holds(await claim(subject, 1)), holds(await claim(subject, 1))
    assert not await wait(subject, first)
    assert await subject.state() == "running"
    assert await wait(subject, second)
    assert await subject.state() == "waiting"


async def test_a_seal_holds_for_all_workers(subject: Subject) -> None:
    first, second = holds(await claim(subject, 1)), holds(await claim(subject, 1))
    assert await wait(subject, first, alone=False)
    assert await subject.state() == "waiting"
    await subject.let_time_pass(30)
    assert len((await claim(subject)).lanes) == 3
    told = await subject.store.report(subject.ref, second)
    assert told is not None
    assert not told.ours


async def test_a_released_lease_can_be_claimed_at_once(subject: Subject) -> None:
    held = holds(await claim(subject))
    assert await subject.store.release(subject.ref, held)
    assert await subject.state() == "enqueued"
    assert len((await claim(subject)).lanes) == 3


async def test_one_worker_that_stops_does_not_stop_the_others(subject: Subject) -> None:
    first, second = holds(await claim(subject, 2)), holds(await claim(subject, 1))
    assert not await subject.store.release(subject.ref, first)
    assert await subject.state() == "running"
    assert len((await claim(subject)).lanes) == 2
    told = await subject.store.report(subject.ref, second)
    assert told is not None
    assert told.ours == set(second)


async def test_failures_at_a_cursor_are_counted_for_whoever_comes_next(subject: Subject) -> None:
    held = holds(await claim(subject))
    assert [await subject.store.trouble(subject.ref, held[0]) for _ in range(3)] == [1, 2, 3]
    await subject.let_time_pass()
    again = await claim(subject)
    assert [claimed.troubles for claimed in again.lanes] == [3, 0, 0]


async def test_a_lane_is_given_up_by_who_holds_it_and_only_after_failures(subject: Subject) -> None:
    old = holds(await claim(subject))
    assert await subject.store.trouble(subject.ref, old[0]) == 1
    await subject.let_time_pass()
    assert not await subject.store.give_up(subject.ref, old[0])
    held = holds(await claim(subject))
    assert not await subject.store.give_up(subject.ref, old[0])
    assert not await subject.store.give_up(subject.ref, held[1])
    assert await subject.store.give_up(subject.ref, held[0])
    assert not await subject.store.give_up(subject.ref, held[0])
    await subject.let_time_pass()
    assert (await claim(subject)).unfinished == 2
    await subject.end_lanes(moving=KEYS)
    assert await settle(subject) is Verdict.COMPLETED  # somebody else moved what it left


async def test_what_a_lane_that_was_given_up_left_makes_the_lease_fail(subject: Subject) -> None:
    await claim(subject)
    await subject.end_lanes(moving=KEYS - 1)
    for verdict in (Verdict.AGAIN, Verdict.AGAIN, Verdict.FAILED):
        assert await settle(subject) is verdict
        if verdict is Verdict.AGAIN:
            held = holds(await claim(subject))
            await subject.store.trouble(subject.ref, held[0])
            assert await subject.store.give_up(subject.ref, held[0])
    assert await subject.state() == "failed"


async def test_a_sample_that_was_not_verified_is_not_passed_off_as_verified(
    subject: Subject,
) -> None:
    await claim(subject)
    await subject.end_lanes(moving=KEYS)
    assert await settle(subject, None) is Verdict.AGAIN
    held = holds(await claim(subject))
    await subject.store.trouble(subject.ref, held[0])
    assert await subject.store.give_up(subject.ref, held[0])
    await subject.end_lanes(moving=0)
    assert await settle(subject, None) is Verdict.FAILED


async def test_a_lease_whose_keys_cannot_be_counted_any_more_ends_as_failed(
    subject: Subject,
) -> None:
    if not isinstance(subject, InPostgres):
        return
    await claim(subject)
    await subject.end_lanes(moving=KEYS - 1)
    subject.database.execute(UNREADABLE)
    assert await settle(subject) is Verdict.FAILED
    row = subject.database.rows("select state, census_after, last_error from rewrap.lease")[0]
    assert row[:2] == ("failed", None)
    assert "could not be counted" in str(row[2])


async def test_keys_are_moved_though_they_could_not_be_counted_before(subject: Subject) -> None:
    if not isinstance(subject, InPostgres):
        return
    subject.database.execute(UNREADABLE)
    first = await claim(subject)
    assert first.lanes
    facts = "select state, total, census_before, started_at is not null from rewrap.lease"
    assert subject.database.rows(facts)[0] == ("running", None, None, True)
    assert (await claim(subject)).unfinished == first.unfinished, "it began a second time"


async def test_a_lane_at_which_all_fails_comes_after_the_others(subject: Subject) -> None:
    held = holds(await claim(subject))
    for _ in range(13):
        await subject.store.trouble(subject.ref, held[0])
    await subject.let_time_pass()
    assert [claimed.lane.number for claimed in (await claim(subject, 2)).lanes] == [1, 2]
    assert [claimed.troubles for claimed in (await claim(subject, 2)).lanes] == [13]


async def test_the_store_lets_no_more_through_than_the_throttle_and_catches_up_a_little(
    subject: Subject,
) -> None:
    await subject.throttle(1000)
    assert (await claim(subject)).throttled
    store, ref = subject.store, subject.ref
    first = await store.admit(ref, 1000, 0)
    assert first == Admission(250, 0)
    second = await store.admit(ref, 1000, 0)
    assert second is not None
    assert second.keys == 0
    assert 0 < second.delay_seconds <= 0.25
    # What was not used is given back, and a second's lateness; not what was let pass for a long time.
    assert (await store.admit(ref, 1000, 250)) == Admission(250, 0)
    for seconds, least in ((2.5, 1250), (60, 250)):
        await subject.let_time_pass(seconds)
        let_through = 0
        while (more := await store.admit(ref, 1000, 0)) is not None and more.keys:
            let_through += more.keys
        assert least <= let_through <= least + 250
    await subject.let_time_pass(-3600)
    assert (await store.admit(ref, 1000, 0)) == Admission(250, 0)
    await subject.throttle(None)
    assert await store.admit(ref, 1000, 0) is None


async def test_a_lease_that_does_not_exist_is_not_claimed(subject: Subject) -> None:
    other = LeaseRef(subject.ref.tenant_id, subject.ref.lease_id + 1000)
    if isinstance(subject, InPostgres):
        assert await subject.store.claim(other, wanted=4, batch=10) is None
