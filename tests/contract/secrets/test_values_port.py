"""One suite for the port `Values`: the store in memory and the one on PostgreSQL."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from services.common.database import Database
from services.secrets.model import (
    NewValue,
    SealedValue,
    StaleVersionError,
    Standing,
    StoredVersion,
    WrappedKey,
)
from services.secrets.paging import Paging
from services.secrets.store import PostgresSecrets, PostgresValues
from services.secrets.versions import NotRemoved
from tests.fakes.secrets_history import NAME, MemoryValues
from tests.fakes.secrets_values import a_call, new_secret

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from services.secrets.groups import Unfinished
    from services.secrets.ports import Values
    from tests.fixtures.database import TestDatabase

STAGING = "staging"


@dataclass
class Subject:
    """A secret without a value in `staging`."""

    store: Values
    tenant_id: UUID
    id: UUID

    async def standing(self) -> Standing:
        found = await self.store.standing(self.tenant_id, self.id, STAGING)
        assert found is not None
        return found

    async def put(
        self, replaces: int, *, only_over_a_value: bool = False
    ) -> tuple[NewValue, StoredVersion | None]:
        environment = (await self.standing()).environment
        assert environment is not None
        key = WrappedKey(uuid.uuid4(), os.urandom(68), 1)
        value = NewValue(
            call=a_call(self.tenant_id),
            secret_id=self.id,
            environment=environment,
            replaces=replaces,
            value=SealedValue(key, {"value": os.urandom(40)}),
            certificate=None,
            only_over_a_value=only_over_a_value,
        )
        return value, await self.store.put(self.tenant_id, value)

    async def remove(self, environment: str = STAGING) -> NotRemoved | Unfinished | None:
        call = a_call(self.tenant_id)
        return await self.store.remove(self.tenant_id, self.id, environment, call)

    async def history(
        self, page: int = 1, per_page: int = 20
    ) -> tuple[list[tuple[int, bool]], int]:
        environment = (await self.standing()).environment
        assert environment is not None
        asked = Paging(page, per_page)
        found = await self.store.history(self.tenant_id, self.id, environment, asked)
        return [(row.value_version, row.is_current) for row in found.rows], found.total


@pytest.fixture(params=["memory", "postgres"])
async def subject(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    if request.param == "memory":
        memory = MemoryValues()
        yield Subject(memory, uuid.uuid4(), memory.id)
        return
    database: TestDatabase = request.getfixturevalue("database")
    tenant_id = database.create_tenant("one")
    database.execute(
        "insert into kms.master_key (tenant_id, version, id, wrap_method, wrapped, check_value,"
        " status) values (%s, 1, %s, 'global', 'x', %s, 'active')",
        (tenant_id, uuid.uuid4(), bytes(32)),
    )
    database.execute(
        "insert into secrets.environment (tenant_id, id, name, display_name)"
        " values (%s, %s, 'staging', 'Staging')",
        (tenant_id, uuid.uuid4()),
    )
    pool = Database(database.dsn("coffer_secrets"), name="test", max_connections=2)
    await pool.open()
    secrets = PostgresSecrets(pool)
    home = await secrets.environment(tenant_id, None, a_call(tenant_id))
    secret = new_secret(NAME, home, call=a_call(tenant_id))
    await secrets.create(tenant_id, 1, [secret])
    yield Subject(PostgresValues(pool), tenant_id, secret.id)
    await pool.close()


async def test_a_removed_value_leaves_its_number_behind(subject: Subject) -> None:
    assert (await subject.standing()).current == 0
    for replaces in (0, 1):
        _, stored = await subject.put(replaces)
        assert stored == StoredVersion(subject.id, NAME, STAGING, replaces + 1)
    assert await subject.history() == ([(2, True), (1, False)], 2)
    assert await subject.history(page=2, per_page=1) == ([(1, False)], 2)
    assert await subject.remove() is None
    standing = await subject.standing()
    assert (standing.value_version, standing.has_value, standing.current) == (2, False, 0)
    assert await subject.history() == ([], 0)
    assert await subject.remove() is NotRemoved.NO_VALUE
    with pytest.raises(StaleVersionError):
        await subject.put(2, only_over_a_value=True)
    _, stored = await subject.put(2)
    assert stored is not None
    assert stored.value_version == 3


async def test_a_value_is_written_over_the_version_it_names_only(subject: Subject) -> None:
    await subject.put(0)
    for replaces in (0, 2):
        with pytest.raises(StaleVersionError):
            await subject.put(replaces)
    assert (await subject.standing()).value_version == 1


async def test_a_stored_version_comes_back_as_it_was_written(subject: Subject) -> None:
    value, _ = await subject.put(0)
    read = subject.store.stored
    place = value.environment.id
    found = await read(subject.tenant_id, subject.id, place, 1)
    assert found is not None
    assert (found.environment, found.value_version) == (value.environment, 1)
    assert found.value == value.value
    assert await read(subject.tenant_id, subject.id, place, 2) is None


async def test_the_base_environments_value_and_a_strangers_stay(subject: Subject) -> None:
    assert await subject.remove("production") is NotRemoved.IS_BASE
    assert await subject.remove("nowhere") is NotRemoved.NO_VALUE
    stranger = Subject(subject.store, subject.tenant_id, uuid.uuid4())
    assert await stranger.remove() is NotRemoved.NO_SECRET
