"""Whoever may write to the database still cannot make one row pass for another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from services.common.errors import CofferError
from tests.fakes import certificates
from tests.fixtures.tenant_user import together

if TYPE_CHECKING:
    from tests.fixtures.stack import RunningStack
    from tests.fixtures.tenant_user import TenantUser

FIELDS = ("content", "private_key", "passphrase", "normal_form")

# Of two value versions, `o` is copied over `v`.
COPIED_VALUE = """update secrets.value_version v set value = o.value from secrets.value_version o
    where v.tenant_id = %(to_tenant)s and v.secret_id = %(to)s and v.value_version = %(to_version)s
    and o.tenant_id = %(of_tenant)s and o.secret_id = %(of)s
    and o.value_version = %(of_version)s"""
COPIED_KEY = """update secrets.data_key d
    set wrapped = o.wrapped, key_version = o.key_version
    from secrets.data_key o, secrets.value_version v, secrets.value_version w
    where d.tenant_id = v.tenant_id and d.id = v.data_key_id
    and o.tenant_id = w.tenant_id and o.id = w.data_key_id
    and v.tenant_id = %(to_tenant)s and v.secret_id = %(to)s and v.value_version = %(to_version)s
    and w.tenant_id = %(of_tenant)s and w.secret_id = %(of)s
    and w.value_version = %(of_version)s"""
# With the other key's own row and id: possible between tenants only.
INSERTED_KEY = """insert into secrets.data_key (tenant_id, id, key_version, wrapped)
    select %(to_tenant)s::uuid, o.id, o.key_version, o.wrapped
    from secrets.data_key o join secrets.value_version w
    on o.tenant_id = w.tenant_id and o.id = w.data_key_id
    where w.tenant_id = %(of_tenant)s and w.secret_id = %(of)s"""
POINTED_THERE = COPIED_VALUE.replace(
    "set value = o.value", "set value = o.value, data_key_id = o.data_key_id"
)
MOVES = {
    "the value alone": (COPIED_VALUE,),
    "the wrapped key alone": (COPIED_KEY,),
    "value and wrapped key": (COPIED_VALUE, COPIED_KEY),
}
MOVES_BETWEEN_TENANTS = {**MOVES, "the whole rows": (INSERTED_KEY, POINTED_THERE)}


def hold_refused(tenant: TenantUser, *others: str, **question: Any) -> None:
    """It does not open, and what is said tells neither a cause nor another's value."""
    with pytest.raises(CofferError) as refused:
        tenant.access(**question)
    assert refused.value.code == "internal_error"
    said = f"{refused.value!r} {refused.value.message} {vars(refused.value)}".lower()
    told = ("tag", "decrypt", "aead", "cipher", "authenticat", "wrapped", *others)
    assert [word for word in told if word.lower() in said] == []


@pytest.mark.parametrize(
    "statements", MOVES_BETWEEN_TENANTS.values(), ids=MOVES_BETWEEN_TENANTS.keys()
)
@pytest.mark.parametrize("onboarded", [False, True], ids=["platform key", "customer key"])
def test_a_row_copied_from_another_tenant_does_not_open(
    stack: RunningStack, tenant: TenantUser, statements: tuple[str, ...], onboarded: bool
) -> None:
    victim = stack.tenant()
    if onboarded:
        for one in (tenant, victim):
            one.onboard(one.customer())
    theirs = victim.create("SAME", "the victim's value")
    mine = tenant.create("SAME", "my value")
    tenant.create("OTHER", "my other value")
    stack.execute(
        *statements,
        to_tenant=tenant.id,
        to=mine["id"],
        to_version=1,
        of_tenant=victim.id,
        of=theirs["id"],
        of_version=1,
    )
    hold_refused(tenant, "victim", name="SAME")
    assert tenant.value("OTHER") == "my other value"
    assert victim.value("SAME") == "the victim's value"


@pytest.mark.parametrize("statements", MOVES.values(), ids=MOVES.keys())
def test_a_row_copied_from_another_secret_does_not_open(
    stack: RunningStack, tenant: TenantUser, statements: tuple[str, ...]
) -> None:
    rows = tenant.create_all({"ONE": "first value", "TWO": "second value", "THREE": "third value"})
    stack.execute(
        *statements,
        to_tenant=tenant.id,
        to=rows["ONE"]["id"],
        to_version=1,
        of_tenant=tenant.id,
        of=rows["TWO"]["id"],
        of_version=1,
    )
    hold_refused(tenant, "second value", name="ONE")
    assert tenant.values(["TWO", "THREE"]) == {"TWO": "second value", "THREE": "third value"}


@pytest.mark.parametrize("statements", MOVES.values(), ids=MOVES.keys())
def test_an_old_version_copied_over_the_new_one_does_not_open(
    stack: RunningStack, tenant: TenantUser, statements: tuple[str, ...]
) -> None:
    made = tenant.create("ONE", "old value")
    tenant.put(made["id"], "new value")
    tenant.create("TWO", "second value")
    stack.execute(
        *statements,
        to_tenant=tenant.id,
        to=made["id"],
        to_version=2,
        of_tenant=tenant.id,
        of=made["id"],
        of_version=1,
    )
    hold_refused(tenant, "old value", name="ONE")
    assert tenant.access(name="ONE", value_version=1).value == "old value"
    assert tenant.value("TWO") == "second value"


@pytest.mark.parametrize(
    ("target", "source"),
    [(target, source) for target in FIELDS for source in FIELDS if target != source],
)
def test_a_field_copied_over_another_field_does_not_open(
    stack: RunningStack, tenant: TenantUser, target: str, source: str
) -> None:
    issued = certificates.issue()
    fields = {
        "certificate_content": issued.pem,
        "private_key": certificates.key_pem(issued.key, "the passphrase"),
        "passphrase": "the passphrase",
    }

    def create(name: str) -> None:
        body = {"name": name, **fields}
        answer = tenant.call("POST", "/v1/secrets/certificate", json=body)
        assert answer.status_code == 201, answer.text

    together([lambda: create("MOVED"), lambda: create("LEFT")])
    stack.execute(
        f"update secrets.value_version v set {target} = v.{source} from secrets.secret s"
        " where v.tenant_id = %(tenant)s and s.tenant_id = v.tenant_id and s.id = v.secret_id"
        " and s.name = 'MOVED'",
        tenant=tenant.id,
    )
    hold_refused(tenant, "the passphrase", name="MOVED")
    left = tenant.access(name="LEFT").certificate
    assert (left.private_key, left.passphrase) == (fields["private_key"], "the passphrase")
    assert left.content == issued.pem
