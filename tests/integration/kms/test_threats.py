"""Somebody with a hand in the database or on the wire."""

from __future__ import annotations

import contextlib
import gc
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
import psycopg.conninfo
import pytest

from services.kms.keys.hierarchy import OpenMasterKey
from tests.fakes.kms_stand import onboarding, refused, running_kms, until

if TYPE_CHECKING:
    from uuid import UUID

    from devcloud.aws.server import AwsServer
    from tests.fakes.kms_stand import KmsStand
    from tests.fixtures.database import TestDatabase
    from tests.fixtures.pki import TestPki


async def test_a_master_key_row_copied_to_another_tenant_does_not_open(kms: KmsStand) -> None:
    one, other = kms.database.create_tenant("a"), kms.database.create_tenant("b")
    await kms.generate(one)
    await kms.generate(other)
    kms.database.tamper(
        "update kms.master_key b set wrapped = a.wrapped, check_value = a.check_value"
        " from kms.master_key a where a.tenant_id = %s and b.tenant_id = %s",
        (one, other),
    )
    kms.process.forget_all()
    await refused("tenant_sealed", kms.generate(other))
    await kms.generate(one)


@pytest.fixture
async def rings(kms: KmsStand) -> Rings:
    """A tenant with versions 1 and 2 (active) under the platform's and a customer's key."""
    tenant = kms.database.create_tenant("a")
    await kms.generate(tenant)
    with kms.aws.control() as cloud:
        customer = cloud.create_customer(external_id=f"coffer-{tenant}")
    await kms.put(tenant, onboarding(customer))
    return Rings(kms.database, tenant)


@dataclass(frozen=True)
class Rings:
    """Statements of somebody who may write, by mistake or by malice; no code of ours stands between."""

    database: TestDatabase
    tenant: UUID

    def hold_refused(self, error: type[psycopg.Error], statement: str, role: str = "") -> None:
        """By whatever role, the superuser's if none is named, and at the latest at the commit."""
        with pytest.raises(error):
            self._commit(self.database.dsn(role) if role else self.database.admin_dsn, statement)

    def _commit(self, dsn: str, statement: str) -> None:
        with contextlib.closing(psycopg.connect(dsn)) as connection:
            tenant = "select set_config('coffer.tenant_id', %s, true)"
            connection.execute(tenant, (str(self.tenant),))
            connection.execute(statement.encode())
            connection.commit()


RETIRE = "update kms.master_key set status = 'retired', retired_at = now() where status = 'active'"
REVOKE = (
    "update kms.master_key set status = 'revoked', wrapped = null, revoked_at = now()"
    " where version = 1"
)


async def test_the_database_refuses_two_active_versions_and_a_ring_without_one(
    rings: Rings,
) -> None:
    again = "update kms.master_key set status = 'active' where version = 1"
    for role in ("coffer_kms", ""):
        rings.hold_refused(psycopg.IntegrityError, again, role=role)
        rings.hold_refused(psycopg.IntegrityError, RETIRE, role=role)
        rings.hold_refused(
            psycopg.errors.UniqueViolation,
            "insert into kms.master_key (tenant_id, version, id, wrap_method, wrapped, check_value,"
            " status) select tenant_id, 3, gen_random_uuid(), 'global', wrapped, check_value,"
            " 'active' from kms.master_key where version = 1",
            role=role,
        )


async def test_the_database_refuses_to_use_a_version_number_again(rings: Rings) -> None:
    for role in ("coffer_kms", ""):
        for back in (
            "update kms.key_ring set next_version = next_version - 1",
            "update kms.key_ring set epoch = epoch - 1",
            "update kms.master_key set version = 7 where version = 1",
            "update kms.master_key set id = gen_random_uuid() where version = 1",
        ):
            rings.hold_refused(psycopg.IntegrityError, back, role=role)
        rings.hold_refused(
            psycopg.errors.UniqueViolation,
            "insert into kms.master_key (tenant_id, version, id, wrap_method, wrapped, check_value,"
            " status) select tenant_id, 1, gen_random_uuid(), 'global', wrapped, check_value,"
            " 'retired' from kms.master_key where version = 1",
            role=role,
        )


async def test_the_database_refuses_to_bring_a_revoked_version_back(rings: Rings) -> None:
    rings.database.execute(REVOKE)
    for back in (
        "update kms.master_key set status = 'retired', wrapped = '\\x00' where version = 1",
        "update kms.master_key set wrapped = '\\x00' where version = 1",
    ):
        for role in ("coffer_kms", ""):
            rings.hold_refused(psycopg.IntegrityError, back, role=role)


