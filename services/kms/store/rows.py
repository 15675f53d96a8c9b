"""The columns that are read of versions and bindings, and the values made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from services.kms.model import (
    Binding,
    KeyLookup,
    KeyReport,
    KeyStatus,
    KmsTarget,
    MasterKeyRow,
    TenantKms,
    WrapMethod,
    Wrapped,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

KEY_COLUMNS: Final = (
    "k.tenant_id, k.version, k.id, k.wrap_method, k.wrapped, k.provider_key_version,"
    " k.check_value, k.status"
)
KEY_WIDTH: Final = 8
BINDING_COLUMNS: Final = (
    "b.tenant_id, b.id, b.provider, b.kms_key_ref, b.config, b.resolved_key_ref,"
    " b.replaced_at is not null, b.sealed_since, b.last_verified_at, b.last_verify_error,"
    " r.draining and b.id = r.current_binding_id"
)
"""Of `b`, and of its ring `r`."""
BINDING_WIDTH: Final = 11

FIND_KEY: Final = f"""
    select {KEY_COLUMNS}, r.epoch, {BINDING_COLUMNS}
    from kms.master_key k join kms.key_ring r on r.tenant_id = k.tenant_id
    left join kms.binding b on b.tenant_id = k.tenant_id and b.id = k.binding_id
    where k.tenant_id = %s and k.version = %s
"""  # noqa: S608 - constants
FIND_ACTIVE: Final = f"""
    select {KEY_COLUMNS} from kms.master_key k where tenant_id = %s and status = 'active'
"""  # noqa: S608 - constants
FIND_CURRENT: Final = f"""
    select {BINDING_COLUMNS} from kms.key_ring r
    join kms.binding b on b.tenant_id = r.tenant_id and b.id = r.current_binding_id
    where r.tenant_id = %s
"""  # noqa: S608 - constants
DESCRIBE: Final = f"""
    select {BINDING_COLUMNS},
        k.id, k.version, k.wrap_method, k.status, k.created_at, k.retired_at, coalesce(c.data_keys, 0)
    from kms.key_ring r
    join kms.binding b on b.tenant_id = r.tenant_id and b.id = r.current_binding_id
    join kms.master_key k on k.tenant_id = r.tenant_id
    left join secrets.census(%s) c on c.key_version = k.version
    where r.tenant_id = %s order by k.version desc
"""  # noqa: S608 - constants
"""One statement, so that binding, versions and census (a stable function) are of one snapshot."""


def lookup(row: Sequence[Any]) -> KeyLookup:
    """Of FIND_KEY."""
    columns = row[KEY_WIDTH + 1 :]
    return KeyLookup(
        row=key(row[:KEY_WIDTH]),
        binding=None if columns[0] is None else binding(columns),
        epoch=row[KEY_WIDTH],
    )


def status(found: Sequence[Sequence[Any]]) -> TenantKms:
    """Of the rows of DESCRIBE, of which there is at least one."""
    reports = (report(row[BINDING_WIDTH:]) for row in found)
    return TenantKms(binding(found[0][:BINDING_WIDTH]), tuple(reports))


def report(row: Sequence[Any]) -> KeyReport:
    """A version with its census, as DESCRIBE reads it."""
    key_id, version, method, state, *rest = row
    return KeyReport(key_id, version, WrapMethod(method), KeyStatus(state), *rest)


def key(row: Sequence[Any]) -> MasterKeyRow:
    """Of KEY_COLUMNS."""
    tenant_id, version, key_id, method, blob, key_ref, check_value, status = row
    wrapped = None if blob is None else Wrapped(bytes(blob), key_ref)
    return MasterKeyRow(
        tenant_id,
        version,
        key_id,
        WrapMethod(method),
        wrapped,
        bytes(check_value),
        KeyStatus(status),
    )


def binding(row: Sequence[Any]) -> Binding:
    """Of BINDING_COLUMNS."""
    tenant_id, binding_id, provider, key_ref, config, resolved, *state = row
    target = KmsTarget(provider, key_ref, config, resolved)
    return Binding(tenant_id, binding_id, target, *state)
