"""Keys that rotate under the writers' hands."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.fixtures.tenant_user import together

if TYPE_CHECKING:
    from tests.fixtures.tenant_user import TenantUser


def test_values_stored_while_keys_rotate_all_open(tenant: TenantUser) -> None:
    """Data keys are taken from a pool, so many were made before the rotation they are stored after."""
    tenant.create("first", "value")
    tenant.onboard(tenant.customer())
    values = {f"s{n}": f"value-{n}" for n in range(300)}
    names = list(values)
    for start in range(0, len(names), 60):
        part = {name: values[name] for name in names[start : start + 60]}
        together([partial(tenant.create_all, part), tenant.rotate], at_once=2)
    assert tenant.values(names) == values
    lease = tenant.ended_lease()
    assert lease["state"] == "completed"
    census = tenant.census()
    newest = max(census)
    assert census == dict.fromkeys(census, 0) | {newest: len(values) + 1}
    assert tenant.values(names) == values
