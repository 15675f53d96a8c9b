"""Whole secrets moved to another place, with their data key and every id that can be taken along.

Single rows are in `test_moved_rows.py`.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from services.common.errors import CofferError

if TYPE_CHECKING:
    from tests.fixtures.stack import RunningStack
    from tests.fixtures.tenant_user import TenantUser

AT = "where tenant_id = %(tenant)s and secret_id = %(secret)s"


def assert_closed(user: TenantUser, **question: object) -> None:
    """AccessSecret gives no value, and tells nothing about why."""
    with pytest.raises(CofferError) as refusal:
        user.access(**question)  # type: ignore[arg-type]
    assert refusal.value.code == "internal_error"
    assert refusal.value.reason is None


def assert_neighbour_opens(user: TenantUser) -> None:
    assert user.value("neighbour") == "neighbour's"


@pytest.fixture
def thief(tenant: TenantUser) -> TenantUser:
    """The tenant, with three secrets."""
    tenant.create_all({"mine": "mine", "theirs": "theirs", "neighbour": "neighbour's"})
    return tenant


def secret_id(user: TenantUser, name: str) -> str:
    found: str = user.rows()[name]["id"]
    return found


def test_a_value_moved_with_its_data_key_to_another_secret_does_not_open(
    stack: RunningStack, thief: TenantUser
) -> None:
    mine, theirs = secret_id(thief, "mine"), secret_id(thief, "theirs")
    stack.execute(
        f"delete from secrets.value_version {AT}",
        "update secrets.value_version set secret_id = %(secret)s"
        " where tenant_id = %(tenant)s and secret_id = %(theirs)s",
        tenant=thief.id, secret=mine, theirs=theirs,
    )  # fmt: skip
    assert_closed(thief, name="mine")
    assert_neighbour_opens(thief)


def test_a_value_moved_to_another_environment_does_not_open(
    stack: RunningStack, thief: TenantUser
) -> None:
    mine = secret_id(thief, "mine")
    stack.execute(
        "insert into secrets.environment (tenant_id, id, name, display_name)"
        " values (%(tenant)s, %(environment)s, 'staging', 'Staging')",
        "insert into secrets.secret_environment"
        " (tenant_id, secret_id, environment_id, value_version, updated_at)"
        " values (%(tenant)s, %(secret)s, %(environment)s, 1, now())",
        f"update secrets.value_version set environment_id = %(environment)s {AT}",
        tenant=thief.id, secret=mine, environment=uuid.uuid4(),
    )  # fmt: skip
    assert_closed(thief, name="mine", environment="staging")
    assert_neighbour_opens(thief)


def test_everything_of_a_secret_copied_to_another_tenant_does_not_open_there(
    stack: RunningStack, thief: TenantUser
) -> None:
    victim = stack.tenant()
    victim.create("first", "value")
    made = victim.create("wanted", "victim's value")
    thief_environment, victim_environment = (
        stack.rows("select id from secrets.environment where tenant_id = %s", (user.id,))[0][0]
        for user in (thief, victim)
    )
    assert thief_environment != victim_environment
    # Even the environment's id is taken along, so that every fact but the tenant is the same.
    facts = {"thief": thief.id, "victim": victim.id, "secret": made["id"]}
    copied = "where tenant_id = %(victim)s and secret_id = %(secret)s"
    stack.execute(
        "insert into secrets.environment (tenant_id, id, name, display_name)"
        " select %(thief)s, id, 'stolen', 'Stolen' from secrets.environment"
        " where tenant_id = %(victim)s",
        "insert into secrets.secret select %(thief)s, id, name, description, secret_type,"
        " certificate_type, metadata, base_environment_id, collection_id, expires_at,"
        " strict_expiry_enforcement, created_at, updated_at, deleted_at from secrets.secret"
        " where tenant_id = %(victim)s and id = %(secret)s",
        "insert into secrets.secret_environment select %(thief)s, secret_id, environment_id,"
        f" value_version, updated_at from secrets.secret_environment {copied}",
        "insert into secrets.data_key (tenant_id, id, key_version, wrapped)"
        " select %(thief)s, d.id, d.key_version, d.wrapped from secrets.data_key d"
        " join secrets.value_version v on v.tenant_id = d.tenant_id and v.data_key_id = d.id"
        " where v.tenant_id = %(victim)s and v.secret_id = %(secret)s",
        "insert into secrets.value_version (tenant_id, secret_id, environment_id, value_version,"
        " data_key_id, value, created_at) select %(thief)s, secret_id, environment_id,"
        f" value_version, data_key_id, value, created_at from secrets.value_version {copied}",
        **facts,
    )
    assert thief.get(f"/v1/secrets/{made['id']}")["data"]["name"] == "wanted"
    assert_closed(thief, name="wanted")
    assert victim.value("wanted") == "victim's value"
    assert_neighbour_opens(thief)
