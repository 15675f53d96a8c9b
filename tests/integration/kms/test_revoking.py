"""What must be gone after a version was revoked, everywhere and at once, and what must not.

Two processes over one database: the promises are of the deployment, not of the process that was asked.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from coffer.kms.v1 import kms_pb2
from google.protobuf import json_format

from cli.kms.receipts import verify
from services.common.database import KEY_VERSION_NOT_ACTIVE, Database
from services.common.errors import CofferError, KeyInUseError
from services.common.identity import Call
from services.kms.store import Revocations
from tests.fakes.kms_stand import called, onboarding, refused, running_kms, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable
    from uuid import UUID

    from devcloud.aws.seed import Customer
    from devcloud.aws.server import AwsServer
    from devcloud.control import Control
    from tests.fakes.kms_stand import KmsStand
    from tests.fixtures.database import TestDatabase
    from tests.fixtures.pki import TestPki

AT_ONCE_SECONDS = 5.0
"""A generous bound for what takes milliseconds."""
REVOKED, SEALED = kms_pb2.DATA_KEY_FAULT_REVOKED, kms_pb2.DATA_KEY_FAULT_SEALED


@pytest.fixture
async def pair(
    database: TestDatabase, pki: TestPki, aws: AwsServer
) -> AsyncIterator[tuple[KmsStand, KmsStand]]:
    async with running_kms(database, pki, aws) as one, running_kms(database, pki, aws) as other:
        yield one, other


@dataclass
class Owner:
    """A tenant, its KMS customer, and data keys made under its versions."""

    id: UUID
    slug: str
    customer: Customer
    keys: dict[int, Any] = field(default_factory=dict)

    async def make_key(self, kms: KmsStand) -> int:
        """A data key under the active version, which it returns."""
        made = await kms.generate(self.id)
        self.keys[made.key_version] = made.data_keys[0]
        return int(made.key_version)

    def store(self, database: TestDatabase, version: int, count: int = 1) -> None:
        """Data keys as the secrets service stores them."""
        for _ in range(count):
            database.execute(
                "insert into secrets.data_key (tenant_id, id, key_version, wrapped)"
                " values (%s, %s, %s, %s)",
                (self.id, uuid.uuid4(), version, self.keys[version].wrapped),
            )

    async def opens(self, kms: KmsStand, version: int) -> str:
        """`right`, or the name of the fault."""
        key = self.keys[version]
        (result,) = (await kms.unwrap(self.id, (key.id, key.wrapped))).results
        if result.WhichOneof("outcome") == "fault":
            return str(kms_pb2.DataKeyFault.Name(result.fault))
        return "right" if result.plaintext == key.plaintext else "wrong"


async def owner(kms: KmsStand, cloud: Control, versions: int = 2) -> Owner:
    """A connected tenant with a data key under each of its versions, of which the last is active."""
    slug = f"t-{uuid.uuid4().hex[:8]}"
    tenant = kms.database.create_tenant(slug)
    customer = await kms.cloud(cloud.create_customer, external_id=f"coffer-{tenant}")
    made = Owner(tenant, slug, customer)
    await kms.put(tenant, onboarding(customer))
    await made.make_key(kms)
    for _ in range(versions - 1):
        await kms.rotate(tenant)
        await made.make_key(kms)
    return made


async def revoke(
    kms: KmsStand,
    of: Owner,
    version: int,
    *,
    confirm: str | None = None,
    force: bool = False,
    step_up: str | None = None,
) -> kms_pb2.RevokeKeyVersionResponse:
    request = kms_pb2.RevokeKeyVersionRequest(
        version=version, confirm=of.slug if confirm is None else confirm, force=force
    )
    token = kms.pki.issuer.step_up_token(of.id) if step_up is None else step_up
    reply: kms_pb2.RevokeKeyVersionResponse = await kms.admin(
        "RevokeKeyVersion", of.id, request, step_up=token
    )
    return reply


async def receipt(kms: KmsStand, tenant: UUID, version: int) -> kms_pb2.RevocationReceipt:
    request = kms_pb2.GetRevocationReceiptRequest(version=version)
    reply = await kms.admin("GetRevocationReceipt", tenant, request)
    found: kms_pb2.RevocationReceipt = reply.receipt
    return found


async def jwks(kms: KmsStand) -> dict[str, Any]:
    """The published keys, asked for without any credential."""
    request = kms_pb2.GetSigningKeysRequest()
    reply = await called(kms.stub("gateway").GetSigningKeys(request, timeout=10))
    return dict(json_format.MessageToDict(reply, preserving_proto_field_name=True))


async def erased(kms: KmsStand, of: Owner, version: int = 1) -> bool:
    return await of.opens(kms, version) == "DATA_KEY_FAULT_REVOKED"


def actions(database: TestDatabase, tenant: UUID) -> list[object]:
    query = "select action from audit.event where tenant_id = %s order by seq"
    return [row[0] for row in database.rows(query, (tenant,))]


async def test_an_erased_version_opens_nothing_in_any_process_and_the_others_go_on(
    pair: tuple[KmsStand, KmsStand], cloud: Control
) -> None:
    one, other = pair
    tenant = await owner(one, cloud)
    for kms in pair:
        assert [await tenant.opens(kms, version) for version in (1, 2)] == ["right", "right"]
    calls = await one.cloud(cloud.count, "Decrypt", tenant.customer.key_arn)

    reply = await revoke(one, tenant, 1)

    assert (reply.revoked, reply.version) == (True, 1)
    assert await erased(one, tenant)
    await until(lambda: erased(other, tenant), AT_ONCE_SECONDS, "the other process heard it")
    packed = b"".join(key.id + key.wrapped for key in tenant.keys.values())
    for kms in pair:
        moved = await kms.rewrap(tenant.id, packed)
        assert [(one.index, one.fault) for one in moved.failures] == [(0, REVOKED)]
        assert await tenant.opens(kms, 2) == "right"
        assert await tenant.make_key(kms) == 2
    # What was open of the version that is still good was not dropped for it.
    assert await one.cloud(cloud.count, "Decrypt", tenant.customer.key_arn) == calls
    states = [(key["version"], key["status"]) for key in (await other.get(tenant.id))["keys"]]
    assert states == [("2", "active"), ("1", "revoked")]
    assert actions(one.database, tenant.id)[-1] == "kms.key.revoked"


async def test_a_load_under_way_during_the_erasure_is_neither_kept_nor_used(
    pair: tuple[KmsStand, KmsStand], cloud: Control
) -> None:
    one, other = pair
    tenant = await owner(one, cloud)
    await one.cloud(cloud.slow, tenant.customer.key_arn, 1.0)
    before = await one.cloud(cloud.count, "AssumeRole")
    loads = [asyncio.create_task(tenant.opens(other, 1)) for _ in range(3)]

    async def under_way() -> bool:
        return bool(await one.cloud(cloud.count, "AssumeRole") > before)

    await until(under_way, AT_ONCE_SECONDS, "the other process asks for the key")
    await revoke(one, tenant, 1)
    assert not any(load.done() for load in loads)
    assert set(await asyncio.gather(*loads)) == {"DATA_KEY_FAULT_REVOKED"}
    assert await erased(other, tenant)


async def test_nothing_of_the_erased_key_is_in_any_row_of_the_live_database(
    kms: KmsStand, cloud: Control
) -> None:
    tenant = await owner(kms, cloud)
    tenant.store(kms.database, 1, count=3)
    ((wrapped,),) = kms.database.rows(
        "select encode(wrapped, 'hex') from kms.master_key where tenant_id = %s and version = 1",
        (tenant.id,),
    )
    assert isinstance(wrapped, str)
    assert [name for name, text in dump(kms.database) if wrapped in text] == ["kms.master_key"]

    error = await refused("key_in_use", revoke(kms, tenant, 1))

    assert error.http_status == KeyInUseError(1, 3).http_status
    assert error.fields == KeyInUseError(1, 3).fields
    assert [name for name, text in dump(kms.database) if wrapped in text] == ["kms.master_key"]
    reply = await revoke(kms, tenant, 1, force=True)
    assert (reply.receipt.statement.data_keys_lost, reply.receipt.statement.forced) == (3, True)
    assert [name for name, text in dump(kms.database) if wrapped in text] == []
    # The lost ones are neither work nor census.
    assert [key.get("data_keys", "0") for key in (await kms.get(tenant.id))["keys"]] == ["0", "0"]


def dump(database: TestDatabase) -> list[tuple[str, str]]:
    """Every table and all its rows, as PostgreSQL writes them in text."""
    query = (
        "select quote_ident(n.nspname) || '.' || quote_ident(c.relname) from pg_class c"
        " join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p')"
        " and n.nspname not in ('pg_catalog', 'information_schema') order by 1"
    )
    return [
        (
            str(name),
            "\n".join(str(row[0]) for row in database.rows(f"select t::text from {name} t")),
        )
        for (name,) in database.rows(query)
    ]


async def test_what_is_not_to_be_erased_is_refused_and_nothing_is_changed(
    kms: KmsStand, cloud: Control
) -> None:
    tenant = await owner(kms, cloud)
    token = kms.pki.issuer.step_up_token(tenant.id)
    for wrong in ("", tenant.slug.upper(), f"{tenant.slug} ", str(tenant.id)):
        error = await refused(
            "validation_error", revoke(kms, tenant, 1, confirm=wrong, step_up=token)
        )
        assert error.fields == {"confirm": ["must be the tenant's slug"]}
    # What was wrong in the body did not use up the token; what comes after it does.
    await refused("key_active", revoke(kms, tenant, 2, step_up=token))
    error = await refused("step_up_required", revoke(kms, tenant, 1, step_up=token))
    assert error.reason == "used"
    for version in (0, 3, -1, 2**62):
        await refused("not_found", revoke(kms, tenant, version))
        await refused("not_found", receipt(kms, tenant.id, version))
    old = kms.pki.issuer.step_up_token(tenant.id, auth_time=0)
    await refused("step_up_expired", revoke(kms, tenant, 1, step_up=old))
    # Also with force: there would be nothing left to store under.
    await refused("key_active", revoke(kms, tenant, 2, force=True))
    assert [await tenant.opens(kms, version) for version in (1, 2)] == ["right", "right"]
    assert "kms.key.revoked" not in actions(kms.database, tenant.id)


async def test_another_tenant_can_neither_erase_nor_see_the_receipt(
    kms: KmsStand, cloud: Control
) -> None:
    mine, theirs = await owner(kms, cloud, versions=3), await owner(kms, cloud, versions=1)
    await revoke(kms, mine, 1)
    await refused("not_found", receipt(kms, theirs.id, 1))
    error = await refused("validation_error", revoke(kms, theirs, 2, confirm=mine.slug))
    assert mine.slug not in str(error.fields)
    assert await mine.opens(kms, 2) == "right"


async def test_it_needs_no_cloud_key_that_works_and_no_current_binding(
    kms: KmsStand, cloud: Control
) -> None:
    slug = f"t-{uuid.uuid4().hex[:8]}"
    tenant_id = kms.database.create_tenant(slug)
    customers = [
        await kms.cloud(cloud.create_customer, external_id=f"coffer-{tenant_id}") for _ in range(2)
    ]
    tenant = Owner(tenant_id, slug, customers[0])
    await tenant.make_key(kms)
    for customer in customers:
        await kms.put(tenant_id, onboarding(customer))
        await tenant.make_key(kms)
        await kms.cloud(cloud.disable, customer.key_arn)
    assert sorted(tenant.keys) == [1, 2, 3]
    kms.process.forget_all()
    await refused("tenant_sealed", kms.generate(tenant_id))

    platform = (await revoke(kms, tenant, 1)).receipt.statement
    replaced = (await revoke(kms, tenant, 2)).receipt.statement

    assert platform.wrap_method == "global"
    assert not platform.HasField("provider")
    assert not platform.HasField("kms_key_ref")
    assert (replaced.wrap_method, replaced.provider) == ("customer_kms", "aws")
    assert replaced.kms_key_ref == customers[0].key_arn
    assert (await kms.get(tenant_id))["config"]["sealed_since"]
    assert await tenant.opens(kms, 3) == "DATA_KEY_FAULT_SEALED"


async def test_after_off_boarding_the_customer_s_versions_can_still_be_erased(
    kms: KmsStand, cloud: Control
) -> None:
    tenant = await owner(kms, cloud)
    await kms.offboard(tenant.id)
    assert await tenant.make_key(kms) == 3

    async def gone() -> bool:
        try:
            return "config" not in await kms.get(tenant.id)
        except CofferError as error:
            return error.code == "no_kms_config"

    await until(gone, 20, "the binding is no longer shown")
    given = [(await revoke(kms, tenant, version)).receipt for version in (1, 2)]
    assert [one.statement.kms_key_ref for one in given] == [tenant.customer.key_arn] * 2
    assert (await receipt(kms, tenant.id, 2)).jws == given[1].jws
    await refused("key_active", revoke(kms, tenant, 3))
    assert await tenant.opens(kms, 3) == "right"


async def test_the_receipt_can_be_checked_by_anybody_and_is_the_same_ever_after(
    pair: tuple[KmsStand, KmsStand], cloud: Control
) -> None:
    one, _ = pair
    tenant = await owner(one, cloud)
    given = (await revoke(one, tenant, 1)).receipt
    keys = await jwks(one)
    shown = json_format.MessageToDict(
        given.statement, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )

    found = verify(given.jws, keys)

    assert found.kid == keys["keys"][0]["kid"]
    assert {**found.statement, "version": "1", "data_keys_lost": "0"} == shown
    ((key_id, revoked_at),) = one.database.rows(
        "select id, revoked_at from kms.master_key where tenant_id = %s and version = 1",
        (tenant.id,),
    )
    assert isinstance(revoked_at, datetime)
    assert found.statement["key_id"] == str(key_id)
    assert found.statement["tenant_slug"] == tenant.slug
    assert found.statement["actor"] == "admin:alice"
    assert found.statement["revoked_at"][:19] == f"{revoked_at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}"
    assert found.statement["forced"] is False
    assert "write-ahead log" in found.statement["does_not_cover"][0]
    for kms in pair:
        assert (await receipt(kms, tenant.id, 1)).SerializeToString() == given.SerializeToString()
        # Who lost the answer asks again, and has what was missing.
        again = await revoke(kms, tenant, 1)
        assert again.receipt.SerializeToString() == given.SerializeToString()
    assert actions(one.database, tenant.id).count("kms.key.revoked") == 1


async def test_of_many_revokes_at_once_one_erases_and_all_have_the_same_receipt(
    pair: tuple[KmsStand, KmsStand], cloud: Control
) -> None:
    one, _ = pair
    tenant = await owner(one, cloud)
    replies = await asyncio.gather(*(revoke(kms, tenant, 1) for kms in pair * 3))
    assert len({reply.receipt.jws for reply in replies}) == 1
    assert actions(one.database, tenant.id).count("kms.key.revoked") == 1


async def test_without_a_receipt_there_is_no_erasure(kms: KmsStand, cloud: Control) -> None:
    tenant = await owner(kms, cloud)

    def cannot_sign(_erasure: object) -> str:
        raise RuntimeError("the key is gone")

    pool = Database(kms.database.dsn("coffer_kms"), name="test")
    await pool.open()
    try:
        call = Call(actor="admin:alice", request_id=str(uuid.uuid4()), tenant_id=tenant.id)
        with pytest.raises(RuntimeError):
            await Revocations(pool, "test").erase(call, 1, force=False, sign=cannot_sign)
    finally:
        await pool.close()
    kms.process.forget_all()
    assert await tenant.opens(kms, 1) == "right"
    await refused("not_found", receipt(kms, tenant.id, 1))


def test_no_service_can_change_or_take_back_a_receipt(database: TestDatabase) -> None:
    tenant = database.create_tenant("acme")
    with psycopg.connect(database.dsn("coffer_kms")) as connection:
        connection.execute("select set_config('coffer.tenant_id', %s, true)", (str(tenant),))
        for statement in (
            b"update kms.receipt set jws = 'x'",
            b"delete from kms.receipt",
            b"truncate kms.receipt",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                connection.execute(statement)


async def test_reads_during_the_erasure_are_right_or_refused_and_refused_from_then_on(
    pair: tuple[KmsStand, KmsStand], cloud: Control
) -> None:
    one, other = pair
    tenant = await owner(one, cloud)
    heard = {id(kms): asyncio.Event() for kms in pair}
    answers: dict[str, int] = {}
    late: list[str] = []
    stop = asyncio.Event()

    async def read(kms: KmsStand) -> None:
        while not stop.is_set():
            began_after = heard[id(kms)].is_set()
            answer = await tenant.opens(kms, 1)
            answers[answer] = answers.get(answer, 0) + 1
            if began_after and answer != "DATA_KEY_FAULT_REVOKED":
                late.append(answer)
            assert await tenant.opens(kms, 2) == "right"

    readers = [asyncio.create_task(read(kms)) for kms in pair for _ in range(4)]
    await until(lambda: _true(answers.get("right", 0) >= 50), 20, "readers read")
    await revoke(one, tenant, 1)
    heard[id(one)].set()
    await until(lambda: erased(other, tenant), AT_ONCE_SECONDS, "the other process heard it")
    heard[id(other)].set()
    enough = answers.get("DATA_KEY_FAULT_REVOKED", 0) + 50
    await until(
        lambda: _true(answers.get("DATA_KEY_FAULT_REVOKED", 0) >= enough), 20, "readers go on"
    )
    stop.set()
    await asyncio.gather(*readers)
    assert set(answers) == {"right", "DATA_KEY_FAULT_REVOKED"}
    assert late == []


async def _true(value: bool) -> bool:
    return value


async def test_erasing_against_changes_of_the_ring_leaves_one_active_and_no_number_twice(
    pair: tuple[KmsStand, KmsStand], cloud: Control
) -> None:
    one, _ = pair
    tenant = await owner(one, cloud, versions=3)

    async def outcome(call: Awaitable[Any]) -> str:
        try:
            await call
        except CofferError as error:
            return error.code
        return "done"

    erasing = [revoke(kms, tenant, version) for version in (1, 2, 3) for kms in pair]
    changing = [kms.rotate(tenant.id) for kms in pair for _ in range(2)]
    replacing = [kms.put(tenant.id, onboarding(tenant.customer)) for kms in pair]
    outcomes = await asyncio.gather(*map(outcome, (*erasing, *changing, *replacing)))

    assert set(outcomes[:4]) == {"done"}
    # The third was active until one of the changes came: erased after, refused before.
    assert set(outcomes[4:6]) <= {"done", "key_active"}
    assert set(outcomes[6:]) <= {"done", "conflict"}
    assert "done" in outcomes[6:]
    rows = one.database.rows(
        "select version, status, wrapped is null from kms.master_key where tenant_id = %s"
        " order by version",
        (tenant.id,),
    )
    made = outcomes[6:].count("done")
    assert [row[0] for row in rows] == list(range(1, 3 + made + 1))
    assert [row[1] for row in rows].count("active") == 1
    assert rows[-1][1] == "active"
    assert all(gone is (status == "revoked") for _, status, gone in rows)
    receipts = one.database.rows("select version from kms.receipt order by version")
    assert receipts == [(version,) for version, status, _ in rows if status == "revoked"]


async def test_the_keys_for_checking_hold_nothing_private_and_no_tenant(
    kms: KmsStand, cloud: Control
) -> None:
    tenant = await owner(kms, cloud, versions=1)
    document = await jwks(kms)
    (key,) = document["keys"]
    assert set(key) == {"kty", "crv", "kid", "x", "alg", "use"}
    assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("OKP", "Ed25519", "EdDSA", "sig")
    for fact in (str(tenant.id), tenant.slug):
        assert fact not in json.dumps(document)


async def test_nothing_can_be_stored_under_an_erased_version(kms: KmsStand, cloud: Control) -> None:
    tenant = await owner(kms, cloud)
    await revoke(kms, tenant, 1)
    with psycopg.connect(kms.database.dsn("coffer_secrets")) as connection:
        connection.execute("select set_config('coffer.tenant_id', %s, true)", (str(tenant.id),))
        with pytest.raises(psycopg.Error) as caught, connection.transaction():
            connection.execute("select kms.hold_active(%s, 1)", (tenant.id,))
        assert caught.value.sqlstate == KEY_VERSION_NOT_ACTIVE
        connection.execute("select kms.hold_active(%s, 2)", (tenant.id,))
