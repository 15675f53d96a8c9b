"""Rate limits and use of API keys, calls of a tenant.

Safe while the previous release runs: it goes on asking `tenancy.find_api_key`, and names the columns it
writes.
"""

from services.common.migrations.ddl import admit, as_owner, define, grant, index, isolate

revision = "0002"
down_revision = "0001"

SECRETS = ("coffer_secrets",)


def upgrade() -> None:
    """Limits and use of API keys."""
    # `GET /v1/api-keys`, newest first.
    index(
        "api_key_by_age",
        "tenancy.api_key",
        "(tenant_id, created_at desc, id desc) where revoked_at is null",
    )
    _api_keys()
    _rate_windows()
    _use()


def _api_keys() -> None:
    as_owner(
        # null: the operator's setting; 0: no limit.
        """
        alter table tenancy.api_key
            add column rate_limit integer check (rate_limit between 0 and 1000000),
            add column rate_window_seconds integer not null default 60
                check (rate_window_seconds between 1 and 86400)
        """,
    )
    define(
        "tenancy.find_api_key_and_limit(p_sha256 bytea)",
        """
        returns table (tenant_id uuid, key_id text, key_prefix text, scopes text[],
                       rate_limit integer, rate_window_seconds integer)
        language sql stable as $$
            select k.tenant_id, k.key_id, k.key_prefix, k.scopes, k.rate_limit, k.rate_window_seconds
            from tenancy.api_key k join tenancy.tenant t on t.tenant_id = k.tenant_id
            where k.sha256 = p_sha256
              and k.revoked_at is null
              and (k.expires_at is null or k.expires_at > clock_timestamp())
              and t.status = 'active'
        $$
        """,
        callers=SECRETS,
    )


def _rate_windows() -> None:
    # Unlogged: after a crash of the database every window begins anew, and no call waits for a disk.
    as_owner(
        """
        create unlogged table tenancy.rate_window (
            tenant_id uuid not null,
            key_id text not null,
            window_start timestamptz not null,
            used integer not null check (used >= 0),
            primary key (tenant_id, key_id)
        ) with (fillfactor = 50)
        """,
    )
    isolate("tenancy.rate_window")
    admit("tenancy.rate_window", "coffer_functions", "select, insert, update")
    # Who locks does so in the order of the primary key, so that two processes never wait in a circle. The
    # time is read once the row is held: whoever waited for it must not see a window that ended meanwhile.
    define(
        "tenancy.take_calls(p_tenants uuid[], p_keys text[], p_limits integer[], p_windows integer[],"
        " p_wanted integer[])",
        """
        returns table (tenant_id uuid, key_id text, granted integer, used integer,
                       ends_at timestamptz, ends_in double precision)
        language plpgsql as $$
        declare
            v record;
            v_now timestamptz;
            v_start timestamptz;
            v_used integer;
        begin
            perform set_config('synchronous_commit', 'off', true);
            for v in
                select a.tenant, a.key, a.max, make_interval(secs => a.length) as length, a.wanted
                from unnest(p_tenants, p_keys, p_limits, p_windows, p_wanted)
                    as a (tenant, key, max, length, wanted)
                order by a.tenant, a.key
            loop
                insert into tenancy.rate_window (tenant_id, key_id, window_start, used)
                values (v.tenant, v.key, clock_timestamp(), 0) on conflict do nothing;
                select w.window_start, w.used into v_start, v_used from tenancy.rate_window w
                where w.tenant_id = v.tenant and w.key_id = v.key for update;
                v_now := clock_timestamp();
                -- A start that lies ahead is one of a clock that was set back.
                if v_start > v_now or v_now >= v_start + v.length or v_used = 0 then
                    v_start := v_now;
                    v_used := 0;
                end if;
                granted := least(v.wanted, greatest(v.max - v_used, 0));
                if granted > 0 then
                    update tenancy.rate_window w
                    set window_start = v_start, used = v_used + granted
                    where w.tenant_id = v.tenant and w.key_id = v.key;
                end if;
                tenant_id := v.tenant;
                key_id := v.key;
                used := v_used + granted;
                ends_at := v_start + v.length;
                ends_in := extract(epoch from ends_at - v_now);
                return next;
            end loop;
        end
        $$
        """,
        callers=SECRETS,
    )


def _use() -> None:
    as_owner(
        """
        create table tenancy.api_usage (
            tenant_id uuid not null,
            month date not null check (extract(day from month) = 1),
            calls bigint not null check (calls >= 0),
            primary key (tenant_id, month)
        ) with (fillfactor = 50)
        """,
    )
    isolate("tenancy.api_usage")
    grant("tenancy.api_usage", "coffer_secrets", "select")
    admit("tenancy.api_usage", "coffer_functions", "select, insert, update")
    as_owner(
        # PostgreSQL asks for the right to update of whoever locks rows as well.
        "grant update (last_used_at) on tenancy.api_key to coffer_functions",
    )
    # Rows are locked in the order of their primary keys. `p_minutes`: when each was used, UTC. A key whose
    # row somebody holds is passed over and told, to be tried again: one tenant's change keeps no other's.
    define(
        "tenancy.record_use(p_tenants uuid[], p_keys text[], p_minutes timestamptz[], p_calls bigint[])",
        """
        returns table (left_tenant uuid, left_key text, left_minute timestamptz) language plpgsql as $$
        begin
            perform set_config('synchronous_commit', 'off', true);
            insert into tenancy.api_usage as u (tenant_id, month, calls)
            select a.tenant, date_trunc('month', a.minute at time zone 'UTC')::date as month, sum(a.calls)
            from unnest(p_tenants, p_minutes, p_calls) as a (tenant, minute, calls)
            where a.calls > 0
            group by 1, 2 order by 1, 2
            on conflict (tenant_id, month) do update set calls = u.calls + excluded.calls;
            return query with used as (
                select b.tenant, b.key, max(b.minute) as minute
                from unnest(p_tenants, p_keys, p_minutes) as b (tenant, key, minute) group by 1, 2
            ), held as (
                select k.tenant_id, k.key_id, a.minute
                from used a join tenancy.api_key k on k.tenant_id = a.tenant and k.key_id = a.key
                where k.last_used_at is null or k.last_used_at < a.minute
                order by k.tenant_id, k.key_id for no key update of k skip locked
            ), updated as (
                update tenancy.api_key k set last_used_at = greatest(h.minute, k.created_at)
                from held h where k.tenant_id = h.tenant_id and k.key_id = h.key_id
            )
            select a.tenant, a.key, a.minute
            from used a join tenancy.api_key k on k.tenant_id = a.tenant and k.key_id = a.key
            where (k.last_used_at is null or k.last_used_at < a.minute)
              and not exists (
                  select from held h where h.tenant_id = a.tenant and h.key_id = a.key);
        end
        $$
        """,
        callers=SECRETS,
    )
