"""What a migration must not do to the release that runs while it waits."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
import pytest
from alembic import command
from psycopg import sql

from services.common.migrations import runner
from tests.fixtures.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alembic.config import Config

    from tests.fixtures.database import TestServer

LOCKED = (
    "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
)


@pytest.fixture
def at_0001(postgres: TestServer) -> Iterator[str]:
    """A database as the first release left its common part."""
    name = sql.Identifier(f"before_{uuid4().hex[:12]}")
    postgres.execute(sql.SQL("create database {}").format(name))
    to_head = command.upgrade

    def upgrade(config: Config, revision: str) -> None:
        is_common = config.attributes["schema"] == "tenancy"
        to_head(config, "0001" if is_common else revision)

    dsn = postgres.dsn_of(name.as_string().strip('"'))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "upgrade", upgrade)
        patch.setattr(runner, "COMPONENTS", ("common",))
        runner.migrate(dsn, {})
    yield dsn
    postgres.execute(sql.SQL("drop database {} with (force)").format(name))


def test_the_previous_release_goes_on_while_a_migration_waits_for_a_reader(
    at_0001: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "LOCK_SECONDS", 0.3)
    monkeypatch.setattr(runner, "PAUSE_SECONDS", 0.1)
    done: list[Any] = []
    migrating = threading.Thread(target=lambda: done.append(runner.migrate(at_0001, {})))
    with psycopg.connect(at_0001) as reader, psycopg.connect(at_0001, autocommit=True) as other:
        reader.execute("select count(*) from tenancy.api_key")  # a dump, or a report
        migrating.start()
        for _ in range(3):
            eventually(lambda: other.execute(LOCKED).fetchone(), "the migration waits")
            with psycopg.connect(at_0001, options="-c statement_timeout=5s") as previous:
                previous.execute("set role coffer_secrets")
                previous.execute("select from tenancy.find_api_key(%s)", (bytes(32),))
        assert migrating.is_alive()
    migrating.join(60)
    assert "common: 0001 -> 0003" in done[0]
    with psycopg.connect(at_0001) as after:
        invalid = after.execute("select 1 from pg_index where not indisvalid").fetchall()
    assert invalid == []
