"""One suite for the port `Secrets` as creates use it: the store in memory and the one on PostgreSQL."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from services.common.database import Database
from services.secrets.model import Refused, SecretRow, StaleKeyVersionError
from services.secrets.store import PostgresSecrets
from tests.fakes.secrets_ports import MemorySecrets
from tests.fakes.secrets_values import a_call, new_secret

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from services.secrets.model import Environment, NewSecret
    from services.secrets.ports import Secrets
    from tests.fixtures.database import TestDatabase


@dataclass
class Subject:
    store: Secrets
    tenant_id: UUID
    other_tenant_id: UUID

    async def home(self, tenant_id: UUID | None = None) -> Environment:
        asked = tenant_id or self.tenant_id
        found = await self.store.environment(asked, None, a_call(asked))
        assert found is not None
        return found

    async def secrets(self, *names: str) -> list[NewSecret]:
        home = await self.home()
        return [new_secret(name, home, call=a_call(self.tenant_id)) for name in names]


@pytest.fixture(params=["memory", "postgres"])
async def subject(
    request: pytest.FixtureRequest,
) -> AsyncIterator[Subject]:
    if request.param == "memory":
        yield Subject(MemorySecrets(), uuid.uuid4(), uuid.uuid4())
        return
    database: TestDatabase = request.getfixturevalue("database")
    tenants = [database.create_tenant(slug) for slug in ("one", "two")]
    for tenant_id in tenants:
        database.execute(
            "insert into kms.master_key (tenant_id, version, id, wrap_method, wrapped, check_value,"
            " status) values (%s, 1, %s, 'global', 'x', %s, 'active')",
            (tenant_id, uuid.uuid4(), bytes(32)),
        )
    pool = Database(database.dsn("coffer_secrets"), name="test", max_connections=2)
    await pool.open()
    yield Subject(PostgresSecrets(pool), *tenants)
    await pool.close()


async def test_outcomes_come_in_the_order_asked(subject: Subject) -> None:
    await subject.store.create(subject.tenant_id, 1, await subject.secrets("B"))
    secrets = await subject.secrets("A", "B", "C", "A")
    found = await subject.store.create(subject.tenant_id, 1, secrets)
    assert [isinstance(outcome, SecretRow) for outcome in found] == [True, False, True, False]
    assert found[1] is found[3] is Refused.NAME_TAKEN


async def test_a_version_that_is_not_active_writes_nothing(subject: Subject) -> None:
    secrets = await subject.secrets("A")
    with pytest.raises(StaleKeyVersionError):
        await subject.store.create(subject.tenant_id, 2, secrets)
    found = await subject.store.create(subject.tenant_id, 1, await subject.secrets("A"))
    assert isinstance(found[0], SecretRow)


async def test_a_name_is_taken_in_its_tenant_only(subject: Subject) -> None:
    await subject.store.create(subject.tenant_id, 1, await subject.secrets("A"))
    home = await subject.home(subject.other_tenant_id)
    theirs = new_secret("A", home, call=a_call(subject.other_tenant_id))
    found = await subject.store.create(subject.other_tenant_id, 1, [theirs])
    assert isinstance(found[0], SecretRow)


async def test_times_carry_an_offset(subject: Subject) -> None:
    (made,) = await subject.store.create(subject.tenant_id, 1, await subject.secrets("A"))
    assert isinstance(made, SecretRow)
    assert made.created_at.tzinfo is not None


async def test_the_default_environment_is_one_and_the_same(subject: Subject) -> None:
    first, second = await subject.home(), await subject.home()
    assert first == second
    assert first.name == "production"
    tenant_id, call = subject.tenant_id, a_call(subject.tenant_id)
    assert await subject.store.environment(tenant_id, "production", call) == first
    assert await subject.store.environment(tenant_id, "nowhere", call) is None
