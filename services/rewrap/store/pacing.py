"""Statements on how fast a lease goes, over all who work on it: its rate, and its throttle.

Both are kept in the lease's row, by the database's clock.
"""

from __future__ import annotations

from typing import Final

from services.rewrap.model import VERIFY_COST

# The rate is taken between moments of progress, so that it does not jump by whole batches: for 5 s from the
# first progress on the mean since then, afterwards weighted exponentially over 5 s. It begins anew where
# nobody reported for 10 s, or the clock went back. It is that of moving, then of
# verifying: until this is measured, what `BEGIN_TO_VERIFY` left is an estimate.
REPORT: Final = """
with held as materialized (
    select tenant_id, id, done + verified as done, progressed_at, rate_per_second as rate,
        rate_began_at as began_at, rate_began_done as began_done, rate_marked_at as marked_at,
        coalesce(rate_marked_done, done + verified) as marked_done
    from rewrap.lease where tenant_id = %s and id = %s and state = 'running' for update
), seen as (
    select h.*, case when progressed_at between clock_timestamp() - interval '2 seconds'
            and clock_timestamp() then progressed_at else clock_timestamp() end as at
    from held h
), timed as (
    select s.*, extract(epoch from at - marked_at)::float8 as since,
        extract(epoch from at - began_at)::float8 as age
    from seen s
), judged as (
    select t.*, case
        when began_at is null then case when done > marked_done then 'begin' else 'none' end
        when since < -2 or since > 10 or age < 0 then 'begin'
        when since < 0.2 then 'none'
        when age < 5 then 'mean' else 'smooth' end as step
    from timed t
)
update rewrap.lease l set
    rate_began_at = case j.step when 'begin' then j.at else j.began_at end,
    rate_began_done = case j.step when 'begin' then j.done else j.began_done end,
    rate_marked_at = case j.step when 'none' then j.marked_at else j.at end,
    rate_marked_done = case j.step when 'none' then j.marked_done else j.done end,
    rate_per_second = case j.step
        when 'begin' then case when j.began_at is null then j.rate end
        when 'mean' then (j.done - j.began_done) / j.age
        when 'smooth' then j.rate
            + (1 - exp(-j.since / 5)) * ((j.done - j.marked_done) / j.since - j.rate)
        when 'none' then j.rate end
from judged j where l.tenant_id = j.tenant_id and l.id = j.id
returning l.throttle_per_second is not null, l.done, l.skipped, l.failed, l.total, l.rate_per_second,
    l.verified, l.to_verify, l.verifying_since is not null
"""
BEGIN_TO_VERIFY: Final = f"""
update rewrap.lease set to_verify = %s, verifying_since = clock_timestamp(),
    rate_per_second = case when throttle_per_second is null then rate_per_second / {VERIFY_COST}
        else rate_per_second end,
    rate_began_at = null, rate_began_done = null, rate_marked_at = null, rate_marked_done = done + verified
where tenant_id = %s and id = %s
"""  # noqa: S608 - a constant
# What is free is given at once, a quarter of a second's worth at most (but one key always); nobody reserves
# what is to come, so a changed throttle holds from the next batch on. Workers that came late catch up a
# second at most, so a busy machine is not slower than its throttle; where nobody came for 3 s, nothing was
# saved up. A moment further ahead than one batch ever reaches was set under another throttle, or before the
# clock went back.
ADMIT: Final = """
with held as materialized (
    select tenant_id, id, throttle_per_second::float8 as rate, throttle_free_at as free_at
    from rewrap.lease where tenant_id = %(tenant)s and id = %(lease)s and state = 'running'
        and throttle_per_second is not null
    for update
), seen as (
    select h.*, clock_timestamp() as now, greatest(1, least(%(keys)s::bigint,
        floor(rate / 4)::bigint)) as share, make_interval(secs => %(unused)s / rate) as back
    from held h
), timed as (
    select s.*, case
        when free_at is null or free_at > now + make_interval(secs => 2 * greatest(0.25, 1 / rate))
            or free_at < now - interval '3 seconds' then now
        else greatest(free_at - back, now - interval '1 second') end as starts
    from seen s
)
update rewrap.lease l set throttle_free_at = case when t.starts > t.now then t.starts
    else t.starts + make_interval(secs => t.share / t.rate) end
from timed t where l.tenant_id = t.tenant_id and l.id = t.id
returning case when t.starts > t.now then 0 else t.share end,
    greatest(0, extract(epoch from t.starts - t.now))::float8
"""