async def test_no_service_deletes_anything_of_a_key_ring(rings: Rings) -> None:
    for table in ("key_ring", "binding", "master_key", "receipt"):
        for role in ("coffer_kms", "coffer_secrets", "coffer_rewrap"):
            delete = f"delete from kms.{table}"
            rings.hold_refused(psycopg.errors.InsufficientPrivilege, delete, role=role)


async def test_the_kms_login_sees_no_tenant_but_the_transactions(kms: KmsStand) -> None:
    one, other = kms.database.create_tenant("a"), kms.database.create_tenant("b")
    await kms.generate(one)
    await kms.generate(other)
    with psycopg.connect(kms.database.dsn("coffer_kms")) as connection:
        for table in ("key_ring", "binding", "master_key"):
            assert connection.execute(f"select 1 from kms.{table}".encode()).fetchall() == []
        connection.execute("select set_config('coffer.tenant_id', %s, true)", (str(one),))
        rows = connection.execute("select tenant_id from kms.master_key").fetchall()
        assert rows == [(one,)]
        with pytest.raises(psycopg.DatabaseError, match="not the tenant"):
            connection.execute("select kms.take_ring(%s)", (other,))


async def test_a_lost_listening_connection_forgets_every_key_and_comes_back(
    kms: KmsStand,
) -> None:
    with kms.aws.control() as cloud:
        tenant = kms.database.create_tenant("a")
        customer = await kms.cloud(cloud.create_customer, external_id=f"coffer-{tenant}")
        await kms.put(tenant, onboarding(customer))
        await kms.generate(tenant)
        before = await kms.cloud(cloud.count, "Decrypt", customer.key_arn)
        kms.database.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name = 'listen coffer_kms' and datname = current_database()"
        )

        async def asked_anew() -> bool:
            await kms.generate(tenant)
            return bool(await kms.cloud(cloud.count, "Decrypt", customer.key_arn) > before)

        await until(asked_anew, 10, "the key was asked for anew")
        await until(kms.process.ready, 10, "it listens again")


async def test_who_cannot_hear_keeps_no_open_key(
    database: TestDatabase, pki: TestPki, aws: AwsServer
) -> None:
    """Not only unused: gone, also when nobody asks and the database lets nobody in again."""
    name = psycopg.conninfo.conninfo_to_dict(database.admin_dsn)["dbname"]
    allow = psycopg.sql.SQL("alter database {} with allow_connections {}")

    def let_in(elsewhere: psycopg.Connection[Any], flag: bool) -> None:
        elsewhere.execute(allow.format(psycopg.sql.Identifier(str(name)), flag))

    async with running_kms(database, pki, aws) as kms:
        tenant = database.create_tenant("a")
        await kms.generate(tenant)
        assert _open_keys(tenant) == 1

        async def forgotten() -> bool:
            return not _open_keys(tenant)

        with psycopg.connect(database.admin_dsn, dbname="postgres", autocommit=True) as elsewhere:
            let_in(elsewhere, False)
            try:
                elsewhere.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity"
                    " where application_name = 'listen coffer_kms' and datname = %s",
                    (name,),
                )
                await until(forgotten, 10, "the keys are gone")
            finally:
                let_in(elsewhere, True)
        await until(kms.process.ready, 20, "it listens again")


def _open_keys(tenant_id: UUID) -> int:
    return sum(
        isinstance(one, OpenMasterKey) and one.tenant_id == tenant_id for one in gc.get_objects()
    )


async def test_no_key_byte_reaches_the_log_or_a_column_in_clear(
    database: TestDatabase,
    pki: TestPki,
    aws: AwsServer,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    minted: list[bytes] = []
    random = os.urandom

    def watched(count: int) -> bytes:
        made = random(count)
        minted.append(made)
        return made

    monkeypatch.setattr("services.kms.keys.hierarchy.os.urandom", watched)
    platform_key = random(32)
    async with running_kms(database, pki, aws, master_key=platform_key) as kms:
        tenant = database.create_tenant("a")
        with aws.control() as cloud:
            customer = cloud.create_customer(external_id=f"coffer-{tenant}")
        keys = [key.plaintext for key in (await kms.generate(tenant, 5)).data_keys]
        await kms.put(tenant, onboarding(customer))
        await kms.rotate(tenant)
    masters = [made for made in minted if len(made) == 32]
    assert len(masters) >= 3
    told = capfd.readouterr()
    dump = json.dumps(
        [
            str(row)
            for table in ("kms.master_key", "kms.binding", "audit.event", "rewrap.lease")
            for row in database.rows(f"select t::text from {table} t")
        ]
    )
    for secret in (platform_key, *masters, *keys):
        for text in (told.out, told.err, dump):
            assert secret.hex() not in text
            assert repr(secret)[2:-1] not in text
