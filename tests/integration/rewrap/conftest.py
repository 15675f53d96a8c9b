"""A stand with a fake secrets for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.fakes.rewrap_secrets import FakeSecrets
from tests.fakes.rewrap_stand import Stand
from tests.integration.rewrap.ground import Ground

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.fixtures.database import TestDatabase
    from tests.fixtures.pki import TestPki


@pytest.fixture
async def secrets(database: TestDatabase) -> FakeSecrets:
    return FakeSecrets(database.dsn("coffer_secrets"))


@pytest.fixture
async def stand(
    database: TestDatabase, pki: TestPki, secrets: FakeSecrets, tmp_path: Path
) -> AsyncIterator[Stand]:
    async with secrets.serving(pki.tls("secrets")) as target:
        yield Stand(database, pki, tmp_path, target)


@pytest.fixture
def ground(database: TestDatabase) -> Iterator[Ground]:
    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        yield Ground(connection, database.create_tenant("ground"))
