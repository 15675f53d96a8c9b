"""How the release before revision 0002 writes: its own statements."""

from typing import Final

INSERT: Final = """
with item as materialized (
    select i.n, i.id, i.name, nullif(i.description, '') as description, i.secret_type,
        nullif(i.certificate_type, '') as certificate_type,
        nullif(i.metadata, '')::jsonb as metadata, i.environment_id,
        nullif(i.collection_id, %(nil)b::uuid) as collection_id,
        nullif(i.expires_at, '')::timestamptz as expires_at, i.strict,
        i.data_key_id, i.wrapped, nullif(i.value, '') as value, nullif(i.content, '') as content,
        nullif(i.private_key, '') as private_key, nullif(i.passphrase, '') as passphrase,
        date_trunc('milliseconds', clock_timestamp()) as made_at,
        e.id is not null as has_environment,
        i.collection_id = %(nil)b::uuid or c.id is not null as has_collection
    from unnest(%(id)b::uuid[], %(name)b::text[], %(description)b::text[], %(secret_type)b::text[],
        %(certificate_type)b::text[], %(metadata)b::text[], %(environment_id)b::uuid[],
        %(environment_name)b::text[], %(by_default)b::boolean[], %(collection_id)b::uuid[],
        %(expires_at)b::text[], %(strict)b::boolean[], %(data_key_id)b::uuid[],
        %(wrapped)b::bytea[], %(value)b::bytea[], %(content)b::bytea[], %(private_key)b::bytea[],
        %(passphrase)b::bytea[])
    with ordinality as i (id, name, description, secret_type, certificate_type, metadata,
        environment_id, environment_name, by_default, collection_id, expires_at, strict,
        data_key_id, wrapped, value, content, private_key, passphrase, n)
    left join lateral (select x.id from secrets.environment x
        where x.tenant_id = %(tenant)b and x.id = i.environment_id
          and x.name = i.environment_name and (x.is_default or not i.by_default) limit 1
    ) e on true
    left join lateral (select x.id from secrets.collection x
        where x.tenant_id = %(tenant)b and x.id = i.collection_id limit 1) c on true
), made as (
    insert into secrets.secret (tenant_id, id, name, description, secret_type, certificate_type,
        metadata, base_environment_id, collection_id, expires_at, strict_expiry_enforcement,
        created_at, updated_at)
    select %(tenant)b, id, name, description, secret_type, certificate_type, metadata,
        environment_id, collection_id, expires_at, strict, made_at, made_at
    from item where has_environment and has_collection order by n
    on conflict (tenant_id, name) where deleted_at is null do nothing
    returning id
), kept as materialized (
    select item.* from item join made using (id)
), in_environment as (
    insert into secrets.secret_environment (tenant_id, secret_id, environment_id, value_version,
        updated_at)
    select %(tenant)b, id, environment_id, 1, made_at from kept
), keys as (
    insert into secrets.data_key (tenant_id, id, key_version, wrapped)
    select %(tenant)b, data_key_id, %(key_version)b, wrapped from kept
), versions as (
    insert into secrets.value_version (tenant_id, secret_id, environment_id, value_version,
        data_key_id, certificate_type, value, content, private_key, passphrase, created_at)
    select %(tenant)b, id, environment_id, 1, data_key_id, certificate_type, value, content,
        private_key, passphrase, made_at from kept
), counted as (
    update secrets.usage set live_secrets = live_secrets + (select count(*) from kept)
    where tenant_id = %(tenant)b
)
select item.has_environment, item.has_collection, kept.made_at
from item left join kept using (id) order by item.n
"""
PUT: Final = """
with secret as (
    update secrets.secret s
    set updated_at = date_trunc('milliseconds', clock_timestamp()),
        certificate_type = case when s.base_environment_id = %(environment)b
            then coalesce(%(certificate_type)t::text, s.certificate_type)
            else s.certificate_type end,
        metadata = case when s.base_environment_id = %(environment)b
            then coalesce(%(metadata)t::jsonb, s.metadata) else s.metadata end
    where s.tenant_id = %(tenant)b and s.id = %(secret)b and s.deleted_at is null
    returning s.name, s.updated_at
), counter as (
    insert into secrets.secret_environment as c (tenant_id, secret_id, environment_id,
        value_version, updated_at)
    select %(tenant)b, %(secret)b, %(environment)b, 1, secret.updated_at from secret
    on conflict (tenant_id, secret_id, environment_id) do update
        set value_version = c.value_version + 1, updated_at = excluded.updated_at,
            deleted_at = null
        where c.value_version = %(replaces)b::bigint
    returning c.value_version
), key as (
    insert into secrets.data_key (tenant_id, id, key_version, wrapped)
    select %(tenant)b, %(data_key)b, %(key_version)b::bigint, %(wrapped)b from counter
), version as (
    insert into secrets.value_version (tenant_id, secret_id, environment_id, value_version,
        data_key_id, certificate_type, value, content, private_key, passphrase, created_at)
    select %(tenant)b, %(secret)b, %(environment)b, counter.value_version, %(data_key)b,
        %(certificate_type)t::text, %(value)b::bytea, %(content)b::bytea, %(private_key)b::bytea,
        %(passphrase)b::bytea, secret.updated_at
    from counter, secret
)
select secret.name, (select value_version from counter) from secret
"""
