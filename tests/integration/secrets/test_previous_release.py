"""What older rows lack, and what the release before writes while this one runs."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from services.common.database import sqlalchemy_url
from services.common.errors import CofferError
from services.secrets import migrations
from services.secrets.store import creates, updates
from tests.integration.secrets import release_0001
from tests.integration.secrets.certificates import (
    LATER,
    LATEST,
    PAST,
    SOON,
    moment,
    renew,
    stamp,
    store,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.secrets.stand import Client, Stand

TO_0001 = (
    "drop trigger derive_expiry on secrets.secret",
    "drop trigger derive_expiry on secrets.value_version",
    "drop function secrets.derive_secret_expiry, secrets.derive_value_expiry",
    "drop index secrets.value_version_data_key",
    "alter table secrets.value_version add unique (tenant_id, data_key_id)",
    "alter table secrets.value_version drop column normal_form, drop column certificate_expires_at",
    "alter table secrets.secret drop column certificate_expires_at",
    "update secrets.schema_revision set version_num = '0001'",
)


async def test_what_was_stored_before_the_migration_opens_and_is_found_to_be_renewed(
    stand: Stand, client: Client
) -> None:
    made = await store(client, "TLS", SOON)
    await renew(client, made.id, LATER)
    await client.create("STRING", "v")
    before = await client.get(made.id)
    for statement in TO_0001:
        stand.database.execute(statement)
    upgrade(stand.database.admin_dsn, "0002")
    after = await client.get(made.id)
    assert after == before
    found = await stand.access(client.tenant_id, name="TLS")
    assert moment(found) == LATER
    assert not found.certificate.HasField("normal_form")
    assert (await stand.access(client.tenant_id, name="STRING")).value == "v"
    # Of a version that is not the current one nothing was kept.
    assert moment(await stand.access(client.tenant_id, name="TLS", value_version=1)) is None
    listed = await client.list(expires_before=stamp(LATEST))
    assert [row.name for row in listed.secrets] == ["TLS"]
    forced = stand.database.rows(
        "select relforcerowsecurity from pg_class where relnamespace = 'secrets'::regnamespace"
        " and relkind = 'r' and relname <> 'schema_revision'"
    )
    assert set(forced) == {(True,)}


def upgrade(dsn: str, revision: str) -> None:
    """Run this revision; those after it are there already."""
    engine = sa.create_engine(sqlalchemy_url(dsn), poolclass=sa.NullPool)
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    with engine.connect() as connection:
        config.attributes |= {"connection": connection, "schema": "secrets"}
        command.upgrade(config, revision)
        connection.commit()
    engine.dispose()


@contextlib.contextmanager
def previous_release() -> Iterator[None]:
    """The service writes with the statements of the release before."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(creates, "_INSERT", release_0001.INSERT)
        patch.setattr(updates, "_PUT", release_0001.PUT)
        yield


async def test_what_the_previous_release_stores_expires_with_its_certificate(
    stand: Stand, client: Client
) -> None:
    with previous_release():
        made = await store(client, "TLS", PAST, strict_expiry_enforcement=True)
        await client.create("STRING", "v")
    assert moment(await client.get(made.id)) == PAST
    with pytest.raises(CofferError) as refused:
        await stand.access(client.tenant_id, name="TLS")
    assert refused.value.reason == "expired"
    assert (await stand.access(client.tenant_id, name="STRING")).value == "v"


async def test_what_the_previous_release_renews_expires_with_its_new_certificate(
    stand: Stand, client: Client
) -> None:
    made = await store(client, "TLS", SOON)
    with previous_release():
        await renew(client, made.id, LATER)
    shown = await client.get(made.id)
    assert moment(shown) == moment(shown.metadata) == LATER
    assert (await client.list(expires_before=stamp(LATER))).page.total == 0
    found = await stand.access(client.tenant_id, name="TLS")
    assert (moment(found), found.value_version) == (LATER, 2)
    assert not found.certificate.HasField("normal_form")
    await renew(client, made.id, LATEST)
    found = await stand.access(client.tenant_id, name="TLS")
    assert moment(found) == moment(await client.get(made.id)) == LATEST
    assert found.certificate.HasField("normal_form")


async def test_another_environments_expiry_is_unknown_until_this_release_stores_it(
    stand: Stand, client: Client
) -> None:
    made = await store(client, "TLS", SOON)
    with previous_release():
        await renew(client, made.id, LATER, environment="staging")
    assert moment(await client.get(made.id)) == SOON
    staged = await stand.access(client.tenant_id, name="TLS", environment="staging")
    assert moment(staged) is None
    await renew(client, made.id, LATER, environment="staging")
    staged = await stand.access(client.tenant_id, name="TLS", environment="staging")
    assert moment(staged) == LATER
