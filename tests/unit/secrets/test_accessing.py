"""Reading values by groups: nobody waits for a stranger's key, nobody suffers for a neighbour."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from services.common.errors import TenantSealedError, UnavailableError
from services.secrets.accessing import Accessor
from tests.fakes.secrets_accesses import Vault, a_question
from tests.fakes.secrets_ports import Watching, settle


async def test_tenants_whose_key_is_out_of_reach_do_not_keep_another_from_its_values() -> None:
    vault = Vault()
    accessor = Accessor(vault, vault, Watching())
    stuck = [uuid4() for _ in range(40)]
    vault.unreachable.update(stuck)
    for tenant_id in [*stuck, healthy := uuid4()]:
        vault.keep(tenant_id, "A")
    waiting = [asyncio.create_task(accessor.access(tenant, a_question("A"))) for tenant in stuck]
    async with asyncio.timeout(5):
        await settle()
        assert len(vault.reads) == len(stuck)
        answer = await accessor.access(healthy, a_question("A"))
    assert answer.fields["value"] == b"v"
    assert not any(task.done() for task in waiting)
    vault.gate.set()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(outcome, TenantSealedError) for outcome in found)


async def test_values_in_hand_are_bounded_while_keys_are_waited_for() -> None:
    vault = Vault()
    accessor = Accessor(vault, vault, Watching(), held_bytes=1500)
    stuck, healthy = uuid4(), uuid4()
    vault.unreachable.add(stuck)
    for tenant_id in (stuck, healthy):
        vault.keep(tenant_id, "BIG", bytes(1000))
    waiting = asyncio.create_task(accessor.access(stuck, a_question("BIG")))
    await settle()
    with pytest.raises(UnavailableError):
        await accessor.access(healthy, a_question("BIG"))
    vault.gate.set()
    with pytest.raises(TenantSealedError):
        await waiting
    assert (await accessor.access(healthy, a_question("BIG"))).fields["value"] == bytes(1000)


async def test_a_row_that_cannot_be_read_takes_no_neighbours_value_away() -> None:
    vault = Vault()
    accessor = Accessor(vault, vault, Watching())
    tenant_id = uuid4()
    for name in ("A", "BROKEN", "C"):
        vault.keep(tenant_id, name)
    vault.poison.add("BROKEN")
    plug = asyncio.create_task(accessor.access(tenant_id, a_question("A")))
    calls = [accessor.access(tenant_id, a_question(name)) for name in ("A", "BROKEN", "C")]
    found = await asyncio.gather(*calls, return_exceptions=True)
    await plug
    assert vault.reads[1] == ["A", "BROKEN", "C"]
    assert [isinstance(outcome, ValueError) for outcome in found] == [False, True, False]
    assert [name for name, _ in vault.recorded] == ["A", "A", "C"]
