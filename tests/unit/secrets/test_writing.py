"""New values and deletions: a tenant's crowd has one place in the database and takes turns."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest

from services.common.errors import UnavailableError
from services.secrets.creating import Creator
from services.secrets.data_keys import DataKeyPool
from services.secrets.deleting import Deleter, LostBase, NotRestored
from services.secrets.model import (
    CreateRequest,
    NewValue,
    PutRequest,
    SentPayload,
    StaleKeyVersionError,
    Standing,
    StoredVersion,
)
from services.secrets.payloads import Payloads
from services.secrets.service import SecretsService
from services.secrets.writing import Writer, write_places
from tests.fakes.secrets_certificates import InlineCertificates
from tests.fakes.secrets_history import MemoryValues
from tests.fakes.secrets_ports import MemoryKms, MemorySecrets, Watching, settle
from tests.fakes.secrets_values import a_call

if TYPE_CHECKING:
    from services.common.identity import Call
    from services.secrets.changing import Change
    from services.secrets.model import Refused, SecretRow

BUSY, QUIET = uuid4(), uuid4()


class SlowStore(MemoryValues):
    """Has every secret; writes end when `gate` opens."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.writing: Counter[UUID] = Counter()

    async def standing(
        self, tenant_id: UUID, secret_id: UUID, environment: str | None
    ) -> Standing | None:
        return Standing("NAME", "string", self.places["production"], 1, has_value=True)

    async def put(self, tenant_id: UUID, value: NewValue) -> StoredVersion | None:
        await self._write(tenant_id)
        return StoredVersion(value.secret_id, "NAME", "production", value.replaces + 1)

    async def has_collection(self, tenant_id: UUID, collection_id: UUID) -> bool:
        return True

    async def change(
        self, tenant_id: UUID, secret_id: UUID, change: Change, call: Call
    ) -> SecretRow | Refused | None:
        await self._write(tenant_id)
        return None

    async def delete(self, tenant_id: UUID, secret_id: UUID, call: Call) -> bool:
        await self._write(tenant_id)
        return True

    async def restore(
        self, tenant_id: UUID, secret_id: UUID, base_environment: str | None, call: Call
    ) -> SecretRow | NotRestored | LostBase:
        await self._write(tenant_id)
        return NotRestored.NO_SECRET

    async def _write(self, tenant_id: UUID) -> None:
        self.writing[tenant_id] += 1
        await self.gate.wait()
        self.writing[tenant_id] -= 1


async def test_one_tenants_writes_do_not_take_all_of_the_database() -> None:
    store, kms = SlowStore(), MemoryKms()
    pool = DataKeyPool(kms, Watching())
    payloads, places = Payloads(InlineCertificates(), 2, Watching()), write_places()
    deleter = Deleter(store, places)
    writer = Writer(store, pool, payloads, places)
    request = [PutRequest(str(uuid4()), SentPayload(value="v")) for _ in range(30)]
    puts = [asyncio.create_task(writer.put(a_call(BUSY), one)) for one in request]
    deletes = [asyncio.create_task(deleter.delete(a_call(BUSY), one.id)) for one in request]
    await settle()
    quiet = asyncio.create_task(deleter.delete(a_call(QUIET), str(uuid4())))
    await settle()
    assert store.writing == {BUSY: 1, QUIET: 1}
    store.gate.set()
    await asyncio.gather(*puts, *deletes, quiet)
    await pool.aclose()


def creating() -> tuple[MemorySecrets, MemoryKms, SecretsService]:
    store, kms = MemorySecrets(), MemoryKms()
    payloads = Payloads(InlineCertificates(), 2, Watching())
    pool = DataKeyPool(kms, Watching())
    creator = Creator(store, pool, Watching())
    return store, kms, SecretsService(store=store, pool=pool, creator=creator, payloads=payloads)


def named(name: str) -> CreateRequest:
    return CreateRequest(name=name, payload=SentPayload(value="v"))


async def test_a_rotation_between_seal_and_write_costs_another_key_and_no_value() -> None:
    store, kms, service = creating()
    store.gate.clear()
    made = [asyncio.create_task(service.create(a_call(BUSY), named(f"S{n}"))) for n in range(10)]
    await settle()
    store.active = kms.key_version = 2
    store.gate.set()
    await asyncio.gather(*made)
    assert len(store.names) == 10
    assert not kms.rewrapped


async def test_a_version_that_never_becomes_active_ends_in_unavailable() -> None:
    store, _, service = creating()
    store.active = 99
    with pytest.raises(UnavailableError):
        await service.create(a_call(BUSY), named("ONE"))
    assert len(store.groups) < 20


async def test_a_rotation_that_is_heard_of_late_fails_no_new_value() -> None:
    """As a create does, a new value waits for keys of the new version."""
    clock = asyncio.get_running_loop().time
    begun = clock()

    class Rotating(SlowStore):
        async def put(self, tenant_id: UUID, value: NewValue) -> StoredVersion | None:
            if clock() < begun + 0.15:
                raise StaleKeyVersionError
            return await super().put(tenant_id, value)

    store = Rotating()
    store.gate.set()
    pool = DataKeyPool(MemoryKms(), Watching())
    payloads = Payloads(InlineCertificates(), 2, Watching())
    writer = Writer(store, pool, payloads, write_places())
    stored = await writer.put(a_call(BUSY), PutRequest(str(uuid4()), SentPayload(value="v")))
    assert stored.value_version == 2
    await pool.aclose()
